//! 64-bit Arm, and the restricted pool that its disk has where the kernel knows such pools.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::ensure;

use super::{Applies, Check, Run};
use crate::boot::restricted_pool;
use crate::kernels::has_test_driver;
use crate::recording::Recording;
use crate::runs;
use crate::verdict::Verdict;

pub const CHECKS: &[Check] = &[
    Check {
        name: "arm64: every page of the workloads, once",
        applies: arm64,
        sessions: &[
            "arm64-pageout",
            "arm64-mlock",
            "arm64-fork",
            "arm64-migrate",
            "arm64-kprobe-pageout",
            "arm64-kprobe-migrate",
        ],
        judge: exact,
    },
    Check {
        name: "arm64: page tables are read at fork, and frames are known",
        applies: arm64_with_test_driver,
        sessions: &["arm64-exclusive", "arm64-rules"],
        judge: page_tables,
    },
    Check {
        name: "arm64: the plan and doctor say nothing is missing of what this kernel has",
        applies: arm64,
        sessions: &["arm64-probes", "arm64-doctor"],
        judge: plans,
    },
    Check {
        name: "arm64: bounces in the pool of all devices keep the rules",
        applies: stock,
        sessions: &["arm64-bounces"],
        judge: common_pool,
    },
    Check {
        name: "restricted pool: every mapping bounces in the disk's own pool",
        applies: restricted,
        sessions: &["pool-io"],
        judge: bounces,
    },
    Check {
        name: "restricted pool: coherent memory comes from it and goes back",
        applies: restricted,
        sessions: &["pool-coherent"],
        judge: coherent,
    },
    Check {
        name: "restricted pool: a full one is diagnosed, with the size that would have sufficed",
        applies: small_pool,
        sessions: &["pool-full"],
        judge: full,
    },
    Check {
        name: "restricted pool: coherent memory that it does not have is diagnosed",
        applies: small_pool,
        sessions: &["pool-coherent-full"],
        judge: coherent_full,
    },
    Check {
        name: "restricted pool: planted bugs are found",
        applies: restricted,
        sessions: &["swiotlb-leaks-slot", "swiotlb-outside-pool", "swiotlb-bypassed"],
        judge: planted,
    },
];

/// Every kernel of 64-bit Arm.
fn arm64(_kernel: &str, method: &str) -> Applies {
    [runs::RESTRICTED, runs::LARGE_PAGES, runs::STOCK_ARM64].contains(&method).into()
}

/// Those with the test driver for device memory, which those of our own are.
fn arm64_with_test_driver(kernel: &str, method: &str) -> Applies {
    match arm64(kernel, method) {
        Applies::Yes if method == runs::STOCK_ARM64 && !has_test_driver(kernel) => {
            Applies::Skipped("this kernel has no test_hmm")
        }
        applies => applies,
    }
}

/// The kernels of Debian's archive.
fn stock(_kernel: &str, method: &str) -> Applies {
    (method == runs::STOCK_ARM64).into()
}

/// The kernels with restricted pools.
fn restricted(_kernel: &str, method: &str) -> Applies {
    [runs::RESTRICTED, runs::LARGE_PAGES].contains(&method).into()
}

/// The one whose pool is too small for what is asked of it.
fn small_pool(_kernel: &str, method: &str) -> Applies {
    (method == runs::RESTRICTED).into()
}

/// The rules about bounce buffers.
const RULES: [&str; 3] = ["swiotlb-paired", "swiotlb-in-pool", "swiotlb-restricted-bounces"];

fn exact(run: &Run<'_>) -> anyhow::Result<()> {
    const MIGRATE: &[&str] = &["migration_entry_set", "migration_entry_removed", "remove_migration_pte"];
    let events: [(&str, &[&str]); 6] = [
        ("arm64-pageout", &["try_to_unmap"]),
        ("arm64-mlock", &["mlock_folio", "munlock_folio", "mlock_fixup"]),
        ("arm64-fork", &["copy_page_range"]),
        ("arm64-migrate", MIGRATE),
        ("arm64-kprobe-pageout", &["try_to_unmap"]),
        ("arm64-kprobe-migrate", MIGRATE),
    ];
    for (name, events) in events {
        run.complete(name, events)?;
    }
    for name in ["arm64-migrate", "arm64-kprobe-migrate"] {
        for event in run.session(name)?.recording()?.of("migration_entry_set") {
            ensure!(event.has_word("flags", "locked")?, "the folio was not locked: {}", event.json());
            ensure!(event.number("pfn")? != 0, "no frame: {}", event.json());
        }
    }
    Ok(())
}

