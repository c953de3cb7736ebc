//! Filters in the kernel: process, name, event, latency, control group.

use anyhow::ensure;
use rmapscope_tests::workload::Fact;

use super::{Check, Run, always};

pub const CHECKS: &[Check] = &[
    Check { name: "-p records one process", applies: always, sessions: &["filter-pid"], judge: process },
    Check {
        name: "-n records processes by their name",
        applies: always,
        sessions: &["filter-comm"],
        judge: name,
    },
    Check {
        name: "-G records a control group",
        applies: always,
        sessions: &["filter-cgroup"],
        judge: cgroup,
    },
    Check { name: "-e records one event", applies: always, sessions: &["filter-event"], judge: event },
    Check {
        name: "--min-latency drops what was faster",
        applies: always,
        sessions: &["filter-slow", "filter-fast"],
        judge: latency,
    },
];

/// All mlock events are of the one workload that is not labelled as noise, and none of its are missing.
fn only_the_wanted(run: &Run<'_>, name: &str) -> anyhow::Result<()> {
    let session = run.session(name)?;
    session.expect_status(0)?;
    let recording = session.recording()?;
    for fact in session.facts()? {
        let Fact::Count(count) = fact else { continue };
        let Some(pid) = count.pid else { continue };
        let seen = recording.of(&count.event).filter(|event| event.pid() == Some(pid.into())).count() as u64;
        let expected = if count.label == "noise" { 0 } else { count.expected };
        ensure!(seen == expected, "{seen} {} events of {} instead of {expected}", count.event, count.label);
    }
    let total = recording.of("mlock_folio").count();
    ensure!(total > 0, "nothing was recorded; {}", session.text("stderr")?);
    Ok(())
}

fn process(run: &Run<'_>) -> anyhow::Result<()> {
    only_the_wanted(run, "filter-pid")?;
    let count = run.session("filter-pid")?.recording()?.of("mlock_folio").count();
    ensure!(count == 25, "{count} mlock_folio events instead of 25");
    Ok(())
}

fn name(run: &Run<'_>) -> anyhow::Result<()> {
    let session = run.session("filter-comm")?;
    session.expect_status(0)?;
    let recording = session.recording()?;
    for event in recording.of("mlock_folio") {
        ensure!(event.text("comm")?.starts_with("other-"), "another name: {}", event.json());
    }
    let count = recording.of("mlock_folio").count();
    ensure!(count == 30, "{count} mlock_folio events instead of 30");
    Ok(())
}

fn cgroup(run: &Run<'_>) -> anyhow::Result<()> {
    only_the_wanted(run, "filter-cgroup")
}

fn event(run: &Run<'_>) -> anyhow::Result<()> {
    let session = run.session("filter-event")?;
    session.expect_status(0)?;
    let recording = session.recording()?;
    session.check_counts(&recording, &["mlock_folio"])?;
    for name in ["munlock_folio", "mlock_fixup"] {
        ensure!(recording.of(name).count() == 0, "{name} was not asked for");
    }
    Ok(())
}

fn latency(run: &Run<'_>) -> anyhow::Result<()> {
    let slow = run.session("filter-slow")?;
    slow.expect_status(0)?;
    let recording = slow.recording()?;
    ensure!(recording.of("try_to_unmap").count() == 0, "no page takes 10 s");
    ensure!(recording.total("lost", "rmap")? == 0, "filtered is not lost");

    let fast = run.session("filter-fast")?;
    fast.expect_status(0)?;
    fast.check_counts(&fast.recording()?, &["try_to_unmap"])
}
