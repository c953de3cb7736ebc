//! Device-exclusive entries: made, restored, revoked by a fault.

use aya_ebpf::helpers::generated::{bpf_get_func_arg, bpf_get_func_ret};
use tracer_common::event::{
    BITS_UNKNOWN, ExclusiveExit, ExclusiveFault, ExclusiveMove, ExclusivePage, ExclusiveZap, Kind,
    MAPCOUNT_UNKNOWN, MakeDeviceExclusive, RestoreExclusive, UNCOUNTED, UNKNOWN,
};
use tracer_common::point::{Argument, Point};

use crate::call::{Call, field};
use crate::context::Context;
use crate::entry::{is_exclusive, page_size};
use crate::filter::watches;
use crate::globals::{argument_position, global};
use crate::memory::{Memory, Probed};
use crate::page;
use crate::pairing::{self, EntryState};
use crate::probes::fork;
use crate::spaces;

/// Most pages of one call that are looked at. The kernel's own test driver asks for 64 at a time, GPU
/// drivers for one.
const MOST_PAGES: u64 = 64;

/// Of [`EntryState::kept`] of a restore: the entry that the page table held.
const OLD_ENTRY: usize = 0;
/// Of [`EntryState::kept`] of a restore: calls of `mlock_folio` so far.
const MLOCKS: usize = 1;

/// Results from here on are -errno (include/linux/err.h, `MAX_ERRNO`).
const FIRST_ERRNO: u64 = -4095i64 as u64;

/// `make_device_exclusive_range` at return: `pages[i]` is set for each page that became exclusive.
#[inline(always)]
pub fn made_range<C: Context>(call: &mut Call<'_, C>) {
    let (mm, start) = (call.argument(Argument::Mm), call.argument(Argument::Start));
    let (end, owner) = (call.argument(Argument::End), call.argument(Argument::Owner));
    let (result, duration) = (call.result() as i32, call.duration);
    spaces::note(mm);
    let pages = pages_argument(call);
    let found = if result > 0 { result as u64 } else { 0 };
    let mut made = 0;
    for index in 0..MOST_PAGES {
        if index >= found {
            break;
        }
        let Some(page) = Probed::load::<u64>(pages, index as u32 * 8) else { break };
        if page != 0 {
            made += 1;
            send_page(call, mm, start + index * page_size(), page);
        }
    }
    let Some(room) = call.reserve(Kind::MakeDeviceExclusive) else { return };
    room.send(MakeDeviceExclusive {
        mm,
        start,
        end,
        owner,
        result: i64::from(result),
        made,
        unchecked: found.saturating_sub(MOST_PAGES) as u32,
        duration,
    });
}

/// The argument `pages`, as a number: a trampoline program may not load a pointer to pointers itself
/// (kernel/bpf/btf.c, `btf_ctx_access`), but the helper gives it (since 5.17).
#[inline(always)]
fn pages_argument<C: Context>(call: &Call<'_, C>) -> u64 {
    if !C::Memory::IS_DIRECT {
        return call.argument(Argument::Pages);
    }
    let position = argument_position(Point::MakeDeviceExclusiveRange, Argument::Pages);
    let mut pages = 0;
    // SAFETY: the helper writes one word, and leaves it alone when there is no such argument.
    unsafe { bpf_get_func_arg(call.context.as_ptr(), u32::from(position), &raw mut pages) };
    pages
}

/// `make_device_exclusive` (6.15 on) at return: the page, or an error as a pointer.
#[inline(always)]
pub fn made_single<C: Context>(call: &mut Call<'_, C>) {
    let (mm, start) = (call.argument(Argument::Mm), call.argument(Argument::Start));
    let owner = call.argument(Argument::Owner);
    let (page, duration) = (page_result(call), call.duration);
    let failed = page == 0 || page >= FIRST_ERRNO;
    spaces::note(mm);
    if !failed {
        send_page(call, mm, start, page);
    }
    let Some(room) = call.reserve(Kind::MakeDeviceExclusive) else { return };
    room.send(MakeDeviceExclusive {
        mm,
        start,
        end: start + page_size(),
        owner,
        result: if failed { page as i64 } else { 0 },
        made: u32::from(!failed),
        unchecked: 0,
        duration,
    });
}

