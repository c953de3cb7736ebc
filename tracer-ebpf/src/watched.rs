//! The processes and threads that are watched.
//!
//! Nobody counts threads, and nothing is removed at an exit: threads of io_uring and vhost begin without
//! `sched_process_fork` and end with `sched_process_exit`, and a task has events after that (6.16 on even its
//! `exit_mmap`). A process id belongs to its process until another process gets it, and every process begins in
//! `kernel_clone` (6.12 kernel/fork.c), whose tracepoint comes before the child can run: there the id is watched
//! or it is not, and between two such moments nobody else can have it.

use core::arch::asm;
use core::ffi::c_void;

use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, HashMap};
use aya_ebpf::programs::RawTracePointContext;
use tracer_common::globals::{PROCESS_IDS, WATCH_PROCESS, WATCH_THREAD};

use crate::context::Context;
use crate::filter::Task;

/// A bit for every process id: whether it is watched. It is never full, and cheaper to read than a hash table.
#[map]
static PROCESSES: Array<u64> = Array::with_max_entries(PROCESS_IDS / 64, 0);

/// Thread ids that are watched, with their process ids.
#[map]
static THREADS: HashMap<u32, u32> = HashMap::with_max_entries(1024, 0);

/// Whether a process is watched.
#[inline(always)]
pub fn has_process(pid: u32) -> bool {
    PROCESSES.get(pid >> 6).is_some_and(|word| word >> (pid & 63) & 1 != 0)
}

/// Watches a process, or no longer. Others change bits of the same word at the same time.
#[inline(always)]
pub fn set_process(pid: u32, watched: bool) {
    let Some(word) = PROCESSES.get_ptr_mut(pid >> 6) else { return };
    let bit = 1_u64 << (pid & 63);
    // SAFETY: a word of a map value, which outlives the program's run, changed in one step (since 5.12).
    unsafe {
        if watched {
            asm!("lock *(u64 *)({word} + 0) |= {bit}", word = in(reg) word, bit = in(reg) bit, options(nostack));
        } else {
            asm!("lock *(u64 *)({word} + 0) &= {bit}", word = in(reg) word, bit = in(reg) !bit, options(nostack));
        }
    }
}

/// Whether a thread is watched. A thread of another process that got the id is another one.
#[inline(always)]
pub fn has_thread(task: Task) -> bool {
    // SAFETY: the value is only read, and never changed after it was inserted.
    unsafe { THREADS.get(task.tid()) }.is_some_and(|pid| *pid == task.pid())
}

/// A new thread, or a new process's first, got an id that a watched one had.
#[inline(always)]
pub fn forget_thread(tid: u32) {
    if THREADS.get_ptr(tid).is_some() {
        let _ = THREADS.remove(tid);
    }
}

/// The running thread executed another program and has its process's id now (6.12 fs/exec.c, de_thread).
#[inline(always)]
pub fn renumber_thread(task: Task, old_tid: u32) {
    if old_tid != task.tid() && THREADS.get_ptr(old_tid).is_some() {
        let _ = THREADS.remove(old_tid);
        let _ = THREADS.insert(task.tid(), task.pid(), 0);
    }
}

/// Watches a process or a thread that user space names, in one step for all CPUs. Never attached: user space runs
/// it with `BPF_PROG_TEST_RUN`, once for each. The arguments: what, its process id, its thread id. The result is 1
/// when it is done; aya's macro would make it 0.
#[unsafe(no_mangle)]
#[unsafe(link_section = "raw_tp")]
pub fn watch(context: *mut c_void) -> u32 {
    let context = RawTracePointContext::new(context);
    let (what, pid, tid) = (context.at(0) as u32, context.at(1) as u32, context.at(2) as u32);
    match what {
        WATCH_PROCESS => set_process(pid, true),
        WATCH_THREAD if THREADS.insert(tid, pid, 0).is_ok() => {}
        _ => return 0,
    }
    1
}
