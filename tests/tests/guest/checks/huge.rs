//! Huge pages in every form, and pages that several VMAs lock.

use std::collections::BTreeSet;

use anyhow::ensure;

use super::{Check, Run, always, with_test_driver};
use crate::recording::{Recording, Session};

pub const CHECKS: &[Check] = &[
    Check {
        name: "huge pages moved, split, paged out, forked and locked",
        applies: always,
        sessions: &["huge"],
        judge: huge,
    },
    Check {
        name: "pages of huge ones made exclusive, and huge pages on a device",
        applies: with_test_driver,
        sessions: &["huge-device"],
        judge: device,
    },
    Check {
        name: "pages locked by several VMAs and processes",
        applies: always,
        sessions: &["shared-lock"],
        judge: shared_lock,
    },
];

/// All counts of all workloads of a session, of which there must be `workloads`.
fn complete(run: &Run<'_>, name: &str, workloads: usize) -> anyhow::Result<(Session, Recording)> {
    let session = run.session(name)?;
    session.expect_status(0)?;
    let recording = session.recording()?;
    recording.check_complete()?;
    let counts = session.counts()?;
    let labels: BTreeSet<&str> = counts.iter().map(|count| count.label.as_str()).collect();
    ensure!(labels.len() == workloads, "{} workloads instead of {workloads}: {labels:?}", labels.len());
    let events: BTreeSet<&str> = counts.iter().map(|count| count.event.as_str()).collect();
    session.check_counts(&recording, &Vec::from_iter(events))?;
    Ok((session, recording))
}

fn huge(run: &Run<'_>) -> anyhow::Result<()> {
    let (_, recording) = complete(run, "huge", 15)?;
    // Entries of small parts of a huge page: the lock is that of the page, whichever part the entry points to.
    for event in recording.of("migration_entry_set").chain(recording.of("try_to_migrate")) {
        ensure!(event.has_word("flags", "locked")?, "the folio was not locked: {}", event.json());
    }
    Ok(())
}

fn device(run: &Run<'_>) -> anyhow::Result<()> {
    let (_, recording) = complete(run, "huge-device", 9)?;
    for event in recording.of("exclusive_page") {
        ensure!(event.has_word("flags", "locked")?, "handed to the driver unlocked: {}", event.json());
    }
    for event in recording.of("restore_exclusive") {
        let (kind, _) = event.entry("old_entry")?;
        ensure!(kind.starts_with("device_exclusive"), "another entry: {}", event.json());
        ensure!(event.entry("new_entry")?.0 == "present", "not present again: {}", event.json());
    }
    for event in recording.of("migrate_vma_refused") {
        let (step, refusal) = (event.text("step")?, event.text("refusal")?);
        ensure!((step.as_str(), refusal.as_str()) == ("collect", "large"), "not as large: {}", event.json());
    }
    // Whether they moved as one or were split, all that went to the device came back.
    let (mut there, mut back) = (0, 0);
    for event in recording.of("migrate_vma_finalize") {
        let to_device = event.has_word("source", "system")?;
        *if to_device { &mut there } else { &mut back } += event.number("migrated")?;
    }
    ensure!(there > 0 && there % 512 == 0 && there == back, "{there} pages there, {back} back");
    Ok(())
}

fn shared_lock(run: &Run<'_>) -> anyhow::Result<()> {
    let (_, recording) = complete(run, "shared-lock", 1)?;
    let processes: BTreeSet<_> =
        recording.of("mlock_folio").filter_map(crate::recording::Event::pid).collect();
    ensure!(processes.len() == 2, "{} processes instead of 2", processes.len());
    Ok(())
}
