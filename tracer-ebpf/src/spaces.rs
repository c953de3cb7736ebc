//! Address spaces in which pages were made exclusive: only of these page tables are read at fork, and ends of
//! entries reported. Every other process pays one hash look-up.

use aya_ebpf::macros::map;
use aya_ebpf::maps::LruHashMap;

#[map]
static SPACES: LruHashMap<u64, u64> = LruHashMap::with_max_entries(4096, 0);

/// Notes that a page of it was to be made exclusive. A call that fails can leave entries behind (6.12
/// mm/rmap.c, make_device_exclusive_range).
#[inline(always)]
pub fn note(mm: u64) {
    let _ = SPACES.insert(mm, 1, 0);
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