/// The result as a number: the verifier lets no program mask the address in a typed pointer, which is how a tail
/// page leads to its head. The helper came with 5.17, long before the function.
#[inline(always)]
fn page_result<C: Context>(call: &Call<'_, C>) -> u64 {
    if !C::Memory::IS_DIRECT {
        return call.result();
    }
    let mut page = 0;
    // SAFETY: the helper writes one word.
    unsafe { bpf_get_func_ret(call.context.as_ptr().cast(), &raw mut page) };
    page
}

/// One page handed to the driver; its address is a plain number here.
#[inline(always)]
fn send_page<C: Context>(call: &mut Call<'_, C>, mm: u64, address: u64, page: u64) {
    let Some(room) = call.reserve(Kind::ExclusivePage) else { return };
    let state = page::state_of_any(page);
    let head = page::head(page);
    // Numbers, not options: the compiler moves the read of an option's value before the look at whether there is
    // one, and verifiers up to 6.2 refuse to read what was never written.
    let (mut mapping_bits, mut refcount) = (BITS_UNKNOWN, MAPCOUNT_UNKNOWN);
    if let Some(head) = head {
        if let Some(mapping) = Probed::load::<u64>(head, global!(layout.page_mapping)) {
            mapping_bits = mapping as u32 & 3;
        }
        if let Some(count) = Probed::load(head, global!(layout.page_refcount)) {
            refcount = count;
        }
    }
    room.send(ExclusivePage {
        mm,
        address,
        page,
        flags: state.flags,
        mapping_bits,
        mapcount: state.mapcount,
        refcount,
        reserved: 0,
    });
}

/// `restore_exclusive_pte` at entry: the page table still holds the exclusive entry.
#[inline(always)]
pub fn keep_entry<C: Context>(context: &C, begun: &mut EntryState) {
    const POINT: Point = Point::RestoreExclusivePte;
    begun.kept[OLD_ENTRY] = match context.argument(POINT, Argument::OrigPte) {
        // Since 6.15 the caller hands the entry over (mm/memory.c).
        Some(entry) => entry,
        None => entry_at::<C>(context.argument(POINT, Argument::Ptep).unwrap_or(0)),
    };
}

/// `restore_exclusive_pte` at return: the entry is present again.
#[inline(always)]
pub fn restored<C: Context>(call: &mut Call<'_, C>) {
    let Some([old_entry, mlocks, ..]) = call.begun.as_ref().map(|begun| begun.kept) else { return };
    let (vma, page) = (call.argument(Argument::Vma), call.argument(Argument::Page));
    let (address, entry) = (call.argument(Argument::Address), call.argument(Argument::Ptep));
    let duration = call.duration;
    let task = call.task;
    let in_fork = match call.outer.as_mut() {
        Some(outer) if outer.is(Point::CopyPageRange) => {
            fork::restored(outer, task, address, page);
            1
        }
        _ => 0,
    };
    let mm = field::<C, u64>(vma, global!(layout.vma_mm));
    if !watches(task) && !spaces::is_noted(mm) {
        return;
    }
    let Some(room) = call.reserve(Kind::RestoreExclusive) else { return };
    let state = page::state::<C::Memory>(call.find(Argument::Folio).unwrap_or(page));
    room.send(RestoreExclusive {
        mm,
        address,
        page,
        flags: state.flags,
        vm_flags: field::<C, u64>(vma, global!(layout.vma_flags)),
        old_entry,
        new_entry: entry_at::<C>(entry),
        mapcount: state.mapcount,
        in_fork,
        mlocks: if global!(options.count_mlocks) != 0 { mlocks as u32 } else { UNCOUNTED },
        reserved: 0,
        duration,
    });
}

#[inline(always)]
fn entry_at<C: Context>(pointer: u64) -> u64 {
    field::<C, u64>(pointer, 0)
}

/// VM_FAULT_RETRY (include/linux/mm_types.h, `enum vm_fault_reason`): the lock that kept the VMA is gone.
const VM_FAULT_RETRY: u32 = 0x400;

/// Whether a call of `do_swap_page` is about an exclusive entry. It is called for every page that is swapped in.
#[inline(always)]
pub fn finds_exclusive<C: Context>(context: &C) -> bool {
    let fault = context.argument(Point::DoSwapPage, Argument::Vmf).unwrap_or(0);
    is_exclusive(field::<C, u64>(fault, global!(layout.fault_entry)))
}

