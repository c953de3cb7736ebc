//! Who is watched.
//!
//! Bounce buffers belong to devices: what runs on the CPU when a device's interrupt maps or unmaps says
//! nothing about whose I/O it is. So the swiotlb family is not filtered by process, only by being asked for.

use core::ptr::read_volatile;

use aya_ebpf::helpers::generated::bpf_get_current_ancestor_cgroup_id;
use aya_ebpf::helpers::{bpf_get_current_comm, bpf_get_current_pid_tgid};
use tracer_common::event::COMM_LEN;
use tracer_common::family::Family;
use tracer_common::glob::{self, Glob};
use tracer_common::globals::MAX_PATTERNS;
use tracer_common::point::Point;

use crate::globals::{block, global};
use crate::watched;

/// The task that runs on this CPU; in an interrupt the one that it interrupted.
#[derive(Clone, Copy)]
pub struct Task {
    /// Process id << 32 | thread id, as the helper gives it: asked for once in each program.
    pub pid_tgid: u64,
}

impl Task {
    /// The running one.
    #[inline(always)]
    pub fn current() -> Self {
        Self { pid_tgid: bpf_get_current_pid_tgid() }
    }

    /// Process id.
    #[inline(always)]
    pub fn pid(self) -> u32 {
        (self.pid_tgid >> 32) as u32
    }

    /// Thread id.
    #[inline(always)]
    pub fn tid(self) -> u32 {
        self.pid_tgid as u32
    }
}

/// Whether programs of a point have work to do for the current task.
///
/// Those of process life always have: a watched child may have a parent whose own events are not sent. So have
/// those that follow the exclusive pages of a watched process, which the OOM reaper, khugepaged or another
/// process may end: they go by the address space. They ask [`watches`] before they send what is the task's own.
#[inline(always)]
pub fn admits(point: Point, task: Task) -> bool {
    matches!(point.family(), Family::Swiotlb | Family::Process)
        || matches!(
            point,
            Point::RestoreExclusivePte
                | Point::UnmapPageRange
                | Point::MovePageTables
                | Point::ExitMmap
                | Point::MlockFolio
        )
        || watches(task)
}

/// Whether events by the current task are to be sent.
#[inline(always)]
pub fn watches(task: Task) -> bool {
    task.pid() != global!(options.tracer_pid)
        && is_watched(task.pid())
        && (global!(options.filter_more) == 0 || passes_more(task))
}

/// The filters that few sessions have.
#[inline(always)]
fn passes_more(task: Task) -> bool {
    (global!(options.filter_thread) == 0 || watched::has_thread(task)) && in_cgroup() && has_name()
}

/// Whether a process is watched, when only some are.
#[inline(always)]
pub fn is_watched(pid: u32) -> bool {
    global!(options.filter_process) == 0 || watched::has_process(pid)
}

#[inline(always)]
fn in_cgroup() -> bool {
    let (wanted, level) = (global!(options.cgroup), global!(options.cgroup_level) as i32);
    // SAFETY: the helper takes any level and answers 0 where there is no such ancestor.
    wanted == 0 || wanted == unsafe { bpf_get_current_ancestor_cgroup_id(level) }
}

#[inline(always)]
fn has_name() -> bool {
    let count = global!(options.pattern_count) as usize;
    if count == 0 {
        return true;
    }
    let Ok(name) = bpf_get_current_comm() else { return false };
    (0..MAX_PATTERNS).any(|index| index < count && matches(index, &name))
}

/// Whether a name matches the pattern of that number ([`Glob::matches`], on tables in `.rodata`).
#[inline(always)]
fn matches(index: usize, name: &[u8; COMM_LEN]) -> bool {
    // SAFETY: the index is below the array's length.
    let pattern = unsafe { (&raw const (*block()).options.patterns).cast::<Glob>().add(index) };
    // SAFETY: whole patterns for the life of the program.
    let (stars, accept) =
        unsafe { (read_volatile(&raw const (*pattern).stars), read_volatile(&raw const (*pattern).accept)) };
    let mut state = glob::start(stars);
    for byte in name {
        if *byte == 0 {
            break;
        }
        // SAFETY: the table has an entry for every byte.
        let takes =
            unsafe { read_volatile((&raw const (*pattern).takes).cast::<u16>().add(usize::from(*byte))) };
        state = glob::step(state, takes, stars);
    }
    state & accept != 0
}
