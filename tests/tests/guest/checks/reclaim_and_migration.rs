//! try_to_unmap by reclaim, try_to_migrate and migration entries by move_pages(2).

use std::collections::BTreeMap;

use anyhow::{Context, ensure};

use super::{Check, Run, always};

pub const CHECKS: &[Check] = &[
    Check {
        name: "every page paged out is one try_to_unmap",
        applies: always,
        sessions: &["pageout"],
        judge: pageout,
    },
    Check {
        name: "latency, stacks and VMA visits of reclaim",
        applies: always,
        sessions: &["detail"],
        judge: detail,
    },
    Check {
        name: "migration entries set and removed by move_pages",
        applies: always,
        sessions: &["migrate"],
        judge: migrate,
    },
];

fn pageout(run: &Run<'_>) -> anyhow::Result<()> {
    let (session, recording) = run.complete("pageout", &["try_to_unmap"])?;
    let (pid, pages) = session.pages()?;
    for event in recording.of("try_to_unmap") {
        ensure!(event.pid() == Some(pid.into()), "another process: {}", event.json());
        ensure!(event.has_word("flags", "locked")?, "the folio was not locked: {}", event.json());
        ensure!(event.number("mapcount")? == 0, "the folio is still mapped: {}", event.json());
        ensure!(event.number("duration").unwrap_or(0) == 0, "latency was not asked for: {}", event.json());
    }
    // The first round pages out the frames that the workload saw.
    let first: Vec<u64> = recording
        .of("try_to_unmap")
        .take(pages.len())
        .map(|event| event.number("pfn"))
        .collect::<Result<_, _>>()?;
    let stated: Vec<u64> = pages.iter().map(|page| page.pfn).collect();
    ensure!(sorted(first) == sorted(stated), "the frames are others than the workload's");
    Ok(())
}

fn sorted(mut numbers: Vec<u64>) -> Vec<u64> {
    numbers.sort_unstable();
    numbers
}

fn detail(run: &Run<'_>) -> anyhow::Result<()> {
    const SECOND: u64 = 1_000_000_000;
    let session = run.session("detail")?;
    session.expect_status(0)?;
    let recording = session.recording()?;
    session.check_counts(&recording, &["try_to_unmap", "try_to_unmap_one"])?;
    for event in recording.of("try_to_unmap").chain(recording.of("try_to_unmap_one")) {
        let duration = event.number("duration")?;
        ensure!(duration > 0 && duration < SECOND, "a duration of {duration} ns: {}", event.json());
    }
    let stacks: BTreeMap<i64, String> = recording
        .lines("stack")
        .iter()
        .map(|stack| Ok((stack["id"].as_i64().context("a stack without id")?, stack["frames"].to_string())))
        .collect::<anyhow::Result<_>>()?;
    for event in recording.of("try_to_unmap") {
        let id = event.field("stack")?.as_i64().with_context(|| format!("no stack: {}", event.json()))?;
        let frames = stacks.get(&id).with_context(|| format!("stack {id} is not in the file"))?;
        ensure!(
            ["shrink_folio_list", "reclaim_pages", "reclaim_folio_list"]
                .iter()
                .any(|name| frames.contains(name)),
            "the stack does not come from reclaim: {frames}"
        );
        ensure!(frames.contains("madvise"), "the stack does not come from madvise: {frames}");
    }
    Ok(())
}

fn migrate(run: &Run<'_>) -> anyhow::Result<()> {
    let (session, recording) = run.complete(
        "migrate",
        &[
            "try_to_migrate",
            "migration_entry_set",
            "migration_entry_removed",
            "remove_migration_pte",
            "migrate_pages",
        ],
    )?;
    let (_, pages) = session.pages()?;
    let mut unseen: BTreeMap<u64, u64> = pages.iter().map(|page| (page.address, page.pfn)).collect();
    for event in recording.of("migration_entry_set") {
        let (kind, pfn) = event.entry("entry")?;
        ensure!(kind.starts_with("migration_"), "not a migration entry: {}", event.json());
        let address = event.number("address")?;
        if let Some(stated) = unseen.remove(&address) {
            ensure!(pfn == stated, "frame {pfn:#x} instead of {stated:#x}: {}", event.json());
        }
        ensure!(event.has_word("flags", "locked")?, "the folio was not locked: {}", event.json());
    }
    ensure!(unseen.is_empty(), "no entry was set for {} pages", unseen.len());
    for event in recording.of("migration_entry_removed") {
        let (kind, _) = event.entry("entry")?;
        ensure!(kind == "present", "the page is not mapped again: {}", event.json());
    }
    Ok(())
}
