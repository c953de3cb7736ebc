//! Page-table copies at fork.

use tracer_common::event::{CopyPageRange, Kind, RESULT_UNKNOWN, UNCOUNTED, UNKNOWN};
use tracer_common::point::Point;

use crate::call::{Call, field};
use crate::context::Context;
use crate::globals::global;
use crate::pairing::{self, Begun};

/// Of [`Begun::kept`]: exclusive entries restored so far.
pub const RESTORED: usize = 0;
/// Of [`Begun::kept`]: the last result of `copy_pte_range`.
const INNER_RESULT: usize = 1;

/// Nothing is restored yet, and no inner result is known.
#[inline(always)]
pub fn keep_nothing_yet<C: Context>(_context: &C, begun: &mut Begun) {
    begun.kept[INNER_RESULT] = RESULT_UNKNOWN as u32 as u64;
}

/// `copy_pte_range` at return, where it is a function of its own: the result that `copy_pmd_range` turns
/// into -ENOMEM (mm/memory.c, `copy_pmd_range`).
#[inline(always)]
pub fn inner<C: Context>(call: &mut Call<'_, C>) {
    if let Some(begun) = pairing::inside(Point::CopyPageRange, call.task) {
        begun.kept[INNER_RESULT] = call.result() as u32 as u64;
    }
}

/// `copy_page_range` at return. Both VMAs are locked by fork until after it.
#[inline(always)]
pub fn copied<C: Context>(call: &mut Call<'_, C>) {
    let (destination, source) = (call.argument(0), call.argument(1));
    let (result, duration) = (call.result() as i32, call.duration);
    let Some(kept) = call.begun.as_ref().map(|begun| begun.kept) else { return };
    let Some(room) = call.reserve(Kind::CopyPageRange) else { return };
    room.send(CopyPageRange {
        source_mm: field::<C, u64>(source, global!(layout.vma_mm)),
        destination_mm: field::<C, u64>(destination, global!(layout.vma_mm)),
        source_vma: source,
        destination_vma: destination,
        start: field::<C, u64>(source, global!(layout.vma_start)),
        end: field::<C, u64>(source, global!(layout.vma_end)),
        vm_flags: field::<C, u64>(source, global!(layout.vma_flags)),
        result,
        inner_result: kept[INNER_RESULT] as i32,
        restored: kept[RESTORED] as u32,
        exclusive_left: UNCOUNTED,
        exclusive_copied: UNCOUNTED,
        compared: UNCOUNTED,
        taken: 0,
        unscanned: 0,
        first_left: 0,
        first_left_flags: UNKNOWN,
        first_copied: 0,
        first_taken: 0,
        duration,
    });
}
