//! What only the kernel knows of this process's namespaces. Never attached: user space runs these programs with
//! `BPF_PROG_TEST_RUN`, in its own context, and gets the answer as their result; aya's macro would make it 0.

use core::ffi::c_void;

use aya_ebpf::helpers::generated::{bpf_get_current_ancestor_cgroup_id, bpf_get_current_task};
use aya_ebpf::programs::RawTracePointContext;

use crate::context::Context;
use crate::memory::{Memory, Probed};

/// The kernel's own number of the process or thread whose folder in /proc the caller has open; 0 when it cannot be
/// read. The arguments: the descriptor, the offsets of `task_struct.files`, `files_struct.fdt`, `fdtable.fd` and
/// `file.f_inode`, the way from the inode to `proc_inode.pid` (6.12 fs/proc/internal.h), and the offset of the first
/// number in `struct pid`, which is that of the first pid namespace (6.12 kernel/pid.c, alloc_pid).
#[unsafe(no_mangle)]
#[unsafe(link_section = "raw_tp")]
pub fn identify(context: *mut c_void) -> u32 {
    number(&RawTracePointContext::new(context)).unwrap_or(0)
}

#[inline(always)]
fn number(context: &RawTracePointContext) -> Option<u32> {
    // SAFETY: the helper has no preconditions.
    let task = unsafe { bpf_get_current_task() };
    let files: u64 = Probed::load(task, context.at(1) as u32)?;
    let table: u64 = Probed::load(files, context.at(2) as u32)?;
    let descriptors: u64 = Probed::load(table, context.at(3) as u32)?;
    let file: u64 = Probed::load(descriptors.wrapping_add(context.at(0).wrapping_mul(8)), 0)?;
    let inode: u64 = Probed::load(file, context.at(4) as u32)?;
    let pid: u64 = Probed::load(inode.wrapping_add(context.at(5)), 0)?;
    Probed::load(pid, context.at(6) as u32)
}

/// 1 when the caller's ancestor at that depth of the cgroup v2 tree is the one with that id. The arguments: depth, id.
#[unsafe(no_mangle)]
#[unsafe(link_section = "raw_tp")]
pub fn ancestor(context: *mut c_void) -> u32 {
    let context = RawTracePointContext::new(context);
    // SAFETY: the helper takes any level and answers 0 where there is no such ancestor.
    u32::from(unsafe { bpf_get_current_ancestor_cgroup_id(context.at(0) as i32) } == context.at(1))
}
