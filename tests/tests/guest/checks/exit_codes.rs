//! One number that means one thing, for each reader of it.

use anyhow::ensure;

use super::{Check, Run, healthy_once, mutants, names};
use crate::verdict::Verdict;

pub const CHECKS: &[Check] = &[
    Check {
        name: "exit codes of a kernel that keeps its rules",
        applies: healthy_once,
        sessions: &names(WITHOUT_VIOLATION),
        judge: without_violation,
    },
    Check {
        name: "exit codes of a kernel that breaks one",
        applies: mutants,
        sessions: &names(WITH_VIOLATION),
        judge: with_violation,
    },
    Check {
        name: "a signal ends the check with its verdict",
        applies: healthy_once,
        sessions: &["interrupted"],
        judge: interrupted,
    },
    Check {
        name: "the first violation ends the check on request",
        applies: mutants,
        sessions: &["violated-fail-fast"],
        judge: fail_fast,
    },
];

/// Sessions and their exit codes.
const WITHOUT_VIOLATION: [(&str, i32); 18] = [
    ("bisect-pass", 0),
    ("bisect-loss", 125),
    ("bisect-no-command", 128),
    ("bisect-usage", 128),
    ("bisect-no-privilege", 125),
    ("kselftest-pass", 0),
    ("kselftest-loss", 1),
    ("kselftest-loss-skip", 4),
    ("kselftest-no-privilege", 4),
    ("loss-warn", 0),
    ("loss-ignore", 0),
    ("missing-warn", 0),
    ("missing-ignore", 0),
    ("no-command", 2),
    ("no-privilege", 4),
    ("command-fails", 0),
    ("command-must-succeed", 3),
    ("usage", 2),
];

const WITH_VIOLATION: [(&str, i32); 4] =
    [("violated-bisect", 1), ("violated-kselftest", 1), ("violated-other-rule", 0), ("violated-loss", 1)];

fn without_violation(run: &Run<'_>) -> anyhow::Result<()> {
    expect(run, &WITHOUT_VIOLATION)
}

fn with_violation(run: &Run<'_>) -> anyhow::Result<()> {
    expect(run, &WITH_VIOLATION)
}

fn expect(run: &Run<'_>, statuses: &[(&str, i32)]) -> anyhow::Result<()> {
    let mut wrong = Vec::new();
    for (name, expected) in statuses {
        if let Err(error) = run.session(name)?.expect_status(*expected) {
            wrong.push(format!("{name}: {error:#}"));
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

fn interrupted(run: &Run<'_>) -> anyhow::Result<()> {
    let session = run.session("interrupted")?;
    let verdict = Verdict::of(&session)?;
    // The shell that ends the session forks meanwhile: on a busy machine calls may be seen at one end only.
    let is_whole = verdict.subject()["unpaired"].as_object().is_none_or(|families| families.is_empty());
    session.expect_status(if is_whole { 0 } else { 3 })?;
    let evaluated = verdict.evaluated()["rmap-caller-locked"];
    ensure!(evaluated >= 64, "rmap-caller-locked was evaluated {evaluated} times:\n{}", session.said());
    session.expect_same_verdict_of_file()
}

fn fail_fast(run: &Run<'_>) -> anyhow::Result<()> {
    let session = run.session("violated-fail-fast")?;
    session.expect_status(1)?;
    let seconds: u64 = session.text("seconds")?.trim().parse()?;
    ensure!(seconds < 60, "the command's {seconds} seconds were waited for");
    Ok(())
}
