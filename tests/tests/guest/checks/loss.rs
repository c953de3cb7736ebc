//! A ring that is much too small.

use anyhow::ensure;

use super::{Check, Run, always};
use crate::recording::{Recording, Session};

pub const CHECKS: &[Check] = &[Check {
    name: "seen and lost add up to emitted, exactly",
    applies: always,
    sessions: &["loss"],
    judge: loss,
}];

/// How many `try_to_unmap` events the session had.
#[derive(Debug)]
pub(super) struct Totals {
    pub(super) seen: u64,
    pub(super) lost: u64,
}

fn loss(run: &Run<'_>) -> anyhow::Result<()> {
    let session = run.session("loss")?;
    let (_, totals) = adds_up(&session)?;
    ensure!(totals.lost > 0, "a ring of one page lost nothing: the test shows nothing");
    ensure!(totals.seen > 0, "not one event was seen");
    let (status, lost) = (session.text("stderr")?, totals.lost.to_string());
    ensure!(status.contains(&lost), "the end of the session does not name the loss: {status}");
    Ok(())
}

/// What was seen and what was lost is what was emitted, which is what the workloads did; and each loss has its place.
pub(super) fn adds_up(session: &Session) -> anyhow::Result<(Recording, Totals)> {
    session.expect_status(0)?;
    let recording = session.recording()?;
    let counts = session.counts()?;
    let unmapped = counts.iter().filter(|count| count.event == "try_to_unmap");
    let expected: u64 = unmapped.map(|count| count.expected).sum();
    ensure!(expected > 0, "no workload stated a count; the session said:\n{}", session.said());

    let seen = recording.of("try_to_unmap").count() as u64;
    let lost = recording.total("lost", "rmap")?;
    let emitted = recording.total("emitted", "rmap")?;
    ensure!(seen + lost == emitted, "{seen} seen and {lost} lost are not {emitted} emitted");
    ensure!(emitted == expected, "{emitted} emitted, but the workload unmapped {expected} pages");

    let of_rmap =
        recording.lines("loss").iter().filter(|line| line["cause"] == "lost" && line["family"] == "rmap");
    let in_place: u64 = of_rmap.map(|line| line["count"].as_u64().unwrap_or(0)).sum();
    ensure!(in_place == lost, "loss records of {in_place} events, the summary has {lost}");
    Ok((recording, Totals { seen, lost }))
}
