//! mlock and munlock of folios and of VMA ranges.

use tracer_common::event::{FolioMlock, Kind, MlockFixup, UNKNOWN};
use tracer_common::point::{Argument, Point};

use crate::call::{Call, field};
use crate::context::Context;
use crate::filter::watches;
use crate::globals::global;
use crate::page;
use crate::pairing::EntryState;
use crate::probes::exclusive;

/// `mlock_folio` and its like at entry: PG_mlocked is as it was before.
#[inline(always)]
pub fn folio_locked<C: Context>(call: &mut Call<'_, C>) {
    exclusive::mlocked(call);
    if watches(call.task) {
        folio(call, Kind::MlockFolio);
    }
}

/// `munlock_folio` and its like at entry, and what both have in common.
#[inline(always)]
pub fn folio<C: Context>(call: &mut Call<'_, C>, kind: Kind) {
    let page = call.argument(Argument::Folio);
    let Some(room) = call.reserve(kind) else { return };
    let state = page::state::<C::Memory>(page);
    room.send(FolioMlock { page, flags: state.flags, mapcount: state.mapcount, reserved: 0 });
}

/// `mlock_fixup` may merge or split the VMA, and writes to the flags that 7.3 hands over by a pointer: what they were
/// is kept from the beginning.
#[inline(always)]
pub fn keep_vma<C: Context>(context: &C, begun: &mut EntryState) {
    let vma = context.argument(Point::MlockFixup, Argument::Vma).unwrap_or(0);
    begun.kept = [
        field::<C, u64>(vma, global!(layout.vma_flags)),
        field::<C, u64>(vma, global!(layout.vma_mm)),
        context.argument_or_member(Point::MlockFixup, Argument::Newflags, 0).unwrap_or(UNKNOWN),
        0,
    ];
}

/// `mlock_fixup` at return.
#[inline(always)]
pub fn fixed_up<C: Context>(call: &mut Call<'_, C>) {
    let Some([old_vm_flags, mm, new_vm_flags, _]) = call.begun.as_ref().map(|begun| begun.kept) else {
        return;
    };
    let (start, end) = (call.argument(Argument::Start), call.argument(Argument::End));
    let (result, duration) = (call.result() as i32, call.duration);
    let Some(room) = call.reserve(Kind::MlockFixup) else { return };
    room.send(MlockFixup { mm, start, end, old_vm_flags, new_vm_flags, result, reserved: 0, duration });
}
