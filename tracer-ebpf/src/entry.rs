//! Raw page-table entries.

use tracer_common::event::UNKNOWN;

use crate::calibrate::{address_mask, vmemmap_base};
use crate::globals::global;

/// log2 of the bytes of a page.
#[inline(always)]
pub fn page_shift() -> u32 {
    global!(entry.page_shift) & 31
}

/// Bytes of a page.
#[inline(always)]
pub fn page_size() -> u64 {
    1 << page_shift()
}

/// Whether it is a device-exclusive one.
#[inline(always)]
pub fn is_exclusive(entry: u64) -> bool {
    if entry == 0 || is_present(entry) {
        return false;
    }
    let swap_type = (entry >> (global!(entry.type_shift) & 63)) as u32 & global!(entry.type_mask);
    swap_type >= global!(entry.exclusive_first) && swap_type <= global!(entry.exclusive_last)
}

/// Whether it is a migration entry.
#[inline(always)]
pub fn is_migration(entry: u64) -> bool {
    if entry == 0 || is_present(entry) {
        return false;
    }
    let swap_type = (entry >> (global!(entry.type_shift) & 63)) as u32 & global!(entry.type_mask);
    swap_type >= global!(entry.migration_first) && swap_type <= global!(entry.migration_last)
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
    let without = u64::from(global!(walk.inverted_without));
    let stored = if without != 0 && entry & without == 0 { !entry } else { entry };
    page_at(address(stored, address_mask()))
}

/// The physical address in a raw entry; `mask` is [`address_mask`].
#[inline(always)]
pub fn address(entry: u64, mask: u64) -> u64 {
    entry & mask | (entry & global!(walk.high_mask)) << (global!(walk.high_shift) & 63)
}

/// The `struct page` of a physical address, or [`UNKNOWN`].
#[inline(always)]
pub fn page_at(physical: u64) -> u64 {
    page(physical >> page_shift())
}

#[inline(always)]
fn page(pfn: u64) -> u64 {
    let base = vmemmap_base();
    if base == 0 { UNKNOWN } else { base + pfn * u64::from(global!(layout.page_size)) }
}
