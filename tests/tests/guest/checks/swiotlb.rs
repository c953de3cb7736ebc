//! Bounce buffers of an NVMe disk under `swiotlb=force`.

use std::collections::BTreeMap;

use anyhow::{Context, ensure};

use super::{Check, Run, always};
use crate::recording::{Event, Recording};

pub const CHECKS: &[Check] = &[
    Check { name: "every bounce buffer is mapped once and unmapped once", applies: always, judge: pairs },
    Check { name: "as many mappings as the kernel's tracepoint counts", applies: always, judge: tracepoint },
];

fn pairs(run: &Run<'_>) -> anyhow::Result<()> {
    let session = run.session("swiotlb")?;
    session.expect_status(0)?;
    let recording = session.recording()?;
    recording.check_complete()?;
    session.check_counts(&recording, &["swiotlb_map", "swiotlb_map_single"])?;
    let path = session.text("device")?;
    let device = path.trim().rsplit('/').next().context("no device")?;

    let mut live: BTreeMap<u64, &Event> = BTreeMap::new();
    let mut unmapped = 0;
    for event in in_time_order(&recording)? {
        if event.text("event")? == "swiotlb_map_single" {
            ensure!(event.text("device")? == device, "another device than {device}: {}", event.json());
            let bounce = event.number("bounce")?;
            let (start, end) = (event.number("pool_start")?, event.number("pool_end")?);
            ensure!((start..end).contains(&bounce), "outside of the pool: {}", event.json());
            let earlier = live.insert(bounce, event);
            ensure!(earlier.is_none(), "mapped twice: {}", event.json());
        } else {
            let bounce = event.number("bounce")?;
            let mapping = live.remove(&bounce).with_context(|| format!("not mapped: {}", event.json()))?;
            for field in ["device", "size", "direction"] {
                let (before, after) = (mapping.text(field)?, event.text(field)?);
                ensure!(before == after, "{field} was {before} when mapped: {}", event.json());
            }
            unmapped += 1;
        }
    }
    ensure!(live.is_empty(), "{} mappings were not unmapped", live.len());
    ensure!(unmapped >= 90, "only {unmapped} unmaps for 90 requests");
    for event in recording.of("swiotlb_map") {
        let duration = event.number("duration")?;
        ensure!(duration > 0 && duration < 1_000_000_000, "a duration of {duration} ns: {}", event.json());
    }
    Ok(())
}

/// Maps are stamped at their return and unmaps at their entry, so that the order of the stamps is the order
/// in which slots change hands. Records of different CPUs may be out of order in the file.
fn in_time_order(recording: &Recording) -> anyhow::Result<Vec<&Event>> {
    let mut events = Vec::new();
    for event in recording.of("swiotlb_map_single").chain(recording.of("swiotlb_unmap_single")) {
        events.push((event.number("time")?, event));
    }
    events.sort_by_key(|(time, _)| *time);
    Ok(events.into_iter().map(|(_, event)| event).collect())
}

fn tracepoint(run: &Run<'_>) -> anyhow::Result<()> {
    let session = run.session("swiotlb")?;
    let recording = session.recording()?;
    let lines = session.text("tracepoint")?;
    let counted = lines.lines().filter(|line| line.contains("swiotlb_bounced:")).count();
    for event in ["swiotlb_map", "swiotlb_map_single"] {
        let seen = recording.of(event).count();
        ensure!(seen == counted, "{seen} {event} events, the tracepoint counted {counted}");
    }
    ensure!(counted >= 90, "only {counted} mappings for 90 requests");
    Ok(())
}
