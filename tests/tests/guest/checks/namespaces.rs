//! In namespaces of its own the program finds whom it is to watch, or says why it cannot.

use anyhow::ensure;

use super::tasks::exactly;
use super::{Check, Run, always, names, with_namespaces};

pub const CHECKS: &[Check] = &[
    Check {
        name: "a pid namespace: its ids are translated",
        applies: with_namespaces,
        sessions: &["namespace-pid"],
        judge: pid,
    },
    Check {
        name: "a time namespace: events have the kernel's time",
        applies: with_namespaces,
        sessions: &["namespace-time"],
        judge: time,
    },
    Check {
        name: "a cgroup namespace: -G finds the cgroup",
        applies: always,
        sessions: &["namespace-cgroup"],
        judge: cgroup,
    },
    Check {
        name: "what cannot work in a namespace is refused with the reason",
        applies: with_namespaces,
        sessions: &names(REFUSED),
        judge: refused,
    },
];

/// Sessions that are refused, and the reason.
const REFUSED: [(&str, &str); 4] = [
    ("namespace-pid-other-proc", "/proc shows a different pid namespace"),
    ("namespace-user", "not the first user namespace"),
    ("namespace-no-sys", "/sys is not mounted"),
    ("namespace-no-proc", "/proc is not mounted"),
];

fn pid(run: &Run<'_>) -> anyhow::Result<()> {
    exactly(run, "namespace-pid", "mlock_folio")?;
    let recording = run.session("namespace-pid")?.recording()?;
    let own =
        |event: &crate::recording::Event| event.text("comm").is_ok_and(|comm| comm == "rmapscope-workl");
    ensure!(recording.of("mlock_folio").all(own), "the process has no name");
    Ok(())
}

fn time(run: &Run<'_>) -> anyhow::Result<()> {
    exactly(run, "namespace-time", "mlock_folio")?;
    let session = run.session("namespace-time")?;
    let begin = session.recording()?.summary()?["begin"].as_u64().unwrap_or(0) / 1_000_000_000;
    let uptime = |name: &str| anyhow::Ok(session.text(name)?.trim().parse::<u64>()?);
    let (before, after) = (uptime("before")?, uptime("after")?);
    ensure!((before.saturating_sub(2)..=after + 2).contains(&begin), "{begin} is not in {before}..{after}");
    Ok(())
}

fn cgroup(run: &Run<'_>) -> anyhow::Result<()> {
    let session = run.session("namespace-cgroup")?;
    if session.file("skipped").exists() {
        return Ok(());
    }
    exactly(run, "namespace-cgroup", "mlock_folio")
}

fn refused(run: &Run<'_>) -> anyhow::Result<()> {
    for (name, reason) in REFUSED {
        let session = run.session(name)?;
        session.expect_status(4)?;
        ensure!(session.said().contains(reason), "{name} says: {}", session.said());
    }
    Ok(())
}
