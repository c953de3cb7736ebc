//! How many of a migration's entries say that a page migrates.

use core::ffi::c_void;

use aya_ebpf::helpers::generated::bpf_loop;
use aya_ebpf::macros::map;
use aya_ebpf::maps::PerCpuArray;
use tracer_common::copies::COPIES;
use tracer_common::event::{UNCOUNTED, UNKNOWN};

use crate::globals::global;
use crate::memory::{Memory, Probed};

/// Most entries of one call that are looked at: 256 MiB.
const MOST_PAGES: u64 = 64 << 10;

/// MIGRATE_PFN_VALID (include/linux/migrate.h): there is a page.
const VALID: u64 = 1;
/// MIGRATE_PFN_MIGRATE: it is to migrate.
const MIGRATE: u64 = 2;
/// MIGRATE_PFN_COMPOUND (6.19 on): the entry stands for a whole huge page. Not used before.
const COMPOUND: u64 = 1 << 4;

/// The points that count, of which each has a state of its own: a task that is taken off its CPU inside one program may
/// find that another has run.
#[derive(Clone, Copy)]
pub enum Counter {
    /// `migrate_vma_pages`.
    Pages,
    /// `migrate_vma_finalize`.
    Finalize,
    /// `migrate_device_range`.
    Range,
    /// `migrate_device_pfns`.
    Pfns,
}

impl Counter {
    const COUNT: u64 = 4;
}

/// What was counted, or [`UNCOUNTED`].
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Counts {
    /// Pages that migrate.
    pub migrated: u32,
    /// Addresses without a page that get one.
    pub filled: u32,
}

#[repr(C)]
struct Count {
    /// The array of source entries.
    sources: u64,
    /// The array of destination entries; 0 for none.
    destinations: u64,
    counts: Counts,
}

#[map]
static COUNTS: PerCpuArray<Count> = PerCpuArray::with_max_entries((COPIES * Counter::COUNT) as u32, 0);

/// Counts the entries of a migration; without destinations those that are to migrate.
#[inline(always)]
pub fn count(counter: Counter, copy: u16, sources: u64, destinations: u64, count: u64) -> Counts {
    const UNREAD: Counts = Counts { migrated: UNCOUNTED, filled: UNCOUNTED };
    let is_readable = sources != UNKNOWN && destinations != UNKNOWN;
    if global!(walk.loops) == 0 || !is_readable || count > MOST_PAGES {
        return UNREAD;
    }
    let place = counter as u32 * COPIES as u32 + u32::from(copy) - 1;
    // SAFETY: this CPU's own, and used by one program at a time.
    let Some(state) = COUNTS.get_ptr_mut(place).map(|state| unsafe { &mut *state }) else { return UNREAD };
    *state = Count { sources, destinations, counts: Counts { migrated: 0, filled: 0 } };
    let mut context: *mut Count = state;
    let context = (&raw mut context).cast::<c_void>();
    // SAFETY: the callback has the type that the helper wants, and the context outlives the loop.
    unsafe { bpf_loop(count as u32, look as *mut c_void, context, 0) };
    state.counts
}

/// One entry.
extern "C" fn look(number: u32, context: *mut c_void) -> i64 {
    // SAFETY: `count` passes a pointer to its pointer to the state.
    let state = unsafe { &mut **context.cast::<*mut Count>() };
    let offset = u64::from(number) * 8;
    let source = Probed::load::<u64>(state.sources + offset, 0);
    let destination = match state.destinations {
        0 => Some(VALID | COMPOUND),
        destinations => Probed::load::<u64>(destinations + offset, 0),
    };
    let (Some(source), Some(destination)) = (source, destination) else {
        state.counts = Counts { migrated: UNCOUNTED, filled: UNCOUNTED };
        return 1;
    };
    if source & MIGRATE == 0 || destination & VALID == 0 {
        return 0;
    }
    let pages = if source & destination & COMPOUND == 0 { 1 } else { 1 << (global!(entry.huge_order) & 31) };
    if source & VALID == 0 {
        state.counts.filled += pages;
    } else {
        state.counts.migrated += pages;
    }
    0
}
