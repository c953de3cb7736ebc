//! What bpftrace counts of device memory while it is recorded: each count must be the recording's.

use std::collections::BTreeMap;

use anyhow::{Context, ensure};
use serde_json::Value;

use super::{Check, Run, healthy_with_test_driver};
use crate::recording::{Event, Recording, Session};

pub const CHECKS: &[Check] = &[Check {
    name: "device memory: bpftrace counts what is recorded of hmm-tests",
    applies: healthy_with_test_driver,
    sessions: &["beside-bpftrace"],
    judge: beside_bpftrace,
}];

/// By the name of the process, and what else bpftrace counts by.
type Counts = BTreeMap<(String, Option<i64>), u64>;

/// What else an event is counted by, and how much it counts for.
type Count = fn(&Event) -> anyhow::Result<(Option<i64>, u64)>;

/// The maps of `device_memory_peer.sh` with the events that they count, and whether each kernel has these.
const MAPS: &[(&str, &str, Count, bool)] = &[
    // The event has no direction.
    ("migrate_vma_setup", "migrate_vma_setup", by_name, true),
    ("collected", "migrate_vma_setup", |event| Ok((None, event.number("collected")?)), true),
    ("migrate_vma_pages", "migrate_vma_pages", by_direction, true),
    ("migrate_vma_finalize", "migrate_vma_finalize", by_direction, true),
    ("migrate_device_range", "migrate_device_range", by_name, true),
    ("hmm_range_fault", "hmm_range_fault", by_result, true),
    ("mmu_interval_notifier_insert", "mmu_interval_notifier_insert", by_result, true),
    ("mmu_interval_notifier_remove", "mmu_interval_notifier_remove", by_name, true),
    ("make_device_exclusive", "make_device_exclusive", by_name, true),
    ("exclusive_vma", "exclusive_vma", by_name, false),
];

/// -EBUSY, which hmm-tests provokes.
const BUSY: i64 = -16;

fn by_name(_: &Event) -> anyhow::Result<(Option<i64>, u64)> {
    Ok((None, 1))
}

fn by_direction(event: &Event) -> anyhow::Result<(Option<i64>, u64)> {
    Ok((Some(event.has_word("source", "system")?.into()), 1))
}

fn by_result(event: &Event) -> anyhow::Result<(Option<i64>, u64)> {
    let result = event.field("result")?.as_i64();
    Ok((Some(result.with_context(|| format!("no result: {}", event.json()))?), 1))
}

fn beside_bpftrace(run: &Run<'_>) -> anyhow::Result<()> {
    let session = run.session("beside-bpftrace")?;
    session.expect_status(0)?;
    let recording = session.recording()?;
    recording.check_complete()?;
    for &(map, event, count, is_everywhere) in MAPS {
        let ours = recorded(&recording, event, count)?;
        let mut theirs = printed(&session, map)?;
        if ours.keys().all(|(_, by)| by.is_none()) {
            theirs = without_more(theirs);
        }
        ensure!(ours == theirs, "{map}: bpftrace counts {theirs:?}, and recorded are {ours:?}");
        ensure!(!ours.is_empty() || !is_everywhere, "{map}: nothing happened; it said:\n{}", session.said());
        show(run.kernel, map, &ours);
    }
    let faults = recorded(&recording, "hmm_range_fault", by_result)?;
    ensure!(faults.keys().any(|(_, result)| *result == Some(BUSY)), "no range was busy: {faults:?}");
    Ok(())
}

/// The counts, for `docs/costs.md`.
#[expect(clippy::print_stderr, reason = "figures for people")]
fn show(kernel: &str, map: &str, counts: &Counts) {
    let words = counts.iter().map(|((name, by), count)| match by {
        Some(by) => format!("{name} {by}: {count}"),
        None => format!("{name}: {count}"),
    });
    eprintln!("{kernel} {map}: {}", words.collect::<Vec<_>>().join(", "));
}

fn recorded(recording: &Recording, name: &str, count: Count) -> anyhow::Result<Counts> {
    let mut counts = Counts::new();
    for event in recording.of(name) {
        let (by, number) = count(event)?;
        *counts.entry((event.text("comm")?, by)).or_default() += number;
    }
    Ok(counts)
}

/// A map of bpftrace's: a line `{"type": "map", "data": {"@name": {"process,key": count}}}`; none that is empty.
fn printed(session: &Session, name: &str) -> anyhow::Result<Counts> {
    let mut counts = Counts::new();
    for line in session.text("stdout")?.lines().filter(|line| line.starts_with("{\"type\": \"map\"")) {
        let line: Value = serde_json::from_str(line).with_context(|| line.to_owned())?;
        let Some(map) = line["data"][format!("@{name}")].as_object() else { continue };
        for (key, count) in map {
            let count = count.as_u64().with_context(|| line.to_string())?;
            let (process, by) = match key.rsplit_once(',') {
                Some((process, by)) => (process, Some(by.parse().with_context(|| key.clone())?)),
                None => (key.as_str(), None),
            };
            *counts.entry((process.to_owned(), by)).or_default() += count;
        }
    }
    Ok(counts)
}

fn without_more(counts: Counts) -> Counts {
    let mut sums = Counts::new();
    for ((process, _), count) in counts {
        *sums.entry((process, None)).or_default() += count;
    }
    sums
}
