//! Whether the pages that `migrate_vma_setup` collected are locked.

use core::ffi::c_void;

use aya_ebpf::helpers::generated::bpf_loop;
use aya_ebpf::macros::map;
use aya_ebpf::maps::PerCpuArray;
use tracer_common::copies::COPIES;
use tracer_common::event::{UNCOUNTED, UNKNOWN};
use tracer_common::globals::OFFSET_ABSENT;

use crate::calibrate::vmemmap_base;
use crate::globals::global;
use crate::memory::{Memory, Probed};
use crate::page;

/// Most pages of one call that are looked at: 256 MiB.
const MOST_PAGES: u64 = 64 << 10;

/// MIGRATE_PFN_VALID | MIGRATE_PFN_MIGRATE (include/linux/migrate.h): a page that was collected.
const COLLECTED: u64 = 3;
/// MIGRATE_PFN_SHIFT.
const PFN_SHIFT: u64 = 6;

/// What was found.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Locks {
    /// Collected pages that are not locked, or [`UNCOUNTED`].
    pub unlocked: u32,
    reserved: u32,
    /// The first one; 0 for none.
    pub first: u64,
}

#[repr(C)]
struct Check {
    /// The array of source entries.
    entries: u64,
    locks: Locks,
}

/// One for each CPU and copy of the program of `migrate_vma_setup`. In a map as the state of the scan at fork.
#[map]
static CHECK: PerCpuArray<Check> = PerCpuArray::with_max_entries(COPIES as u32, 0);

#[inline(always)]
fn state(copy: u16) -> Option<&'static mut Check> {
    // SAFETY: this CPU's own, and used by one program at a time.
    CHECK.get_ptr_mut(u32::from(copy) - 1).map(|check| unsafe { &mut *check })
}

/// Looks at the pages of an array of source entries.
#[inline(always)]
pub fn check(entries: u64, count: u64, copy: u16) -> Locks {
    const UNREAD: Locks = Locks { unlocked: UNCOUNTED, reserved: 0, first: 0 };
    let is_readable = vmemmap_base() != 0 && global!(entry.locked_bit) != OFFSET_ABSENT;
    if global!(walk.loops) == 0 || !is_readable || entries == UNKNOWN || count > MOST_PAGES {
        return UNREAD;
    }
    let Some(check) = state(copy) else { return UNREAD };
    check.entries = entries;
    check.locks = Locks { unlocked: 0, reserved: 0, first: 0 };
    let mut context: *mut Check = check;
    let context = (&raw mut context).cast::<c_void>();
    // SAFETY: the callback has the type that the helper wants, and the context outlives the loop.
    unsafe { bpf_loop(count as u32, look as *mut c_void, context, 0) };
    check.locks
}

/// One entry.
extern "C" fn look(number: u32, context: *mut c_void) -> i64 {
    // SAFETY: `check` passes a pointer to its pointer to the state.
    let check = unsafe { &mut **context.cast::<*mut Check>() };
    let Some(entry) = Probed::load::<u64>(check.entries + u64::from(number) * 8, 0) else {
        check.locks.unlocked = UNCOUNTED;
        return 1;
    };
    if entry & COLLECTED == COLLECTED {
        let page = vmemmap_base() + (entry >> PFN_SHIFT) * u64::from(global!(layout.page_size));
        let flags = page::flags_of_any(page);
        if flags == UNKNOWN {
            check.locks.unlocked = UNCOUNTED;
            return 1;
        }
        if flags >> (global!(entry.locked_bit) & 63) & 1 == 0 {
            if check.locks.unlocked == 0 {
                check.locks.first = page;
            }
            check.locks.unlocked += 1;
        }
    }
    0
}
