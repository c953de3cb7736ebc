//! Life of processes: who is who, and which children are watched with their parents.

use tracer_common::event::{COMM_LEN, Kind, ProcessExec, ProcessExit, ProcessFork, ProcessRename};
use tracer_common::point::Argument;

use crate::call::{Call, field};
use crate::context::Context;
use crate::filter::{is_watched, watches};
use crate::globals::global;
use crate::memory::Memory;
use crate::{pairing, watched};

/// Process and thread id of a task.
#[inline(always)]
fn ids<C: Context>(task: u64) -> (u32, u32) {
    (field::<C, u32>(task, global!(layout.task_tgid)), field::<C, u32>(task, global!(layout.task_pid)))
}

/// Name of a task.
#[inline(always)]
fn comm<C: Context>(task: u64) -> [u8; COMM_LEN] {
    let base = global!(layout.task_comm);
    let low: u64 = C::Memory::load(task, base).unwrap_or(0);
    let high: u64 = C::Memory::load(task, base.saturating_add(8)).unwrap_or(0);
    let (low, high) = (low.to_ne_bytes(), high.to_ne_bytes());
    [
        low[0], low[1], low[2], low[3], low[4], low[5], low[6], low[7], high[0], high[1], high[2], high[3],
        high[4], high[5], high[6], high[7],
    ]
}

/// Tracepoint `sched:sched_process_fork`; `current` is the parent, and the child does not run yet.
#[inline(always)]
pub fn forked<C: Context>(call: &mut Call<'_, C>) {
    let (parent, child) = (call.argument(Argument::Parent), call.argument(Argument::Child));
    let (parent_pid, _) = ids::<C>(parent);
    let (child_pid, child_tid) = ids::<C>(child);
    if global!(options.filter_process) != 0 && child_pid != parent_pid {
        let follow = global!(options.follow_children) != 0 && watched::has_process(parent_pid);
        watched::set_process(child_pid, follow);
    }
    if global!(options.filter_thread) != 0 {
        watched::forget_thread(child_tid);
    }
    if !watches(call.task) {
        return;
    }
    let Some(room) = call.reserve(Kind::ProcessFork) else { return };
    room.send(ProcessFork { child_pid, child_tid, comm: comm::<C>(child) });
}

/// Tracepoint `sched:sched_process_exec`; the name is the new one already.
#[inline(always)]
pub fn executed<C: Context>(call: &mut Call<'_, C>) {
    let (task, old_tid) = (call.argument(Argument::Task), call.argument(Argument::OldPid));
    if global!(options.filter_thread) != 0 {
        watched::renumber_thread(call.task, old_tid as u32);
    }
    if !watches(call.task) {
        return;
    }
    let Some(room) = call.reserve(Kind::ProcessExec) else { return };
    room.send(ProcessExec { old_tid: old_tid as u32, reserved: 0, comm: comm::<C>(task) });
}

/// Tracepoint `sched:sched_process_exit`.
#[inline(always)]
pub fn exited<C: Context>(call: &mut Call<'_, C>) {
    let task = call.argument(Argument::Task);
    if watches(call.task)
        && let Some(room) = call.reserve(Kind::ProcessExit)
    {
        room.send(ProcessExit {
            exit_code: field::<C, u32>(task, global!(layout.task_exit_code)),
            reserved: 0,
        });
    }
    pairing::forget(call.task);
}

/// Tracepoint `task:task_rename`: the task still has the old name.
#[inline(always)]
pub fn renamed<C: Context>(call: &mut Call<'_, C>) {
    let (target_pid, target_tid) = ids::<C>(call.argument(Argument::Task));
    if !is_watched(target_pid) {
        return;
    }
    let name = call.argument(Argument::Comm);
    let Some(room) = call.reserve(Kind::ProcessRename) else { return };
    room.send(ProcessRename { target_pid, target_tid, comm: name_at(name) });
}

/// The NUL-terminated name at a kernel address that is a plain number; empty where it cannot be read.
#[inline(always)]
fn name_at(address: u64) -> [u8; COMM_LEN] {
    let mut name = [0; COMM_LEN];
    if global!(options.read_kernel) != 0 {
        // SAFETY: the helper checks the source, and stops at the NUL or at the destination's end.
        let _ =
            unsafe { aya_ebpf::helpers::bpf_probe_read_kernel_str_bytes(address as *const u8, &mut name) };
    }
    name
}
