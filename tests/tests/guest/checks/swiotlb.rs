//! Bounce buffers of an NVMe disk under `swiotlb=force`.

use std::collections::BTreeMap;

use anyhow::ensure;

use super::{Check, Run, always, once};
use crate::recording::{Event, Recording, Session};
use crate::runs;

pub const CHECKS: &[Check] = &[
    Check {
        name: "every bounce buffer is mapped once and unmapped once",
        applies: always,
        sessions: &["swiotlb"],
        judge: pairs,
    },
    Check {
        name: "as many mappings as the kernel's tracepoint counts",
        applies: always,
        sessions: &["swiotlb"],
        judge: tracepoint,
    },
    Check {
        name: "hits of kprobes that the kernel skipped are counted",
        applies: once,
        sessions: &["swiotlb-skipped"],
        judge: skipped,
    },
];

fn open(run: &Run<'_>) -> anyhow::Result<(Session, Recording, String)> {
    let session = run.session("swiotlb")?;
    session.expect_status(0)?;
    let recording = session.recording()?;
    let device = session.device()?;
    Ok((session, recording, device))
}

/// At most so many events of bounce buffers are not in the recording.
///
/// The kernel skips every kprobe program while another one runs on that CPU, and disk interrupts come at any
/// time.
fn most_missed(run: &Run<'_>, recording: &Recording) -> anyhow::Result<u64> {
    if run.method != runs::KPROBE {
        recording.check_complete()?;
    }
    recording.total("missed", "swiotlb")
}

fn pairs(run: &Run<'_>) -> anyhow::Result<()> {
    let (session, recording, device) = open(run)?;
    let missed = most_missed(run, &recording)?;
    if missed == 0 {
        session.check_counts(&recording, &["swiotlb_map", "swiotlb_map_single"])?;
    }
    let mut live: BTreeMap<u64, &Event> = BTreeMap::new();
    let (mut unmapped, mut alone) = (0, 0);
    for event in in_time_order(&recording, &device)? {
        let bounce = event.number("bounce")?;
        if event.text("event")? == "swiotlb_map_single" {
            let (start, end) = (event.number("pool_start")?, event.number("pool_end")?);
            ensure!((start..end).contains(&bounce), "outside of the pool: {}", event.json());
            alone += u64::from(live.insert(bounce, event).is_some());
            continue;
        }
        let Some(mapping) = live.remove(&bounce) else {
            alone += 1;
            continue;
        };
        for field in ["size", "direction"] {
            let (before, after) = (mapping.text(field)?, event.text(field)?);
            ensure!(before == after, "{field} was {before} when mapped: {}", event.json());
        }
        unmapped += 1;
    }
    alone += live.len() as u64;
    ensure!(alone <= missed, "{alone} maps or unmaps without the other, at most {missed} events were missed");
    ensure!(
        missed.saturating_add(unmapped) >= 90,
        "only {unmapped} unmaps for 90 requests, at most {missed} events were missed"
    );
    for event in recording.of("swiotlb_map") {
        let duration = event.number("duration")?;
        ensure!(duration > 0 && duration < 1_000_000_000, "a duration of {duration} ns: {}", event.json());
    }
    Ok(())
}

/// Maps are stamped at their return and unmaps at their entry, so that the order of the stamps is the order
/// in which slots change hands. Records of different CPUs may be out of order in the file.
fn in_time_order<'a>(recording: &'a Recording, device: &str) -> anyhow::Result<Vec<&'a Event>> {
    let mut events = Vec::new();
    for event in recording.of("swiotlb_map_single").chain(recording.of("swiotlb_unmap_single")) {
        if event.text("device")? == device {
            events.push((event.number("time")?, event));
        }
    }
    events.sort_by_key(|(time, _)| *time);
    Ok(events.into_iter().map(|(_, event)| event).collect())
}

fn tracepoint(run: &Run<'_>) -> anyhow::Result<()> {
    let (session, recording, device) = open(run)?;
    let missed = most_missed(run, &recording)?;
    let lines = session.text("tracepoint")?;
    let of_device = format!("swiotlb_bounced: dev_name: {device} ");
    let counted = lines.lines().filter(|line| line.contains(&of_device)).count() as u64;
    ensure!(counted >= 90, "only {counted} mappings for 90 requests");
    for name in ["swiotlb_map", "swiotlb_map_single"] {
        let mut seen = 0;
        for event in recording.of(name) {
            seen += u64::from(event.text("device")? == device);
        }
        ensure!(
            seen <= counted && missed.saturating_add(seen) >= counted,
            "{seen} {name} events and at most {missed} missed ones, the tracepoint counted {counted}"
        );
    }
    Ok(())
}

/// A call that the kernel skips at a kprobe is one for each kprobe there: that of the session at the entry, mostly another
/// at the return, and the disabled event that counts here.
fn skipped(run: &Run<'_>) -> anyhow::Result<()> {
    let session = run.session("swiotlb-skipped")?;
    session.expect_status(0)?;
    let missed = session.recording()?.total("missed", "swiotlb")?;
    let profile = session.text("profile")?;
    let misses = profile.lines().filter_map(|line| line.split_whitespace().nth(2)?.parse::<u64>().ok());
    let counted: u64 = misses.sum();
    ensure!(profile.lines().count() >= 4, "too few functions: {profile}");
    ensure!(
        (counted..=2 * counted).contains(&missed),
        "{missed} missed where the kernel counted {counted}: {profile}"
    );
    Ok(())
}
