//! Kernels that keep their rules, under workloads and under stress.

use anyhow::{Context, ensure};
use serde_json::Value;

use super::stat::{objects, sum};
use super::{Applies, Check, Run, healthy, healthy_with_test_driver};
use crate::selftests::EXCLUSIVE;
use crate::verdict::Verdict;

pub const CHECKS: &[Check] = &[
    Check {
        name: "huge pages",
        applies: healthy,
        sessions: &["huge"],
        judge: |run| workloads(run, "huge", &["migration-entry-locked", "rmap-caller-locked"]),
    },
    Check {
        name: "pages of huge ones, exclusive and on a device",
        applies: healthy_with_test_driver,
        sessions: &["huge-device"],
        judge: |run| workloads(run, "huge-device", EXCLUSIVE),
    },
    Check { name: "stress", applies: healthy, sessions: &["stress"], judge: |run| stress(run, "stress") },
    Check {
        name: "a session that begins and ends under stress",
        applies: healthy,
        sessions: &["under-way"],
        judge: under_way,
    },
    Check {
        name: "a count that begins and ends under stress",
        applies: healthy,
        sessions: &["under-way-stat"],
        judge: count_under_way,
    },
    Check {
        name: "stress, with kprobes",
        applies: healthy,
        sessions: &["kprobe-stress"],
        judge: |run| stress(run, "kprobe-stress"),
    },
];

/// What the stress exercises on every kernel of the tests; the disk bounces.
const EVERYWHERE: &[&str] = &[
    "migration-entry-locked",
    "rmap-caller-locked",
    "swiotlb-paired",
    "swiotlb-in-pool",
    "swiotlb-restricted-bounces",
];

fn workloads(run: &Run<'_>, name: &str, exercised: &[&str]) -> anyhow::Result<()> {
    let session = run.session(name)?;
    let verdict = Verdict::of(&session)?;
    verdict.expect_no_violation()?;
    ensure!(verdict.subject()["command_status"] == 0, "a workload failed:\n{}", session.said());
    expect_exercised(&verdict, exercised)?;
    session.expect_status(0)?;
    session.expect_same_verdict_of_file()
}

fn stress(run: &Run<'_>, name: &str) -> anyhow::Result<()> {
    let session = run.session(name)?;
    let verdict = Verdict::of(&session)?;
    verdict.expect_no_violation()?;
    ensure!(verdict.subject()["command_status"] == 0, "the stress failed:\n{}", session.said());
    expect_exercised(&verdict, EVERYWHERE)?;
    if healthy_with_test_driver(run.kernel, run.method) == Applies::Yes {
        expect_exercised(&verdict, EXCLUSIVE)?;
        // Since 6.15 an exclusive page stays mlocked, and its restore has nothing to do about that.
        if run.kernel == xtask::kernel::HMM {
            expect_exercised(&verdict, &["restore-remlocks"])?;
        }
    }
    expect_only_missed(run, &verdict)?;
    session.expect_status(if verdict.with_outcome("inconclusive").is_empty() { 0 } else { 3 })?;
    session.expect_same_verdict_of_file()
}

/// What happens while the probes are attached and detached one after the other is in no session: it would show bounce
/// buffers and entries without their end.
fn under_way(run: &Run<'_>) -> anyhow::Result<()> {
    let session = run.session("under-way")?;
    ensure!(session.file("busy-until-then").exists(), "the stress ended before the session did");
    let verdict = Verdict::of(&session)?;
    verdict.expect_no_violation()?;
    expect_exercised(&verdict, EVERYWHERE)?;
    let recording = session.recording()?;
    let summary = recording.summary()?;
    let attached = summary["attached"].as_u64().context("when every probe was attached")?;
    ensure!(attached > summary["begin"].as_u64().unwrap_or(u64::MAX), "attached before it began: {summary}");
    for event in recording.events() {
        let is_early = event.number("time")? < attached && !event.text("event")?.starts_with("process_");
        ensure!(!is_early, "seen while probes were still being attached, at {attached}: {}", event.json());
    }
    Ok(())
}

/// What came before every probe was attached, and after, is in no sum.
fn count_under_way(run: &Run<'_>) -> anyhow::Result<()> {
    let session = run.session("under-way-stat")?;
    session.expect_status(0)?;
    ensure!(session.file("busy-until-then").exists(), "the stress ended before the session did");
    let (counted, summary) = (objects(&session, "count")?, objects(&session, "summary")?);
    let summary = summary.last().context("no summary")?;
    let all = sum(&counted, "count");
    ensure!(all > 0, "nothing was counted: {}", session.said());
    ensure!(summary["emitted"] == all && summary["dropped"] == 0, "{all} counted: {summary}");
    let many = |object: &&Value| object["measured"].as_u64().is_some_and(|measured| measured > 0);
    for object in counted.iter().filter(many) {
        let buckets = object["buckets"].as_array().context("no histogram")?;
        let in_buckets: u64 = buckets.iter().filter_map(|bucket| bucket[2].as_u64()).sum();
        ensure!(object["measured"] == in_buckets, "{in_buckets} in the histogram: {object}");
    }
    Ok(())
}

/// Under stress the kernel may skip kprobe programs (an interrupt within one), and on a slow machine the ring may
/// overflow; both must be counted then: nothing else may leave a rule inconclusive.
fn expect_only_missed(run: &Run<'_>, verdict: &Verdict) -> anyhow::Result<()> {
    let subject = verdict.subject();
    for name in verdict.with_outcome("inconclusive") {
        let rule = verdict.rule(name)?;
        let is_missed = |reason: &Value| {
            let reason = reason.as_str().unwrap_or_default();
            // A call whose beginning was skipped ends alone.
            [" were missed;", " were lost;", "were seen at one end only", "may come from missing events"]
                .iter()
                .any(|words| reason.contains(words))
        };
        let mut reasons = rule["reasons"].as_array().into_iter().flatten();
        ensure!(reasons.all(is_missed), "inconclusive, and not for what the kernel skipped: {rule}");
        // Before 6.7 the kernel does not count what it skips.
        let counts = run.kernel != "6.1";
        let has = |cause: &str| subject[cause].as_object().is_some_and(|families| !families.is_empty());
        let skipped = !counts || has("missed") || has("lost");
        ensure!(skipped, "{name} names missed events, and there are none: {subject}");
    }
    Ok(())
}

/// An error that names the rule which was not evaluated.
pub fn expect_exercised(verdict: &Verdict, names: &[&str]) -> anyhow::Result<()> {
    let evaluated = verdict.evaluated();
    for name in names {
        let times = *evaluated.get(name).with_context(|| format!("no rule {name}"))?;
        ensure!(times > 0, "{name} was not exercised: {}", verdict.rule(name)?);
    }
    Ok(())
}
