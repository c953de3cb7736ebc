//! Constants that only the kernel's memory holds, read once before the session.

use aya_ebpf::macros::{map, raw_tracepoint};
use aya_ebpf::maps::Array;
use aya_ebpf::programs::RawTracePointContext;

use crate::globals::global;
use crate::memory::{Memory, Probed};

/// Slot 0: the address of the `struct page` of pfn 0; 0 while unknown.
#[map]
static CALIBRATION: Array<u64> = Array::with_max_entries(1, 0);

/// Reads `vmemmap_base` (arch/x86/kernel/head64.c; random with KASLR). Never attached: user space runs it
/// once with `BPF_PROG_TEST_RUN`.
#[raw_tracepoint]
pub fn calibrate(_context: RawTracePointContext) -> u32 {
    let symbol = global!(entry.vmemmap_symbol);
    if symbol != 0
        && let Some(base) = Probed::load::<u64>(symbol, 0)
    {
        let _ = CALIBRATION.set(0, base, 0);
    }
    0
}

/// Address of the `struct page` of pfn 0; 0 while unknown.
#[inline(always)]
pub fn vmemmap_base() -> u64 {
    CALIBRATION.get(0).copied().unwrap_or(0)
}
