//! Pages that `migrate_vma_pages` left where they were: collected, and not to migrate any more when it returns.

use core::ffi::c_void;

use aya_ebpf::helpers::generated::bpf_loop;
use aya_ebpf::macros::map;
use aya_ebpf::maps::PerCpuArray;
use tracer_common::copies::COPIES;
use tracer_common::event::{BITS_UNKNOWN, Kind, RefusalReason, RefusalStep, UNKNOWN};

use crate::buffer::buffer;
use crate::calibrate::vmemmap_base;
use crate::call::Call;
use crate::context::Context;
use crate::emit::{self, is_asked, now};
use crate::entry::page_size;
use crate::filter::Task;
use crate::globals::global;
use crate::memory::{Memory, Probed};
use crate::page;
use crate::probes::hmm_folio::{Asked, Folio, Refused};
use crate::probes::hmm_passed_over::MOST_PAGES;

/// MIGRATE_PFN_VALID (include/linux/migrate.h): there is a page.
const VALID: u64 = 1;
/// MIGRATE_PFN_MIGRATE: it is to migrate.
const MIGRATE: u64 = 2;
/// MIGRATE_PFN_COMPOUND (6.19 on): the entry stands for a whole huge page.
const COMPOUND: u64 = 1 << 4;
/// MIGRATE_PFN_SHIFT.
const PFN_SHIFT: u64 = 6;

#[repr(C)]
struct Scan {
    asked: Asked,
    sources: u64,
    destinations: u64,
    time: u64,
    task: Task,
    folio: Folio,
}

#[map]
static LEFT: PerCpuArray<Scan> = PerCpuArray::with_max_entries(COPIES as u32, 0);

/// What a callback tells the loop.
const GO_ON: i64 = 0;
const STOP: i64 = 1;

/// Looks for them at the return of `migrate_vma_pages`, and sends a record of each.
#[inline(always)]
pub fn look<C: Context>(call: &mut Call<'_, C>, args: u64) {
    if !is_asked(Kind::MigrateVmaRefused) || global!(walk.loops) == 0 || vmemmap_base() == 0 {
        return;
    }
    // SAFETY: this CPU's own, and used by one program at a time.
    let Some(scan) = LEFT.get_ptr_mut(u32::from(call.copy) - 1).map(|scan| unsafe { &mut *scan }) else {
        return;
    };
    let count = Probed::load::<u64>(args, global!(layout.migrate_vma_npages)).unwrap_or(UNKNOWN);
    if count > MOST_PAGES {
        return;
    }
    scan.asked.read(args);
    scan.sources = Probed::load(args, global!(layout.migrate_vma_src)).unwrap_or(UNKNOWN);
    scan.destinations = Probed::load(args, global!(layout.migrate_vma_dst)).unwrap_or(UNKNOWN);
    scan.time = now();
    scan.task = call.task;
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
    let Some(source) = Probed::load::<u64>(scan.sources + index * 8, 0) else { return STOP };
    if source & (VALID | MIGRATE) != VALID {
        return GO_ON;
    }
    let Some(destination) = Probed::load::<u64>(scan.destinations + index * 8, 0) else { return STOP };
    let page = vmemmap_base() + (source >> PFN_SHIFT) * u64::from(global!(layout.page_size));
    let head = page::head(page).unwrap_or(UNKNOWN);
    if head == UNKNOWN {
        return GO_ON;
    }
    scan.folio = Folio::at(head);
    let folio = &scan.folio;
    let reason = reason(folio, &scan.asked, source, destination);
    let (task, time) = (scan.task, scan.time);
    let Some(buffer) = buffer() else { return STOP };
    let Some(room) = emit::reserve(program, buffer, Kind::MigrateVmaRefused, task, time, 0) else {
        return GO_ON;
    };
    let address = scan.asked.start + index * page_size();
    let pages = if source & COMPOUND == 0 { 1 } else { 1 << (global!(entry.huge_order) & 31) };
    // That of the isolation, or of the collection of a device's page (6.12 mm/migrate.c, folio_migrate_mapping).
    let expected = folio.expected(1 + scan.asked.held_by_fault(head));
    let asked = &scan.asked;
    Refused { asked, address, folio, step: RefusalStep::Pages, reason, expected, pages }.send(room);
    GO_ON
}

/// Why it did not migrate: `__migrate_device_pages` (6.12 mm/migrate_device.c) step by step. The folio is locked and
/// unmapped, so that what it is does not change meanwhile. Where system memory was asked for the destination is a
/// device's.
#[inline(always)]
fn reason(folio: &Folio, asked: &Asked, source: u64, destination: u64) -> RefusalReason {
    if destination & VALID == 0 {
        RefusalReason::NoDestination
    } else if !folio.is_known() || asked.select == BITS_UNKNOWN {
        RefusalReason::Unknown
    } else if folio.is_large() && source & COMPOUND == 0 {
        RefusalReason::Large
    } else if asked.is_of_system() && folio.is_of_file() {
        RefusalReason::NotAnonymous
    } else if asked.is_of_system() && folio.is_in_swap_cache() {
        RefusalReason::SwapCache
    } else {
        RefusalReason::Raced
    }
}