/// Every device bounces in one pool, by `swiotlb=force`.
fn common_pool(run: &Run<'_>) -> anyhow::Result<()> {
    let verdict = judged(run, "arm64-bounces")?;
    passes(&verdict, &["swiotlb-paired", "swiotlb-in-pool"])?;
    let (_, recording) = run.complete("arm64-bounces", &["swiotlb_map", "swiotlb_map_single"])?;
    let mapped = recording.of("swiotlb_map_single").count() as u64;
    let evaluated = verdict.evaluated()["swiotlb-in-pool"];
    ensure!(evaluated == mapped && mapped > 0, "{mapped} mappings, {evaluated} evaluated");
    Ok(())
}

fn page_tables(run: &Run<'_>) -> anyhow::Result<()> {
    let (_, recording) = run.complete("arm64-exclusive", &["exclusive_page", "restore_exclusive"])?;
    let compared: u64 =
        recording.of("copy_page_range").filter_map(|event| event.number("compared").ok()).sum();
    ensure!(compared >= 64, "{compared} restored pages were compared");
    let verdict = judged(run, "arm64-rules")?;
    let rules = [
        "fork-restores-exclusive",
        "fork-parent-keeps-page",
        "migration-entry-locked",
        "exclusive-ends-once",
        "restore-keeps-bits",
    ];
    passes(&verdict, &rules)
}

fn plans(run: &Run<'_>) -> anyhow::Result<()> {
    let probes = run.session("arm64-probes")?;
    probes.expect_status(0)?;
    let text = probes.text("stdout")?;
    for missing in ["a page frame", "has no visible address", "beyond the registers"] {
        ensure!(!text.contains(missing), "the plan says {missing:?}: {text}");
    }
    let doctor = run.session("arm64-doctor")?;
    ensure!(
        doctor.text("stdout")?.contains("the struct page of a page frame can be found"),
        "{}",
        doctor.text("stdout")?
    );
    Ok(())
}

/// The verdict of a check that must not accuse anybody.
fn judged(run: &Run<'_>, name: &str) -> anyhow::Result<Verdict> {
    let session = run.session(name)?;
    let verdict = Verdict::of(&session)?;
    verdict.expect_no_violation()?;
    Ok(verdict)
}

fn passes(verdict: &Verdict, rules: &[&str]) -> anyhow::Result<()> {
    let passed = verdict.with_outcome("pass");
    let missing: BTreeSet<&str> = rules.iter().copied().filter(|rule| !passed.contains(rule)).collect();
    ensure!(missing.is_empty(), "not passed: {}", verdict.describe(&missing)?);
    Ok(())
}

fn bounces(run: &Run<'_>) -> anyhow::Result<()> {
    let verdict = judged(run, "pool-io")?;
    passes(&verdict, &RULES)?;
    let (session, recording) = run.complete("pool-io", &["swiotlb_map", "swiotlb_map_single"])?;
    let device = session.device()?;
    let (mut live, mut mapped) = (BTreeMap::new(), 0_u64);
    let mut pools = BTreeSet::new();
    for event in recording.of("swiotlb_map_single") {
        ensure!(event.text("device")? == device, "another device: {}", event.json());
        let flags = ["force_bounce", "for_alloc"];
        for flag in flags {
            ensure!(event.has_word("pool_flags", flag)?, "not {flag}: {}", event.json());
        }
        let (start, end) = (event.number("pool_start")?, event.number("pool_end")?);
        ensure!((start..end).contains(&event.number("bounce")?), "outside of the pool: {}", event.json());
        pools.insert((start, end - start));
        mapped += 1;
        *live.entry(event.number("bounce")?).or_insert(0_i64) += 1;
    }
    let pool = (POOL, restricted_pool(run.method));
    ensure!(pools == BTreeSet::from([pool]), "pools {pools:x?}");
    let mut unmapped = 0;
    for event in recording.of("swiotlb_unmap_single") {
        ensure!(event.text("device")? == device, "another device: {}", event.json());
        *live.entry(event.number("bounce")?).or_insert(0) -= 1;
        unmapped += 1;
    }
    let left: Vec<_> = live.iter().filter(|(_, count)| **count != 0).collect();
    ensure!(left.is_empty() && mapped == unmapped, "{mapped} mapped, {unmapped} unmapped: {left:x?}");
    let evaluated = verdict.evaluated();
    ensure!(
        evaluated["swiotlb-restricted-bounces"] == mapped && evaluated["swiotlb-in-pool"] == mapped,
        "{mapped} mappings, evaluated {evaluated:?}"
    );
    Ok(())
}

