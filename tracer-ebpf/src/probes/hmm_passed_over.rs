//! Pages of system memory that `migrate_vma_setup` was to collect and passed over: an address without a source entry
//! whose page table maps a page.
//!
//! Looked for when it has walked the page tables, before it does anything else. The mmap_lock is held, and no table is
//! freed; entries of pages may change, and so may what keeps a page from being collected. What is seen then is what is
//! reported.

use core::ffi::c_void;

use aya_ebpf::helpers::generated::bpf_loop;
use aya_ebpf::macros::map;
use aya_ebpf::maps::PerCpuArray;
use tracer_common::copies::COPIES;
use tracer_common::event::{Kind, RefusalReason, RefusalStep, UNKNOWN};

use crate::buffer::buffer;
use crate::calibrate::vmemmap_base;
use crate::call::Call;
use crate::context::Context;
use crate::emit::{self, now};
use crate::entry::{is_migration, is_present, page_of_present, page_of_swap, page_shift, page_size};
use crate::filter::Task;
use crate::globals::global;
use crate::memory::{Memory, Probed};
use crate::page;
use crate::probes::hmm_folio::{Asked, Folio, Refused};
use crate::table::{Walk, walks};

/// Most entries of one call that are looked at: 256 MiB.
pub const MOST_PAGES: u64 = 64 << 10;

/// MIGRATE_PFN_COMPOUND (6.19 on; include/linux/migrate.h): the entry stands for a whole huge page.
const COMPOUND: u64 = 1 << 4;

/// GUP_PIN_COUNTING_BIAS (6.12 include/linux/mm.h): so many references are taken for a pin
/// (`folio_maybe_dma_pinned`), and an anonymous page of one process that is pinned is not collected
/// (`folio_try_share_anon_rmap_pte`).
const PIN: i32 = 1024;

/// The points at which pages are looked for. Each has a state of its own: a task that is taken off its CPU inside one
/// program may find that another has run.
#[derive(Clone, Copy)]
pub enum Place {
    /// `lru_add_drain`.
    Drain,
    /// `migrate_vma_setup`, which collected nothing.
    Return,
}

impl Place {
    const COUNT: u64 = 2;
}

#[repr(C)]
struct Scan {
    asked: Asked,
    sources: u64,
    count: u64,
    /// Entries before this one need no look.
    next: u64,
    time: u64,
    task: Task,
    walk: Walk,
    folio: Folio,
}

#[map]
static PASSED_OVER: PerCpuArray<Scan> = PerCpuArray::with_max_entries((COPIES * Place::COUNT) as u32, 0);

/// What a callback tells the loop.
const GO_ON: i64 = 0;
const STOP: i64 = 1;

/// Looks for them, and sends a record of each.
#[inline(always)]
pub fn look<C: Context>(call: &mut Call<'_, C>, args: u64, place: Place) {
    if global!(walk.loops) == 0 || vmemmap_base() == 0 || !walks() {
        return;
    }
    let index = place as u32 * COPIES as u32 + u32::from(call.copy) - 1;
    // SAFETY: this CPU's own, and used by one program at a time.
    let Some(scan) = PASSED_OVER.get_ptr_mut(index).map(|scan| unsafe { &mut *scan }) else { return };
    scan.asked.read(args);
    let (start, end) = (scan.asked.start, scan.asked.end);
    let count = end.wrapping_sub(start) >> page_shift();
    if !scan.asked.is_of_system() || start == UNKNOWN || end == UNKNOWN || count > MOST_PAGES {
        return;
    }
    scan.sources = Probed::load(args, global!(layout.migrate_vma_src)).unwrap_or(UNKNOWN);
    scan.count = count;
    scan.next = 0;
    scan.time = now();
    scan.task = call.task;
    scan.walk.start(scan.asked.mm);
    let mut context: [u64; 2] = [(&raw mut *scan) as u64, (&raw const *call.context) as u64];
    let context = (&raw mut context).cast::<c_void>();
    // SAFETY: the callback has the type that the helper wants, and the context outlives the loop.
    unsafe { bpf_loop(count as u32, look_at::<C> as *mut c_void, context, 0) };
}

/// One entry.
extern "C" fn look_at<C: Context>(number: u32, context: *mut c_void) -> i64 {
    // SAFETY: `look` passes pointers to its scan and to its program's context.
    let (scan, program) = unsafe {
        let [scan, program] = *context.cast::<[u64; 2]>();
        (&mut *(scan as *mut Scan), &*(program as *const C))
    };
    let index = u64::from(number);
    if index < scan.next {
        return GO_ON;
    }
    let Some(source) = Probed::load::<u64>(scan.sources + index * 8, 0) else { return STOP };
    if source != 0 {
        if source & COMPOUND != 0 {
            scan.next = index + (1 << (global!(entry.huge_order) & 31));
        }
        return GO_ON;
    }
    let address = scan.asked.start + index * page_size();
    scan.walk.look_up(address);
    if scan.walk.has_failed() {
        return GO_ON;
    }
    let (mut pages, mut entry, is_huge) = (1, scan.walk.entry(), scan.walk.table() == 0);
    if is_huge {
        // A hole, or a huge page that one entry maps.
        entry = scan.walk.leaf();
        let end = (address | (scan.walk.covers() - 1)) + 1;
        scan.next = index + ((end - address) >> page_shift());
        let to_end = if scan.next < scan.count { scan.next } else { scan.count };
        pages = (to_end - index) as u32;
    }
    if entry == 0 {
        return GO_ON;
    }
    let is_mapped = is_present(entry);
    if !is_mapped && (is_huge || !is_migration(entry)) {
        return GO_ON;
    }
    let page = if is_mapped { page_of_present(entry) } else { page_of_swap(entry) };
    if page == UNKNOWN {
        return GO_ON;
    }
    let head = page::head(page).unwrap_or(UNKNOWN);
    if head == UNKNOWN {
        return GO_ON;
    }
    scan.folio = Folio::at(head);
    let folio = &scan.folio;
    let reason = if is_mapped { reason(folio, is_huge) } else { RefusalReason::Migrating };
    let (task, time) = (scan.task, scan.time);
    let Some(buffer) = buffer() else { return STOP };
    let Some(room) = emit::reserve(program, buffer, Kind::MigrateVmaRefused, task, time, 0) else {
        return GO_ON;
    };
    let expected = folio.expected(0);
    let asked = &scan.asked;
    Refused { asked, address, folio, step: RefusalStep::Collect, reason, expected, pages }.send(room);
    GO_ON
}

/// Why a page was not collected that is mapped.
#[inline(always)]
fn reason(folio: &Folio, is_huge: bool) -> RefusalReason {
    if !folio.is_known() {
        return RefusalReason::Unknown;
    }
    let is_pinned = folio.is_anonymous() && folio.refcount >= PIN;
    if folio.is_large() && !(is_huge && folio.is_locked()) {
        RefusalReason::Large
    } else if folio.mapping == 0 {
        RefusalReason::NoMapping
    } else if folio.is_locked() && !is_pinned {
        RefusalReason::Locked
    } else if is_pinned && !folio.is_locked() {
        RefusalReason::Pinned
    } else {
        RefusalReason::Unknown
    }
}
