//! Device-exclusive pages through test_hmm.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, ensure};

use super::{Check, Run, with_test_driver};
use crate::recording::{Recording, Session};

pub const CHECKS: &[Check] = &[
    Check {
        name: "exclusive pages revoked by CPU access",
        applies: with_test_driver,
        sessions: &["exclusive-fault"],
        judge: fault,
    },
    Check {
        name: "fork restores exclusive pages in the parent only",
        applies: with_test_driver,
        sessions: &["exclusive-fork"],
        judge: fork,
    },
    Check {
        name: "munmap of exclusive pages restores nothing",
        applies: with_test_driver,
        sessions: &["exclusive-munmap"],
        judge: munmap,
    },
    Check {
        name: "exclusive pages leave and join the mlocked pages",
        applies: with_test_driver,
        sessions: &["exclusive-mlock"],
        judge: mlock,
    },
    Check {
        name: "exclusive entries moved and write-protected",
        applies: with_test_driver,
        sessions: &["exclusive-move"],
        judge: moved,
    },
];

fn fault(run: &Run<'_>) -> anyhow::Result<()> {
    let mut events = vec!["make_device_exclusive", "exclusive_page", "restore_exclusive", "exclusive_fault"];
    if walks_to_make_exclusive(run, "exclusive-fault")? {
        events.push("exclusive_vma");
    }
    let (session, recording) = run.complete("exclusive-fault", &events)?;
    let frames = frames(&session)?;
    for event in recording.of("exclusive_page") {
        let address = event.number("address")?;
        let frame = *frames.get(&address).with_context(|| format!("unknown page: {}", event.json()))?;
        ensure!(event.number("pfn")? == frame, "another frame than {frame:#x}: {}", event.json());
        ensure!(event.has_word("flags", "locked")?, "handed to the driver unlocked: {}", event.json());
    }
    for (event, field) in recording
        .of("restore_exclusive")
        .map(|event| (event, "old_entry"))
        .chain(recording.of("exclusive_fault").map(|event| (event, "entry")))
    {
        let address = event.number("address")?;
        let frame = *frames.get(&address).with_context(|| format!("unknown page: {}", event.json()))?;
        let (kind, pfn) = event.entry(field)?;
        ensure!(kind == "device_exclusive_write", "another entry: {}", event.json());
        ensure!(pfn == frame, "frame {pfn:#x} instead of {frame:#x}: {}", event.json());
    }
    for event in recording.of("restore_exclusive") {
        ensure!(event.number("in_fork")? == 0, "not in a fork: {}", event.json());
        ensure!(event.entry("new_entry")?.0 == "present", "not present again: {}", event.json());
    }
    let made: u64 = sum(&recording, "make_device_exclusive", "made")?;
    ensure!(made == frames.len() as u64, "{made} pages made by the calls");
    Ok(())
}

/// Whether this kernel walks the rmap to make a page exclusive, as up to 6.14 (6.12 mm/rmap.c,
/// make_device_exclusive_range): the workload says so. Since then there is one type of exclusive entries, which
/// mprotect leaves alone (7.3 mm/mprotect.c, change_softleaf_pte).
fn walks_to_make_exclusive(run: &Run<'_>, session: &str) -> anyhow::Result<bool> {
    Ok(run.session(session)?.counts()?.iter().any(|count| count.event == "exclusive_vma"))
}

fn frames(session: &Session) -> anyhow::Result<BTreeMap<u64, u64>> {
    Ok(session.pages()?.1.into_iter().map(|page| (page.address, page.pfn)).collect())
}

fn sum(recording: &Recording, event: &str, field: &str) -> anyhow::Result<u64> {
    recording.of(event).map(|event| event.number(field)).sum()
}

fn fork(run: &Run<'_>) -> anyhow::Result<()> {
    let (session, recording) = run.complete(
        "exclusive-fork",
        &["exclusive_page", "restore_exclusive", "copy_page_range", "exclusive_fault"],
    )?;
    let (parent, pages) = session.pages()?;
    let own = |event: &&crate::recording::Event| event.pid() == Some(parent.into());
    let sources: BTreeSet<u64> = recording
        .of("copy_page_range")
        .filter(own)
        .map(|event| event.number("source_mm"))
        .collect::<Result<_, _>>()?;
    let destinations: BTreeSet<u64> = recording
        .of("copy_page_range")
        .filter(own)
        .map(|event| event.number("destination_mm"))
        .collect::<Result<_, _>>()?;
    ensure!(sources.len() == 1 && destinations.len() == 1 && sources != destinations, "one fork has two mms");
    for event in recording.of("restore_exclusive") {
        ensure!(event.number("in_fork")? == 1, "inside the fork: {}", event.json());
        ensure!(sources.contains(&event.number("mm")?), "not in the parent: {}", event.json());
        ensure!(event.pid() == Some(parent.into()), "not by the parent: {}", event.json());
    }
    let restored = sum(&recording, "copy_page_range", "restored")?;
    ensure!(restored == pages.len() as u64, "{restored} restores inside copy_page_range");
    Ok(())
}

fn munmap(run: &Run<'_>) -> anyhow::Result<()> {
    run.complete("exclusive-munmap", &["exclusive_page", "restore_exclusive", "exclusive_fault"]).map(drop)
}

fn mlock(run: &Run<'_>) -> anyhow::Result<()> {
    let events = ["exclusive_page", "restore_exclusive", "mlock_folio", "munlock_folio", "mlock_fixup"];
    run.complete("exclusive-mlock", &events).map(drop)
}

fn moved(run: &Run<'_>) -> anyhow::Result<()> {
    let (session, recording) =
        run.complete("exclusive-move", &["exclusive_page", "restore_exclusive", "exclusive_fault"])?;
    let frames: BTreeSet<u64> = frames(&session)?.into_values().collect();
    let write_protected = if walks_to_make_exclusive(run, "exclusive-move")? {
        "device_exclusive_read"
    } else {
        "device_exclusive_write"
    };
    for event in recording.of("restore_exclusive") {
        let (kind, pfn) = event.entry("old_entry")?;
        ensure!(kind == write_protected, "not what mprotect leaves, {write_protected}: {}", event.json());
        ensure!(frames.contains(&pfn), "unknown frame {pfn:#x}: {}", event.json());
    }
    Ok(())
}