/// First address of the pool, 128 MiB below the end of a guest of 1 GiB (xtask/src/guest/device_tree.rs).
const POOL: u64 = 0x7800_0000;

fn page_size(kernel: &str) -> u64 {
    match kernel {
        xtask::kernel::PAGES_16K => 16 << 10,
        xtask::kernel::PAGES_64K => 64 << 10,
        _ => 4096,
    }
}

/// A driver that lets go gives back as many bytes as it takes when it comes again.
fn coherent(run: &Run<'_>) -> anyhow::Result<()> {
    let (session, recording) = run.complete("pool-coherent", &[])?;
    let device = session.device()?;
    let page_size = page_size(run.kernel);
    let mut bytes = Vec::new();
    for name in ["swiotlb_free", "swiotlb_alloc"] {
        let mut sum = 0;
        for event in recording.of(name) {
            ensure!(event.text("device")? == device, "another device: {}", event.json());
            let size = event.number("size")?;
            ensure!(size > 0 && event.field("done")? == true, "nothing was done: {}", event.json());
            let start = event.number("pfn")? * page_size;
            let pool = POOL..=POOL + restricted_pool(run.method) - size;
            ensure!(pool.contains(&start), "outside of the pool: {}", event.json());
            // Taken in whole pages, and given back as they were asked for.
            sum += size.next_multiple_of(page_size);
        }
        bytes.push(sum);
    }
    ensure!(bytes[0] == bytes[1] && bytes[0] > 0, "{} bytes given back, {} taken", bytes[0], bytes[1]);
    Ok(())
}

/// Bytes of a slot.
const SLOT: u64 = 2048;

/// Requests that found no room, for one reason.
#[derive(Debug, Default)]
struct NoRoom {
    count: u64,
    /// Slots in use and asked for where the sum was largest, the first of such.
    used: u64,
    asked: u64,
    /// What each buffer asked for.
    buffers: BTreeMap<u64, u64>,
    has_coherent: bool,
}

/// What the recording says of the failures, by whether the pool of that many slots was exhausted.
fn no_room(recording: &Recording, total: u64) -> anyhow::Result<BTreeMap<bool, NoRoom>> {
    let mappings = recording.of("swiotlb_map_single").filter(|event| event.number("bounce").is_err());
    let allocations =
        recording.of("swiotlb_alloc").filter(|event| event.field("done").is_ok_and(|done| *done == false));
    let mut failed = Vec::new();
    for event in mappings.chain(allocations) {
        failed.push((event.number("time")?, event));
    }
    failed.sort_by_key(|(time, _)| *time);
    let mut reasons: BTreeMap<bool, NoRoom> = BTreeMap::new();
    for (_, event) in failed {
        let (used, size) = (event.number("used_slots")?, event.number("size")?);
        ensure!(used > 0 && used <= total, "not the slots in use: {}", event.json());
        // Coherent memory has none.
        let original = event.number("original").ok();
        let asked = (size + original.unwrap_or(0) % SLOT).div_ceil(SLOT);
        let reason = reasons.entry(total - used < size.div_ceil(SLOT)).or_default();
        reason.count += 1;
        if used + asked > reason.used + reason.asked {
            (reason.used, reason.asked) = (used, asked);
        }
        match original {
            Some(original) => {
                let most = reason.buffers.entry(original).or_default();
                *most = asked.max(*most);
            }
            None => reason.has_coherent = true,
        }
    }
    ensure!(!reasons.is_empty(), "every request found room");
    Ok(reasons)
}

