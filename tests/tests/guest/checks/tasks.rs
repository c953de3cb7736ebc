//! Who is watched stays watched: every event of theirs, none of anybody else.

use anyhow::ensure;

use super::{Check, Run, always, with_namespaces};

pub const CHECKS: &[Check] = &[
    Check {
        name: "a process that had an io_uring stays watched",
        applies: always,
        sessions: &["tasks-ring"],
        judge: ring,
    },
    Check {
        name: "a process stays watched whatever its tasks do",
        applies: always,
        sessions: &[
            "tasks-churn",
            "tasks-crowd",
            "tasks-exec-by-thread",
            "tasks-leader-exits",
            "tasks-daemon",
        ],
        judge: stories,
    },
    Check {
        name: "a process id that is used again is another process",
        // By a file that the kernel has with pid namespaces (6.12 kernel/pid_namespace.c, pid_namespaces_init).
        applies: with_namespaces,
        sessions: &["tasks-reuse"],
        judge: reuse,
    },
];

/// Every event of that name is of the workload that is no noise, and none of its are missing. By the total, because
/// ids may be used again.
pub(super) fn exactly(run: &Run<'_>, name: &str, event: &str) -> anyhow::Result<()> {
    let session = run.session(name)?;
    session.expect_status(0)?;
    let recording = session.recording()?;
    let counts = session.counts()?;
    let ours = counts.iter().filter(|count| count.event == event && count.label != "noise");
    let expected: u64 = ours.map(|count| count.expected).sum();
    let seen = recording.of(event).count() as u64;
    ensure!(expected > 0, "{name}: no workload stated a count of {event}; it said:\n{}", session.said());
    ensure!(seen == expected, "{name}: {seen} {event} events instead of {expected}");
    Ok(())
}

fn ring(run: &Run<'_>) -> anyhow::Result<()> {
    exactly(run, "tasks-ring", "try_to_unmap")
}

fn stories(run: &Run<'_>) -> anyhow::Result<()> {
    for story in run.sessions {
        exactly(run, story, "mlock_folio")?;
    }
    Ok(())
}

fn reuse(run: &Run<'_>) -> anyhow::Result<()> {
    exactly(run, "tasks-reuse", "mlock_folio")?;
    let reused = run.session("tasks-reuse")?.text("reused")?.lines().count();
    ensure!(reused >= 6, "only {reused} of 8 process ids were used again");
    Ok(())
}
