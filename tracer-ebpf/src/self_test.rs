//! Programs that the session hits on purpose, one for each way to attach: what keeps them from running keeps the
//! others of their kind from it.

use aya_ebpf::macros::{btf_tracepoint, fentry, fexit, kprobe, kretprobe, map, raw_tracepoint};
use aya_ebpf::maps::Array;
use aya_ebpf::programs::{
    BtfTracePointContext, FEntryContext, FExitContext, ProbeContext, RawTracePointContext, RetProbeContext,
};
use tracer_common::self_test::Way;

/// How often the program of each way ran. Another task that makes the same call counts, too: it proves the same.
#[map]
static SELF_TEST: Array<u64> = Array::with_max_entries(Way::COUNT as u32, 0);

#[inline(always)]
fn ran(way: Way) -> u32 {
    if let Some(hits) = SELF_TEST.get_ptr_mut(way as u32) {
        // SAFETY: a word of a map value; of two tasks at once one may not be counted, which leaves the other.
        unsafe { *hits += 1 };
    }
    0
}

#[fentry]
pub fn fentry_self_test(_context: FEntryContext) -> u32 {
    ran(Way::Fentry)
}

#[fexit]
pub fn fexit_self_test(_context: FExitContext) -> u32 {
    ran(Way::Fexit)
}

#[kprobe]
pub fn kprobe_self_test(_context: ProbeContext) -> u32 {
    ran(Way::Kprobe)
}

#[kretprobe]
pub fn kretprobe_self_test(_context: RetProbeContext) -> u32 {
    ran(Way::Kretprobe)
}

#[btf_tracepoint]
pub fn tp_self_test(_context: BtfTracePointContext) -> u32 {
    ran(Way::BtfTracepoint)
}

#[raw_tracepoint]
pub fn raw_tp_self_test(_context: RawTracePointContext) -> u32 {
    ran(Way::RawTracepoint)
}
