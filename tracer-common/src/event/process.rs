//! Life of processes.

use super::COMM_LEN;
use super::field::bodies;

bodies! {
    /// Body of `Kind::ProcessFork`. The header's task is the parent.
    ProcessFork {
        /// Process id of the child; the parent's own for a new thread.
        child_pid: u32 as Id,
        /// Thread id of the child.
        child_tid: u32 as Id,
        /// Name that the child starts with.
        comm: [u8; COMM_LEN] as child_comm: Comm,
    }

    /// Body of `Kind::ProcessExec`.
    ProcessExec {
        /// Thread id before: a thread that execs takes the id of the group's leader.
        old_tid: u32 as Id,
        /// Always 0.
        reserved: u32,
        /// The new name.
        comm: [u8; COMM_LEN] as new_comm: Comm,
    }

    /// Body of `Kind::ProcessExit`.
    ProcessExit {
        /// `task_struct.exit_code`: status << 8 | signal, as `wait(2)` gives it.
        exit_code: u32
            as status (exit_code): ExitStatus "What the thread gave to exit(2)."
            as signal: ExitSignal "The signal that killed it, otherwise 0.",
        /// Always 0.
        reserved: u32,
    }

    /// Body of `Kind::ProcessRename`. The header's task may be another one than the renamed.
    ProcessRename {
        /// Process id of the renamed thread.
        target_pid: u32 as Id,
        /// Its thread id.
        target_tid: u32 as Id,
        /// The new name. Empty where kernel memory may not be read (lockdown).
        comm: [u8; COMM_LEN] as new_comm: Comm,
    }
}
