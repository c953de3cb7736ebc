//! Eight CPUs that emit at once, and a reader that stands still meanwhile: nothing is miscounted, nothing out of order.

use std::collections::BTreeMap;

use anyhow::ensure;

use super::loss::adds_up;
use super::{Check, Run, many_cpus};
use crate::recording::{Recording, Session};

pub const CHECKS: &[Check] = &[
    Check {
        name: "eight CPUs at once: every event, in order",
        applies: many_cpus,
        sessions: &["reclaim-at-once"],
        judge: whole,
    },
    Check {
        name: "eight CPUs at once without a reader: seen and lost are emitted",
        applies: many_cpus,
        sessions: &["reclaim-at-once-loss"],
        judge: lossy,
    },
    Check {
        name: "a reader that was stopped for seconds: seen and lost are emitted",
        applies: many_cpus,
        sessions: &["stopped-reader"],
        judge: stopped,
    },
];

/// Processes at once, and what each unmaps.
const PROCESSES: u64 = 8;
const EACH: u64 = 2048;

/// Whether these are the events of all processes. Where reclaim left a page of one behind, which that one says and then
/// states no fact, nobody knows how often the kernel tried.
fn are_all(session: &Session, events: u64) -> anyhow::Result<()> {
    let mut exact = 0;
    for process in 0..PROCESSES {
        exact += u64::from(session.text(&format!("facts.{process}"))?.contains(r#""exact":true"#));
    }
    ensure!(exact >= PROCESSES / 2, "only {exact} processes paged out all of their pages");
    let (fewest, most) = (exact * EACH, if exact == PROCESSES { exact * EACH } else { u64::MAX });
    ensure!((fewest..=most).contains(&events), "{events} events of {exact} processes with {EACH} each");
    Ok(())
}

fn whole(run: &Run<'_>) -> anyhow::Result<()> {
    let session = run.session("reclaim-at-once")?;
    let (recording, totals) = adds_up(&session)?;
    recording.check_complete()?;
    are_all(&session, totals.seen)?;
    in_order(&recording, 8)
}

fn lossy(run: &Run<'_>) -> anyhow::Result<()> {
    let session = run.session("reclaim-at-once-loss")?;
    let (recording, totals) = adds_up(&session)?;
    are_all(&session, totals.seen + totals.lost)?;
    ensure!(totals.lost > 0, "nothing was lost: the test shows nothing");
    in_order(&recording, 1)
}

fn stopped(run: &Run<'_>) -> anyhow::Result<()> {
    let (recording, totals) = adds_up(&run.session("stopped-reader")?)?;
    ensure!(totals.lost > 0, "nothing was lost while the reader stood still: the test shows nothing");
    // The reader goes on: what came before it was stopped and after it went on is there.
    let processes: BTreeMap<u64, usize> = recording
        .of("try_to_unmap")
        .filter_map(crate::recording::Event::pid)
        .fold(BTreeMap::new(), |mut counts, pid| {
            *counts.entry(pid).or_default() += 1;
            counts
        });
    let most = processes.values().copied().max().unwrap_or(0);
    ensure!(processes.len() == 3 && most <= 2048, "events by process: {processes:?}");
    in_order(&recording, 1)
}

/// Events of a process, which stays on its CPU, never go back in time. Those of different CPUs are in the order in which
/// they got their places in the ring; between its time and its place the CPU of a guest may stand still.
fn in_order(recording: &Recording, processes: usize) -> anyhow::Result<()> {
    const STANDSTILL: u64 = 5_000_000_000;
    let mut last: BTreeMap<u64, u64> = BTreeMap::new();
    let mut latest = 0;
    for event in recording.of("try_to_unmap") {
        let time = event.number("time")?;
        let before = last.insert(event.pid().unwrap_or(0), time).unwrap_or(0);
        ensure!(before <= time, "{before} comes before {time}: {}", event.json());
        latest = time.max(latest);
        ensure!(latest - time < STANDSTILL, "{latest} comes before {time}: {}", event.json());
    }
    ensure!(last.len() >= processes, "events of {} processes instead of {processes}", last.len());
    Ok(())
}
