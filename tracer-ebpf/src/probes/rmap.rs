//! Reverse-map walks: a whole walk over one folio, and its visits of single VMAs.

use tracer_common::event::{FolioWalk, Kind, UNKNOWN, VmaVisit};
use tracer_common::globals::VISITS_STEP;
use tracer_common::point::{Argument, Point};

use crate::call::{Call, field};
use crate::context::Context;
use crate::globals::global;
use crate::page;
use crate::pairing::EntryState;
use crate::spaces;
use crate::table::{self, Walk};

/// VM_LOCKED (include/linux/mm.h), a macro.
const VM_LOCKED: u64 = 0x2000;

/// Of [`EntryState::kept`] of a visit of a locked VMA: the entry before it.
const ENTRY: usize = 0;
/// Of [`EntryState::kept`]: 1 when that VMA is locked.
const LOCKED: usize = 1;

/// `try_to_unmap` and `try_to_migrate` at return: the folio and the caller's flags.
#[inline(always)]
pub fn walked<C: Context>(call: &mut Call<'_, C>, kind: Kind) {
    let ttu_flags = call.argument(Argument::Flags);
    send_walk(call, kind, ttu_flags);
}

/// `page_mlock` at return: the folio.
#[inline(always)]
pub fn walked_for_mlock<C: Context>(call: &mut Call<'_, C>) {
    send_walk(call, Kind::PageMlock, 0);
}

#[inline(always)]
fn send_walk<C: Context>(call: &mut Call<'_, C>, kind: Kind, ttu_flags: u64) {
    let (page, duration) = (call.argument(Argument::Folio), call.duration);
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

/// Whether a visit of `try_to_unmap_one` must leave the entry alone, as far as the VMA and the caller say: the
/// VMA is locked, and the caller does not ignore it. Where the kernel's value of TTU_IGNORE_MLOCK is not known, nobody
/// is taken to.
#[inline(always)]
fn is_protected(vm_flags: u64, ttu_flags: u64) -> bool {
    vm_flags != UNKNOWN
        && vm_flags & VM_LOCKED != 0
        && ttu_flags & u64::from(global!(options.ttu_ignore_mlock)) == 0
}

/// The same at the function's entry.
#[inline(always)]
pub fn finds_locked<C: Context>(context: &C) -> bool {
    let vma = context.argument(Point::TryToUnmapOne, Argument::Vma).unwrap_or(0);
    let ttu_flags = context.argument(Point::TryToUnmapOne, Argument::Arg).unwrap_or(0);
    is_protected(field::<C, u64>(vma, global!(layout.vma_flags)), ttu_flags)
}

/// `try_to_unmap_one` at entry: what is mapped, where that must stay.
#[inline(always)]
pub fn keep_locked<C: Context>(context: &C, begun: &mut EntryState) {
    if finds_locked(context) {
        let vma = context.argument(Point::TryToUnmapOne, Argument::Vma).unwrap_or(0);
        let address = context.argument(Point::TryToUnmapOne, Argument::Address).unwrap_or(0);
        begun.kept[ENTRY] = entry_at(field::<C, u64>(vma, global!(layout.vma_mm)), address);
        begun.kept[LOCKED] = 1;
    }
}

/// The raw entry of a user address. An rmap walk's locks keep the VMA, and so its tables.
#[inline(always)]
fn entry_at(mm: u64, address: u64) -> u64 {
    if !table::walks() {
        return UNKNOWN;
    }
    let mut walk = Walk::NONE;
    walk.start(mm);
    walk.look_up(address);
    if walk.has_failed() { UNKNOWN } else { walk.entry() }
}

/// `try_to_unmap_one` at return.
#[inline(always)]
pub fn visited_by_unmap<C: Context>(call: &mut Call<'_, C>) {
    let ttu_flags = call.argument(Argument::Arg);
    let kept = call.begun.as_ref().map_or([0; 4], |begun| begun.kept);
    // A VMA that was locked meanwhile was not when the walk looked.
    let was_locked = kept[LOCKED] != 0;
    let mut entries = [UNKNOWN; 2];
    if was_locked {
        let (vma, address) = (call.argument(Argument::Vma), call.argument(Argument::Address));
        entries = [kept[ENTRY], entry_at(field::<C, u64>(vma, global!(layout.vma_mm)), address)];
    }
    send_visit(call, Kind::TryToUnmapOne, ttu_flags, entries, was_locked);
}

/// `page_make_device_exclusive_one` at return: the walk reaches address spaces that the caller did not name.
#[inline(always)]
pub fn visited_for_exclusive<C: Context>(call: &mut Call<'_, C>) {
    let mm = field::<C, u64>(call.argument(Argument::Vma), global!(layout.vma_mm));
    if mm != UNKNOWN {
        spaces::note(mm);
    }
    send_visit(call, Kind::ExclusiveVma, 0, [UNKNOWN; 2], true);
}

/// `try_to_migrate_one` at return.
#[inline(always)]
pub fn visited_by_migrate<C: Context>(call: &mut Call<'_, C>) {
    let ttu_flags = call.argument(Argument::Arg);
    send_visit(call, Kind::TryToMigrateOne, ttu_flags, [UNKNOWN; 2], false);
}

/// `page_mlock_one` at return.
#[inline(always)]
pub fn visited_for_mlock<C: Context>(call: &mut Call<'_, C>) {
    send_visit(call, Kind::PageMlockOne, 0, [UNKNOWN; 2], true);
}

/// Sends a visit: folio, VMA, address, and the walk's argument where it is flags. One that no rule is about is
/// sent only when all are asked for, or as a sample of a long walk.
#[inline(always)]
fn send_visit<C: Context>(
    call: &mut Call<'_, C>,
    kind: Kind,
    ttu_flags: u64,
    entries: [u64; 2],
    is_ruled: bool,
) {
    let (page, vma) = (call.argument(Argument::Folio), call.argument(Argument::Vma));
    let (address, result, duration) = (call.argument(Argument::Address), call.result(), call.duration);
    let state = page::state::<C::Memory>(page);
    let is_sample = state.mapcount > 0 && state.mapcount % VISITS_STEP == 0;
    if global!(options.visits_for_rules) != 0 && !is_ruled && !is_sample {
        return;
    }
    let Some(room) = call.reserve(kind) else { return };
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
        entry_before: entries[0],
        entry_after: entries[1],
        duration,
    });
}
