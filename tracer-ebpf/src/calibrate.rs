//! Constants that only the kernel's memory holds, read once before the session.

use aya_ebpf::macros::{map, raw_tracepoint};
use aya_ebpf::maps::Array;
use aya_ebpf::programs::RawTracePointContext;

use tracer_common::globals::OFFSET_ABSENT;

use crate::globals::global;
use crate::memory::{Memory, Probed};

/// The address of the `struct page` of pfn 0; 0 while unknown.
const VMEMMAP_BASE: u32 = 0;
/// The start of the direct map; 0 while unknown.
const PAGE_OFFSET: u32 = 1;
/// Masks the physical address in a page-table entry; 0 while unknown.
const ADDRESS_MASK: u32 = 2;

#[map]
static CALIBRATION: Array<u64> = Array::with_max_entries(3, 0);

/// Reads `vmemmap_base` and `page_offset_base` (arch/x86/kernel/head64.c; random with KASLR) and
/// `physical_mask` (arch/x86/mm/pgtable.c; without the bit that marks encrypted memory). Never attached: user
/// space runs it once with `BPF_PROG_TEST_RUN`.
#[raw_tracepoint]
pub fn calibrate(_context: RawTracePointContext) -> u32 {
    let mask = global!(walk.address_mask);
    take(VMEMMAP_BASE, global!(entry.vmemmap_symbol), 0, u64::MAX);
    take(PAGE_OFFSET, global!(walk.page_offset_symbol), global!(walk.page_offset), u64::MAX);
    take(ADDRESS_MASK, global!(walk.physical_mask_symbol), mask, mask);
    0
}

/// Keeps the masked value of a variable, or the constant where the kernel has no such variable.
#[inline(always)]
fn take(slot: u32, symbol: u64, constant: u64, mask: u64) {
    let value = if symbol == 0 { constant } else { Probed::load::<u64>(symbol, 0).unwrap_or(0) & mask };
    let _ = CALIBRATION.set(slot, value, 0);
}

#[inline(always)]
fn value(slot: u32) -> u64 {
    CALIBRATION.get(slot).copied().unwrap_or(0)
}

/// Address of the `struct page` of pfn 0; 0 while unknown, and where the size of one is not known.
#[inline(always)]
pub fn vmemmap_base() -> u64 {
    if global!(layout.page_size) == OFFSET_ABSENT { 0 } else { value(VMEMMAP_BASE) }
}

/// Start of the direct map; 0 while unknown.
#[inline(always)]
pub fn page_offset() -> u64 {
    value(PAGE_OFFSET)
}

/// Masks the physical address in a page-table entry; 0 while unknown.
#[inline(always)]
pub fn address_mask() -> u64 {
    value(ADDRESS_MASK)
}
