//! Constants that only the kernel's memory holds, read before the session.

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
/// The table of sections where the next run goes on.
const NEXT_TABLE: u32 = 3;
/// The record of that table where it goes on.
const NEXT_SECTION: u32 = 4;

#[map]
static CALIBRATION: Array<u64> = Array::with_max_entries(5, 0);

/// Reads `vmemmap_base` and `page_offset_base` (arch/x86/kernel/head64.c; random with KASLR) and
/// `physical_mask` (arch/x86/mm/pgtable.c; without the bit that marks encrypted memory), or `mem_section` and
/// `memstart_addr` (arch/arm64/mm/init.c). Never attached: user space runs it with `BPF_PROG_TEST_RUN`, again and again
/// while `mem_section` was not looked through far enough.
#[raw_tracepoint]
pub fn calibrate(_context: RawTracePointContext) -> u32 {
    let base = match global!(memory_map.base_symbol) {
        0 => base_by_sections(),
        symbol => Probed::load::<u64>(symbol, 0).unwrap_or(0),
    };
    let _ = CALIBRATION.set(VMEMMAP_BASE, base, 0);
    let mask = global!(walk.address_mask);
    take(PAGE_OFFSET, global!(walk.page_offset_symbol), global!(walk.page_offset), u64::MAX);
    if global!(walk.memory_start_symbol) != 0 {
        let offset = match Probed::load::<u64>(global!(walk.memory_start_symbol), 0) {
            Some(start) => global!(walk.page_offset).wrapping_sub(start),
            None => 0,
        };
        let _ = CALIBRATION.set(PAGE_OFFSET, offset, 0);
    }
    take(ADDRESS_MASK, global!(walk.physical_mask_symbol), mask, mask);
    0
}

/// Tables, and records of a table, that one run looks at. The verifier follows each on its own, and takes no more than 8192
/// branches in a row (6.12 kernel/bpf/verifier.c, BPF_COMPLEXITY_LIMIT_JMP_SEQ): a table of a page of 64 KiB has 4096 records.
const STEP: u64 = 256;

/// The base from the record of any section that has memory: it holds the address of the `struct page` of its first
/// frame, less as many of them as the frame's number (6.12 mm/sparse.c, sparse_encode_mem_map). With one map for all
/// memory (SPARSEMEM_VMEMMAP) that is the base, whichever section it is. 0 where none was found yet: the next run goes on.
#[inline(always)]
fn base_by_sections() -> u64 {
    let tables = match global!(memory_map.sections_symbol) {
        0 => return 0,
        symbol => Probed::load::<u64>(symbol, 0).unwrap_or(0),
    };
    let (first_table, first) = (value(NEXT_TABLE), value(NEXT_SECTION));
    let mut skipped = 0;
    let mut table = 0;
    while skipped < STEP {
        table = Probed::load::<u64>(tables.wrapping_add((first_table + skipped) * 8), 0).unwrap_or(0);
        if table != 0 {
            break;
        }
        skipped += 1;
    }
    let _ = CALIBRATION.set(NEXT_TABLE, first_table + skipped, 0);
    if table == 0 {
        return 0;
    }
    // The first table there is has a section with memory: a table is made for one (6.12 mm/sparse.c, memory_present).
    for index in 0..STEP {
        let section = first + index;
        if section >= global!(memory_map.sections).into() {
            return 0;
        }
        let record = table.wrapping_add(section.wrapping_mul(global!(memory_map.section_size).into()));
        let word = Probed::load::<u64>(record, global!(memory_map.section_word)).unwrap_or(0);
        if word & global!(memory_map.section_present) != 0 {
            return word & global!(memory_map.section_mask);
        }
    }
    let _ = CALIBRATION.set(NEXT_SECTION, first + STEP, 0);
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
