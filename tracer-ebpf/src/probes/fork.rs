//! Page-table copies at fork.

use tracer_common::event::{CopyPageRange, Kind, RESULT_UNKNOWN};
use tracer_common::point::{Argument, Point};

use crate::call::{Call, field};
use crate::context::Context;
use crate::counting;
use crate::emit::is_asked;
use crate::filter::Task;
use crate::globals::global;
use crate::pairing::{self, EntryState};
use crate::probes::fork_scan::{self, Range};
use crate::spaces;

/// Of [`EntryState::kept`]: exclusive entries restored so far.
const RESTORED: usize = 0;
/// Of [`EntryState::kept`]: the last result of `copy_pte_range`.
const INNER_RESULT: usize = 1;

/// Nothing is restored yet, and no inner result is known.
#[inline(always)]
pub fn keep_nothing_yet<C: Context>(_context: &C, begun: &mut EntryState) {
    begun.kept[INNER_RESULT] = RESULT_UNKNOWN as u32 as u64;
}

/// An exclusive entry was restored inside the copy.
#[inline(always)]
pub fn restored(copy: &mut EntryState, task: Task, address: u64, page: u64) {
    fork_scan::note_restored(task, copy.kept[RESTORED], address, page);
    copy.kept[RESTORED] += 1;
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
    if !is_asked(Kind::CopyPageRange) {
        return;
    }
    let (destination, source) = (call.argument(Argument::DstVma), call.argument(Argument::SrcVma));
    let (result, duration, task) = (call.result() as i32, call.duration, call.task);
    let Some([restored, inner_result, ..]) = call.begun.as_ref().map(|begun| begun.kept) else { return };
    let source_mm = field::<C, u64>(source, global!(layout.vma_mm));
    let destination_mm = field::<C, u64>(destination, global!(layout.vma_mm));
    let (start, end) = (
        field::<C, u64>(source, global!(layout.vma_start)),
        field::<C, u64>(source, global!(layout.vma_end)),
    );
    // Counting does not look: the stack has no room for both.
    let seen = if !counting::is_on() && spaces::is_noted(source_mm) {
        fork_scan::scan(Range { source_mm, destination_mm, start, end }, task, restored, call.copy)
    } else {
        fork_scan::Seen::NOTHING
    };
    let Some(room) = call.reserve(Kind::CopyPageRange) else { return };
    room.send(CopyPageRange {
        source_mm,
        destination_mm,
        source_vma: source,
        destination_vma: destination,
        start,
        end,
        vm_flags: field::<C, u64>(source, global!(layout.vma_flags)),
        result,
        inner_result: inner_result as i32,
        restored: restored as u32,
        exclusive_left: seen.left,
        exclusive_copied: seen.copied,
        compared: seen.compared,
        taken: seen.taken,
        unscanned: seen.unscanned,
        first_left: seen.first_left,
        first_left_flags: seen.first_left_flags,
        first_copied: seen.first_copied,
        first_taken: seen.first_taken,
        duration,
    });
}