/// What the recording says of the failures is what the diagnosis must say.
fn full(run: &Run<'_>) -> anyhow::Result<()> {
    const SEGMENT: u64 = 128;
    let total = restricted_pool(run.method) / SLOT;
    let verdict = judged(run, "pool-full")?;
    let (session, recording) = run.complete("pool-full", &["swiotlb_map", "swiotlb_map_single"])?;
    session.expect_status(0)?;
    let device = session.device()?;
    let reasons = no_room(&recording, total)?;
    let found: Vec<_> = verdict.diagnoses().filter(|found| found["name"] == "swiotlb-full").collect();
    ensure!(found.len() == reasons.len(), "not {reasons:?}: {found:?}");
    for (is_exhausted, NoRoom { count, used, asked: slots, buffers, has_coherent }) in reasons {
        let reason = if is_exhausted { "the pool is exhausted" } else { "none in a row" };
        let all = (used + buffers.values().sum::<u64>()).next_multiple_of(SEGMENT);
        let mut parts = vec![
            format!("of {device} failed: "),
            reason.into(),
            format!(
                "; its restricted pool at {:#x} had {used} of {total} slots in use when {slots} were",
                POOL
            ),
            format!("; {} KiB ({} slots) would", (total + SEGMENT) * 2, total + SEGMENT),
        ];
        // Of allocations nobody can tell whether one is asked for again.
        if !has_coherent && buffers.len() > 1 {
            parts.push(format!(", {} KiB ({all} slots) for all {} buffers", all * 2, buffers.len()));
        }
        let is_said = |found: &&serde_json::Value| {
            let text = found["summary"].as_str().unwrap_or_default();
            found["count"] == count && parts.iter().all(|part| text.contains(part.as_str()))
        };
        ensure!(found.iter().any(is_said), "{parts:?} is not said: {found:?}");
    }
    Ok(())
}

/// As [`full`], of allocations. The driver goes on with the queues that it has memory for.
fn coherent_full(run: &Run<'_>) -> anyhow::Result<()> {
    let total = restricted_pool(run.method) / SLOT;
    let verdict = judged(run, "pool-coherent-full")?;
    let (session, recording) = run.complete("pool-coherent-full", &[])?;
    let device = session.device()?;
    for event in recording.of("swiotlb_alloc") {
        ensure!(event.text("device")? == device, "another device: {}", event.json());
        let (start, end) = (event.number("pool_start")?, event.number("pool_end")?);
        ensure!((start, end) == (POOL, POOL + total * SLOT), "another pool: {}", event.json());
        let has_failed = event.field("done")? == false;
        ensure!(event.number("used_slots").is_ok() == has_failed, "slots after a success: {}", event.json());
    }
    let reasons = no_room(&recording, total)?;
    ensure!(reasons.values().any(|reason| reason.has_coherent), "every allocation found room");
    let found: Vec<_> = verdict.diagnoses().filter(|found| found["name"] == "swiotlb-full").collect();
    for reason in reasons.into_values().filter(|reason| reason.has_coherent) {
        let said = format!(
            "its restricted pool at {POOL:#x} had {} of {total} slots in use when {} were asked for",
            reason.used, reason.asked
        );
        let is_said = |found: &&serde_json::Value| {
            let text = found["summary"].as_str().unwrap_or_default();
            text.contains("coherent allocation")
                && text.contains(&said)
                && text.contains("would have had room")
        };
        ensure!(found.iter().any(is_said), "{said:?} is not said: {found:?}");
    }
    Ok(())
}

fn planted(run: &Run<'_>) -> anyhow::Result<()> {
    let subjects = [
        ("swiotlb-leaks-slot", "swiotlb-paired"),
        ("swiotlb-outside-pool", "swiotlb-in-pool"),
        ("swiotlb-bypassed", "swiotlb-restricted-bounces"),
    ];
    for (bug, rule) in subjects {
        let session = run.session(bug)?;
        session.expect_status(1)?;
        let verdict = Verdict::of(&session)?;
        let violated = verdict.with_outcome("violated");
        ensure!(
            violated == BTreeSet::from([rule]),
            "{bug}: violated {violated:?}: {}",
            verdict.describe(&violated)?
        );
    }
    Ok(())
}
