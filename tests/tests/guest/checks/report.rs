//! A live session, summed up when it ends, without a trace file.

use anyhow::{Context, ensure};
use serde_json::Value;

use super::{Check, Run, healthy};

pub const CHECKS: &[Check] = &[
    Check {
        name: "a live report has what the workload did",
        applies: healthy,
        sessions: &["live-report"],
        judge: summed_up,
    },
    Check {
        name: "a report of no command leaves no file",
        applies: healthy,
        sessions: &["report-no-command"],
        judge: no_command,
    },
];

const EVENT: &str = "try_to_unmap";

fn summed_up(run: &Run<'_>) -> anyhow::Result<()> {
    let session = run.session("live-report")?;
    session.expect_status(0)?;
    let report: Value = serde_json::from_str(&session.text("stdout")?).with_context(|| session.said())?;
    let rows = report["events"]["rows"].as_array().context("no table of events")?;
    let counts = session.counts()?;
    let expected = counts.iter().find(|count| count.event == EVENT).context("no count was stated")?.expected;
    let row = rows.iter().find(|row| row["group"][0] == EVENT).context("no row")?;
    ensure!(row["count"] == expected && row["measured"] == expected, "{row} instead of {expected}");
    ensure!(report["stacks"]["distinct"].as_u64() > Some(0), "no stack");
    for (file, end) in [("report.html", "</html>"), ("flame.svg", "</svg>")] {
        let text = session.text(file)?;
        ensure!(text.trim_end().ends_with(end), "{file} is not whole");
        ensure!(text.contains(EVENT), "{file} has no {EVENT}");
    }
    Ok(())
}

fn no_command(run: &Run<'_>) -> anyhow::Result<()> {
    let session = run.session("report-no-command")?;
    session.expect_status(127)?;
    ensure!(!session.file("report.html").exists(), "a report of nothing was written");
    Ok(())
}
