//! Address spaces in which pages were made exclusive: only of these page tables are read at fork, and ends of
//! entries reported. Every other process pays one hash look-up.

use aya_ebpf::macros::map;
use aya_ebpf::maps::HashMap;
use tracer_common::family::Family;

use crate::buffer::{count, counters};

/// Not one that drops its oldest entries: what becomes of a process that is not in it is not seen.
#[map]
static SPACES: HashMap<u64, u64> = HashMap::with_max_entries(16384, 0);

/// Notes that a page of it was to be made exclusive. A call that fails can leave entries behind (6.12
/// mm/rmap.c, make_device_exclusive_range). Where there is no room for it, its forks and the ends of its entries are
/// beginnings whose end will not be seen.
#[inline(always)]
pub fn note(mm: u64) {
    if SPACES.insert(mm, 1, 0).is_err()
        && let Some(counters) = counters()
    {
        count(&mut counters.unpaired[Family::Exclusive as usize]);
        count(&mut counters.unpaired[Family::Fork as usize]);
    }
}

/// Whether it is one of them.
#[inline(always)]
pub fn is_noted(mm: u64) -> bool {
    SPACES.get_ptr(mm).is_some()
}

/// Forgets one that ended; whether it was one of them.
#[inline(always)]
pub fn forget(mm: u64) -> bool {
    SPACES.remove(mm).is_ok()
}
