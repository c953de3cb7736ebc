//! Reverse-map walks: a whole walk over one folio, and its visits of single VMAs.

use tracer_common::event::{FolioWalk, Kind, UNKNOWN, VmaVisit};

use crate::call::{Call, field};
use crate::context::Context;
use crate::globals::global;
use crate::page;

/// `try_to_unmap`, `try_to_migrate`, `page_mlock` at return: the folio and the caller's flags.
#[inline(always)]
pub fn walked<C: Context>(call: &mut Call<'_, C>, kind: Kind) {
    let (page, ttu_flags, duration) = (call.argument(0), call.find(1).unwrap_or(0), call.duration);
    let Some(room) = call.reserve(kind) else { return };
    let state = page::state::<C::Memory>(page);
    room.send(FolioWalk {
        page,
        flags: state.flags,
        mapcount: state.mapcount,
        ttu_flags: ttu_flags as u32,
        duration,
    });
}

/// One `*_one` callback of a walk at return: folio, VMA, address, and the walk's argument where it is flags.
#[inline(always)]
pub fn visited<C: Context>(call: &mut Call<'_, C>, kind: Kind) {
    let (page, vma, address) = (call.argument(0), call.argument(1), call.argument(2));
    let (ttu_flags, result, duration) = (call.find(3).unwrap_or(0), call.result(), call.duration);
    let Some(room) = call.reserve(kind) else { return };
    let state = page::state::<C::Memory>(page);
    room.send(VmaVisit {
        page,
        flags: state.flags,
        mm: field::<C, u64>(vma, global!(layout.vma_mm)),
        address,
        vm_flags: field::<C, u64>(vma, global!(layout.vma_flags)),
        ttu_flags: ttu_flags as u32,
        result: result as u32 & 0xff,
        mapcount: state.mapcount,
        reserved: 0,
        entry_before: UNKNOWN,
        entry_after: UNKNOWN,
        duration,
    });
}
