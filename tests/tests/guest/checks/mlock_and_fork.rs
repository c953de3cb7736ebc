//! mlock, munlock and the page tables that fork copies.

use std::collections::BTreeSet;

use anyhow::ensure;

use super::{Check, Run, always};

pub const CHECKS: &[Check] = &[
    Check { name: "mlock and munlock of every page", applies: always, sessions: &["mlock"], judge: mlock },
    Check { name: "fork copies every VMA", applies: always, sessions: &["fork"], judge: fork },
    Check {
        name: "children of the command are followed",
        applies: always,
        sessions: &["children"],
        judge: children,
    },
    Check {
        name: "--no-inherit records the command alone",
        applies: always,
        sessions: &["no-inherit"],
        judge: no_inherit,
    },
];

fn mlock(run: &Run<'_>) -> anyhow::Result<()> {
    let (session, recording) = run.complete("mlock", &["mlock_folio", "munlock_folio", "mlock_fixup"])?;
    let fixups: Vec<_> = recording.of("mlock_fixup").collect();
    let [lock, unlock] = fixups[..] else { anyhow::bail!("{} mlock_fixup events", fixups.len()) };
    for (event, locked_before) in [(lock, false), (unlock, true)] {
        let before = event.has_word("old_vm_flags", "VM_LOCKED")?;
        let after = event.has_word("new_vm_flags", "VM_LOCKED")?;
        ensure!(before == locked_before && after != locked_before, "VM_LOCKED is wrong: {}", event.json());
        let length = event.number("end")? - event.number("start")?;
        ensure!(length == 150 * 4096, "{length} bytes: {}", event.json());
    }
    let (_, pages) = session.pages()?;
    let stated: BTreeSet<u64> = pages.iter().map(|page| page.pfn).collect();
    for name in ["mlock_folio", "munlock_folio"] {
        let seen: BTreeSet<u64> =
            recording.of(name).map(|event| event.number("pfn")).collect::<Result<_, _>>()?;
        ensure!(seen == stated, "{name} saw other frames than the workload's");
    }
    Ok(())
}

fn fork(run: &Run<'_>) -> anyhow::Result<()> {
    let (_, recording) = run.complete("fork", &["copy_page_range"])?;
    let mut sources = BTreeSet::new();
    let mut destinations = BTreeSet::new();
    for event in recording.of("copy_page_range") {
        sources.insert(event.number("source_mm")?);
        destinations.insert(event.number("destination_mm")?);
        ensure!(event.number("restored")? == 0, "nothing was exclusive: {}", event.json());
        ensure!(event.number("start")? < event.number("end")?, "an empty VMA: {}", event.json());
    }
    ensure!(sources.len() == 1, "{} parents", sources.len());
    // A freed mm_struct may be used again for the next child.
    ensure!((1..=3).contains(&destinations.len()), "{} children", destinations.len());
    ensure!(sources.is_disjoint(&destinations), "a child has its parent's mm");
    Ok(())
}

fn children(run: &Run<'_>) -> anyhow::Result<()> {
    let (_, recording) = run.complete("children", &["mlock_folio", "munlock_folio", "mlock_fixup"])?;
    let processes: BTreeSet<_> =
        recording.of("mlock_folio").filter_map(crate::recording::Event::pid).collect();
    ensure!(processes.len() == 5, "{} processes instead of 5", processes.len());
    Ok(())
}

fn no_inherit(run: &Run<'_>) -> anyhow::Result<()> {
    let session = run.session("no-inherit")?;
    session.expect_status(0)?;
    let recording = session.recording()?;
    let (command, _) = session.pages()?;
    let count = recording.of("mlock_folio").count();
    ensure!(count == 10, "{count} mlock_folio events instead of 10");
    ensure!(
        recording.of("mlock_folio").all(|event| event.pid() == Some(command.into())),
        "a child was recorded"
    );
    Ok(())
}
