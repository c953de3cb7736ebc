//! Raw page-table entries.

use tracer_common::event::UNKNOWN;

use crate::calibrate::{address_mask, vmemmap_base};
use crate::globals::global;

/// Bytes of a page on the architectures whose page tables are walked.
pub const PAGE_SIZE: u64 = 4096;

/// log2 of [`PAGE_SIZE`].
const PAGE_SHIFT: u64 = 12;

/// Whether it is a device-exclusive one.
#[inline(always)]
pub fn is_exclusive(entry: u64) -> bool {
    if entry == 0 || is_present(entry) {
        return false;
    }
    let swap_type = (entry >> (global!(entry.type_shift) & 63)) as u32 & global!(entry.type_mask);
    swap_type >= global!(entry.exclusive_first) && swap_type <= global!(entry.exclusive_last)
}

/// Whether it maps a page.
#[inline(always)]
pub fn is_present(entry: u64) -> bool {
    entry & global!(entry.present_mask) != 0
}

/// The `struct page` that a swap entry holds, or [`UNKNOWN`].
#[inline(always)]
pub fn page_of_swap(entry: u64) -> u64 {
    if is_present(entry) {
        return UNKNOWN;
    }
    let stored = if global!(entry.invert) != 0 { !entry } else { entry };
    page((stored << (global!(entry.up) & 63)) >> (global!(entry.down) & 63) & global!(entry.pfn_mask))
}

/// The `struct page` that a present entry maps, or [`UNKNOWN`]. Where no access is allowed x86 stores the
/// address inverted (6.12 arch/x86/include/asm/pgtable-invert.h).
#[inline(always)]
pub fn page_of_present(entry: u64) -> u64 {
    let stored = if entry & global!(walk.present_mask) == 0 { !entry } else { entry };
    page_at(stored & address_mask())
}

/// The `struct page` of a physical address, or [`UNKNOWN`].
#[inline(always)]
pub fn page_at(physical: u64) -> u64 {
    page(physical >> PAGE_SHIFT)
}

#[inline(always)]
fn page(pfn: u64) -> u64 {
    let base = vmemmap_base();
    if base == 0 { UNKNOWN } else { base + pfn * u64::from(global!(layout.page_size)) }
}
