//! Hits of a kprobe that the kernel skipped.
//!
//! Where a kprobe's handler runs, an interrupt's kprobes are skipped (6.1 arch/x86/kernel/kprobes/ftrace.c,
//! `kprobe_ftrace_handler`) and counted in `struct kprobe`, which the kernel shows of links since 6.7 only.

use core::ffi::c_void;

use aya_ebpf::helpers::generated::bpf_get_current_task_btf;
use aya_ebpf::programs::RawTracePointContext;
use tracer_common::globals::{OFFSET_ABSENT, SKIPPED_UNKNOWN};

use crate::context::Context;
use crate::globals::global;
use crate::memory::{Memory, Probed};

/// The hits that were skipped of the kprobe behind a link, by the link's file descriptor in this process;
/// [`SKIPPED_UNKNOWN`] where they cannot be read. Never attached: user space runs it with `BPF_PROG_TEST_RUN`.
#[unsafe(no_mangle)]
#[unsafe(link_section = "raw_tp")]
pub fn skipped_hits(context: *mut c_void) -> u32 {
    let context = RawTracePointContext::new(context);
    match skipped(context.at(0)) {
        Some(number) if number < u64::from(SKIPPED_UNKNOWN) => number as u32,
        Some(_) => SKIPPED_UNKNOWN - 1,
        None => SKIPPED_UNKNOWN,
    }
}

/// From the descriptor to its link, the link's perf event, that one's kprobe (6.1 kernel/trace/trace_probe.h,
/// `trace_probe_primary_from_call`; trace_kprobe.c, `to_trace_kprobe`).
#[inline(always)]
fn skipped(descriptor: u64) -> Option<u64> {
    // SAFETY: the helper has no preconditions.
    let task = unsafe { bpf_get_current_task_btf() } as u64;
    let files = word(task, global!(layout.task_files))?;
    let table = word(files, global!(layout.files_table))?;
    let link_file = word(word(table, global!(layout.table_files))? + descriptor * 8, 0)?;
    let link = word(link_file, global!(layout.file_private))?;
    let event = word(word(link, global!(layout.link_file))?, global!(layout.file_private))?;
    let trace_event = around(word(event, global!(layout.event_call))?, global!(layout.trace_event_call))?;
    let probe =
        around(word(trace_event, global!(layout.trace_event_probes))?, global!(layout.trace_probe_list))?;
    let kprobe = around(probe, global!(layout.trace_kprobe_probe))?;
    let skipped = word(kprobe, global!(layout.trace_kprobe_skipped))?;
    // Of a return probe also calls for which no instance was free.
    let without_instance = Probed::load::<u32>(kprobe, global!(layout.trace_kprobe_no_instance))?;
    Some(skipped + u64::from(without_instance))
}

#[inline(always)]
fn word(base: u64, offset: u32) -> Option<u64> {
    Probed::load::<u64>(base, offset)
}

/// The structure around a member.
#[inline(always)]
fn around(member: u64, offset: u32) -> Option<u64> {
    if offset == OFFSET_ABSENT { None } else { Some(member - u64::from(offset)) }
}
