//! What was not seen must not pass.

use std::collections::BTreeSet;

use anyhow::ensure;

use super::{Check, Run, healthy, names};
use crate::verdict::Verdict;

pub const CHECKS: &[Check] = &[
    Check {
        name: "an empty session exercises nothing",
        applies: healthy,
        sessions: &["empty"],
        judge: empty,
    },
    Check {
        name: "what is required and not exercised is inconclusive",
        applies: healthy,
        sessions: &["empty-required", "required-too-often"],
        judge: required,
    },
    Check {
        name: "events lost in a tiny ring leave their rules inconclusive",
        applies: healthy,
        sessions: &["loss"],
        judge: loss,
    },
    Check {
        name: "a hidden symbol leaves its rules inconclusive",
        applies: healthy,
        sessions: &["hidden"],
        judge: hidden,
    },
    Check {
        name: "probes that a switch silences leave their rules inconclusive",
        applies: healthy,
        sessions: &names(SWITCHES),
        judge: switches,
    },
];

/// The rules that judge events of the family `rmap`.
const OF_RMAP: [&str; 2] = ["rmap-caller-locked", "mlocked-stays-mapped"];

/// The rules that need events of the family `swiotlb`.
const OF_SWIOTLB: [&str; 3] = ["swiotlb-paired", "swiotlb-in-pool", "swiotlb-restricted-bounces"];

/// Debian's kernels poll the guest's AHCI controller, which bounces, whatever the session does.
fn is_polled(run: &Run<'_>, rule: &str) -> bool {
    run.kernel != "6.12-hmm" && OF_SWIOTLB.contains(&rule)
}

fn empty(run: &Run<'_>) -> anyhow::Result<()> {
    let session = run.session("empty")?;
    session.expect_status(0)?;
    let verdict = Verdict::of(&session)?;
    let idle = verdict.rules().filter(|rule| !is_polled(run, rule["name"].as_str().unwrap_or_default()));
    let others: Vec<String> =
        idle.filter(|rule| rule["outcome"] != "not_exercised").map(ToString::to_string).collect();
    ensure!(others.is_empty(), "nothing happened, but: {others:?}");
    session.expect_same_verdict_of_file()
}

fn required(run: &Run<'_>) -> anyhow::Result<()> {
    let session = run.session("empty-required")?;
    session.expect_status(3)?;
    let verdict = Verdict::of(&session)?;
    let mut passed = verdict.with_outcome("pass");
    passed.retain(|name| !is_polled(run, name));
    ensure!(passed.is_empty(), "passed: {passed:?}");
    ensure!(!verdict.with_outcome("inconclusive").is_empty(), "nothing is inconclusive");

    let session = run.session("required-too-often")?;
    session.expect_status(3)?;
    let rule = Verdict::of(&session)?.rule("rmap-caller-locked")?.clone();
    ensure!(rule["evaluated"].as_u64().is_some_and(|times| times >= 64), "not exercised: {rule}");
    ensure!(rule["outcome"] == "inconclusive", "less often than required: {rule}");
    Ok(())
}

fn loss(run: &Run<'_>) -> anyhow::Result<()> {
    let session = run.session("loss")?;
    session.expect_status(3)?;
    let verdict = Verdict::of(&session)?;
    let lost = &verdict.subject()["lost"];
    ensure!(lost["rmap"].as_u64().is_some_and(|count| count > 0), "the reclaim lost nothing: {lost}");
    // The controller that Debian's kernels poll wants room in the same ring; and an interrupt may skip the beginning
    // of one of its calls, which then ends alone.
    let missing =
        [lost, &verdict.subject()["unpaired"]].into_iter().filter_map(|families| families.as_object());
    let mut families: BTreeSet<&str> = missing.flatten().map(|(family, _)| family.as_str()).collect();
    families.remove("rmap");
    ensure!(
        families.is_empty() || run.kernel != "6.12-hmm" && families == BTreeSet::from(["swiotlb"]),
        "lost: {families:?}"
    );
    let polled: &[&str] = if families.is_empty() { &[] } else { &OF_SWIOTLB };
    expect_inconclusive(&verdict, &[&OF_RMAP, polled].concat())?;
    session.expect_same_verdict_of_file()
}

fn hidden(run: &Run<'_>) -> anyhow::Result<()> {
    let session = run.session("hidden")?;
    session.expect_status(3)?;
    let verdict = Verdict::of(&session)?;
    expect_inconclusive(&verdict, &["rmap-caller-locked"])?;
    session.expect_same_verdict_of_file()
}

/// Sessions in which a switch is off, and what it is called.
const SWITCHES: [(&str, &str); 5] = [
    ("ftrace-off", "kernel.ftrace_enabled"),
    ("ftrace-off-meanwhile", "kernel.ftrace_enabled"),
    ("ftrace-off-for-a-moment", "kernel.ftrace_enabled"),
    ("kprobes-off", "/sys/kernel/debug/kprobes/enabled"),
    ("kprobes-off-meanwhile", "/sys/kernel/debug/kprobes/enabled"),
];

fn switches(run: &Run<'_>) -> anyhow::Result<()> {
    for (name, switch) in SWITCHES {
        let session = run.session(name)?;
        // 7.3 refuses the write.
        if session.file("skipped").exists() {
            continue;
        }
        session.expect_status(3)?;
        let verdict = Verdict::of(&session)?;
        ensure!(verdict.with_outcome("pass").is_empty(), "{name}: {:?} passed", verdict.with_outcome("pass"));
        let rule = verdict.rule("rmap-caller-locked")?;
        let named = rule["reasons"].to_string().contains(switch);
        ensure!(rule["outcome"] == "inconclusive" && named, "{name}: {rule}");
        session.expect_same_verdict_of_file()?;
    }
    Ok(())
}

/// Exactly these, as far as this kernel can exercise them at all.
fn expect_inconclusive(verdict: &Verdict, names: &[&str]) -> anyhow::Result<()> {
    let inconclusive = verdict.with_outcome("inconclusive");
    let impossible = verdict.with_outcome("not_exercised");
    let expected: BTreeSet<&str> = names.iter().copied().filter(|name| !impossible.contains(name)).collect();
    ensure!(
        inconclusive == expected && !expected.is_empty(),
        "inconclusive: {inconclusive:?} instead of {expected:?}: {}",
        verdict.describe(&inconclusive)?
    );
    Ok(())
}