/// `do_swap_page` at return, when it was about an exclusive entry.
#[inline(always)]
pub fn faulted<C: Context>(call: &mut Call<'_, C>) {
    let fault = call.argument(Argument::Vmf);
    let entry: u64 = field::<C, u64>(fault, global!(layout.fault_entry));
    if !is_exclusive(entry) {
        return;
    }
    let (result, duration) = (call.result() as u32, call.duration);
    let Some(room) = call.reserve(Kind::ExclusiveFault) else { return };
    let vma = field::<C, u64>(fault, global!(layout.fault_vma));
    let mm =
        if result & VM_FAULT_RETRY == 0 { field::<C, u64>(vma, global!(layout.vma_mm)) } else { UNKNOWN };
    room.send(ExclusiveFault {
        mm,
        address: field::<C, u64>(fault, global!(layout.fault_address)),
        entry,
        fault_flags: field::<C, u32>(fault, global!(layout.fault_flags)),
        result,
        duration,
    });
}

/// `mlock_folio` at entry: counted in the restore that the task is inside.
#[inline(always)]
pub fn mlocked<C: Context>(call: &Call<'_, C>) {
    if global!(options.count_mlocks) != 0
        && let Some(begun) = pairing::inside(Point::RestoreExclusivePte, call.task)
    {
        begun.kept[MLOCKS] += 1;
    }
}

/// `unmap_page_range` (`__zap_vma_range` since 7.1) at entry. A zap that spares private pages of file mappings spares
/// exclusive ones, which are all private (6.12 mm/memory.c, zap_pte_range and should_zap_cows).
#[inline(always)]
pub fn zapped<C: Context>(call: &mut Call<'_, C>) {
    let (vma, start) = (call.argument(Argument::Vma), call.argument(Argument::Start));
    let (end, details) = (call.argument(Argument::End), call.argument(Argument::Details));
    let mm = field::<C, u64>(vma, global!(layout.vma_mm));
    if !spaces::is_noted(mm) || spares_private(details) {
        return;
    }
    let Some(room) = call.reserve(Kind::ExclusiveZap) else { return };
    room.send(ExclusiveZap { mm, start, end });
}

/// Whether the details of a zap say so. There may be none, which is read in vain: then it spares nothing. One of the
/// fields is there (the plan made sure).
#[inline(always)]
fn spares_private(details: u64) -> bool {
    if let Some(skip_cows) = Probed::load::<u8>(details, global!(layout.zap_skip_cows)) {
        return skip_cows != 0;
    }
    if let Some(even_cows) = Probed::load::<u8>(details, global!(layout.zap_even_cows)) {
        return even_cows == 0;
    }
    matches!(Probed::load::<u64>(details, global!(layout.zap_check_mapping)), Some(1..))
}

/// Of [`EntryState::kept`] of a move: the address space and both addresses. Since 6.16 they are in a structure that goes
/// along with the move (mm/mremap.c, pmc_next).
const MOVE_MM: usize = 0;
const MOVE_OLD: usize = 1;
const MOVE_NEW: usize = 2;

/// `move_page_tables` at entry.
#[inline(always)]
pub fn keep_move<C: Context>(context: &C, begun: &mut EntryState) {
    const POINT: Point = Point::MovePageTables;
    let unread = UNKNOWN;
    begun.kept[MOVE_MM] = match context.argument_or_member(POINT, Argument::Vma, global!(layout.move_vma)) {
        Some(vma) => field::<C, u64>(vma, global!(layout.vma_mm)),
        None => unread,
    };
    begun.kept[MOVE_OLD] = context
        .argument_or_member(POINT, Argument::OldAddr, global!(layout.move_old_address))
        .unwrap_or(unread);
    begun.kept[MOVE_NEW] = context
        .argument_or_member(POINT, Argument::NewAddr, global!(layout.move_new_address))
        .unwrap_or(unread);
}

/// `move_page_tables` at return: bytes moved.
#[inline(always)]
pub fn moved<C: Context>(call: &mut Call<'_, C>) {
    let Some([mm, old_address, new_address, ..]) = call.begun.as_ref().map(|begun| begun.kept) else {
        return;
    };
    let length = call.result();
    if !spaces::is_noted(mm) {
        return;
    }
    let Some(room) = call.reserve(Kind::ExclusiveMove) else { return };
    room.send(ExclusiveMove { mm, old_address, new_address, length });
}

/// `exit_mmap` at return.
#[inline(always)]
pub fn exited<C: Context>(call: &mut Call<'_, C>) {
    let mm = call.argument(Argument::Mm);
    if !spaces::forget(mm) {
        return;
    }
    let Some(room) = call.reserve(Kind::ExclusiveExit) else { return };
    room.send(ExclusiveExit { mm });
}
