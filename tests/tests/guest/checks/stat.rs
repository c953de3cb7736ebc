//! Counts that are kept in the kernel.

use anyhow::{Context, ensure};
use serde_json::Value;

use super::{Check, Run, always};
use crate::recording::Session;

/// What the same work is grouped by, each in a session of its own.
const GROUPED: [&str; 7] =
    ["stat-event", "stat-process", "stat-name", "stat-cpu", "stat-stack", "stat-flags", "stat-ttu-flags"];

pub const CHECKS: &[Check] = &[
    Check {
        name: "counts in the kernel are exact, whatever they are grouped by",
        applies: always,
        sessions: &GROUPED,
        judge: grouped,
    },
    Check {
        name: "counts at the entry, in intervals, with what they cost",
        applies: always,
        sessions: &["stat-entry"],
        judge: entries,
    },
];

/// The objects of a session, by their type.
pub(super) fn objects(session: &Session, of_type: &str) -> anyhow::Result<Vec<Value>> {
    let lines = session.text("stdout")?;
    let lines = lines.lines().filter(|line| line.starts_with("{\"") && line.contains("\"type\":"));
    let objects: Vec<Value> =
        lines.map(serde_json::from_str).collect::<Result<_, _>>().context("an object a line")?;
    Ok(objects.into_iter().filter(|object| object["type"] == of_type).collect())
}

pub(super) fn sum(objects: &[Value], member: &str) -> u64 {
    objects.iter().filter_map(|object| object[member].as_u64()).sum()
}

/// What the workload said that there were, and the process that it was.
fn expected(session: &Session) -> anyhow::Result<(u64, u64)> {
    let counts = session.counts()?;
    let count = counts.iter().find(|count| count.event == "try_to_unmap" && count.exact);
    let count = count.with_context(|| format!("no exact count was stated; it said:\n{}", session.said()))?;
    Ok((count.expected, count.pid.context("a count of no process")?.into()))
}

/// The counts of the one event, which must be all that the programs say there were.
fn counted(session: &Session) -> anyhow::Result<Vec<Value>> {
    session.expect_status(0)?;
    let (expected, _) = expected(session)?;
    let mut counted = objects(session, "count")?;
    counted.retain(|object| object["event"] == "try_to_unmap");
    let (seen, said) = (sum(&counted, "count"), session.said());
    ensure!(seen == expected, "{seen} instead of {expected}; it said:\n{said}");
    let summary = objects(session, "summary")?.pop().context("no summary")?;
    for member in ["lost", "missed", "dropped", "unpaired", "stacks_lost", "other"] {
        ensure!(summary[member] == 0, "{member} is {}", summary[member]);
    }
    // Walks that migrate are rare, and counted with the others.
    let all = sum(&objects(session, "count")?, "count");
    ensure!(summary["emitted"] == all, "{all} counted, {} emitted", summary["emitted"]);
    Ok(counted)
}

fn grouped(run: &Run<'_>) -> anyhow::Result<()> {
    for name in GROUPED {
        let session = run.session(name)?;
        let counted = counted(&session).with_context(|| name.to_owned())?;
        for object in &counted {
            let count = object["count"].as_u64().unwrap_or(0);
            let buckets = object["buckets"].as_array().context("no histogram")?;
            let in_buckets: u64 = buckets.iter().filter_map(|bucket| bucket[2].as_u64()).sum();
            ensure!(
                in_buckets == count && object["measured"] == count,
                "{name}: not all were measured: {object}"
            );
            ensure!(sum(&counted, "sum") > 0, "{name}: calls took no time");
        }
        let (_, pid) = expected(&session)?;
        let is_right = |object: &Value| match name {
            "stat-process" => object["pid"] == pid && object["comm"] == "rmapscope-workl",
            "stat-name" => object["comm"] == "rmapscope-workl",
            "stat-stack" => object["frames"].as_array().is_some_and(|frames| !frames.is_empty()),
            "stat-flags" => {
                object["flags"].as_array().is_some_and(|flags| flags.iter().any(|flag| flag == "locked"))
            }
            "stat-ttu-flags" => object["ttu_flags"].as_array().is_some(),
            "stat-cpu" => object["cpu"].is_u64(),
            _ => counted.len() == 1,
        };
        let wrong = counted.iter().find(|object| !is_right(object));
        ensure!(wrong.is_none(), "{name}: {wrong:?}");
    }
    Ok(())
}

fn entries(run: &Run<'_>) -> anyhow::Result<()> {
    let session = run.session("stat-entry")?;
    let (_, pid) = expected(&session)?;
    for object in counted(&session)? {
        ensure!(object["pid"] == pid && object["time"].is_u64(), "another one's: {object}");
    }
    let programs = objects(&session, "program")?;
    let of_walks =
        |object: &&Value| object["name"].as_str().is_some_and(|name| name.ends_with("try_to_unmap"));
    let walks: Vec<&Value> = programs.iter().filter(of_walks).collect();
    let [program] = walks[..] else { anyhow::bail!("one program counts a walk: {walks:?}") };
    let name = program["name"].as_str().unwrap_or_default();
    ensure!(name.starts_with("fentry") || name.starts_with("kprobe"), "it runs at the end: {name}");
    ensure!(program["runs"].as_u64() >= Some(400) && program["time"].as_u64() > Some(0), "{program}");
    Ok(())
}
