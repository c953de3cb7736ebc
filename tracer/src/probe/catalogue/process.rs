//! Life of processes. These tracepoints are older than every kernel that has BTF.

use tracer_common::point::{Argument, Point};

use super::{Absence, Candidate, Entry, Holds, Place, Wanted};

const TASK: Wanted = Wanted::at(Argument::Task, Place::FromStart(0), Holds::Pointer(&["task_struct"]));

const ABSENCE: Absence = Absence {
    config: Some("TRACEPOINTS"),
    inlined_into: None,
    instead: &[],
    reason: "the kernel was built without tracepoints",
};

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        arguments: &[
            Wanted { argument: Argument::Parent, ..TASK },
            Wanted::at(Argument::Child, Place::FromStart(1), Holds::Pointer(&["task_struct"])),
        ],
        fields: &["task_pid", "task_tgid", "task_comm"],
        candidates: &[Candidate::of(
            "sched:sched_process_fork",
            "all",
            &["struct task_struct *, struct task_struct *"],
        )],
        absence: ABSENCE,
        ..Entry::of(Point::ProcessFork)
    },
    Entry {
        arguments: &[TASK, Wanted::at(Argument::OldPid, Place::FromStart(1), Holds::Value)],
        fields: &["task_comm"],
        candidates: &[Candidate::of(
            "sched:sched_process_exec",
            "all",
            &["struct task_struct *, pid_t, struct linux_binprm *"],
        )],
        absence: ABSENCE,
        ..Entry::of(Point::ProcessExec)
    },
    Entry {
        arguments: &[TASK],
        fields: &["task_pid", "task_tgid", "task_exit_code"],
        candidates: &[Candidate::of(
            "sched:sched_process_exit",
            "all",
            &["struct task_struct *", "struct task_struct *, bool"],
        )],
        absence: ABSENCE,
        ..Entry::of(Point::ProcessExit)
    },
    Entry {
        arguments: &[TASK, Wanted::at(Argument::Comm, Place::FromStart(1), Holds::Pointer(&["char"]))],
        fields: &["task_pid", "task_tgid"],
        lost_without_probe_read: Some("the new name"),
        candidates: &[Candidate::of("task:task_rename", "all", &["struct task_struct *, const char *"])],
        absence: ABSENCE,
        ..Entry::of(Point::ProcessRename)
    },
];
