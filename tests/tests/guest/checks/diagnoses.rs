//! Trouble that is no fault of the kernel, explained.

use anyhow::{Context, ensure};
use serde_json::Value;

use super::{Check, Run, healthy, healthy_once, healthy_with_test_driver, little_room};
use crate::recording::Session;
use crate::verdict::Verdict;

pub const CHECKS: &[Check] = &[
    Check {
        name: "exclusive ping-pong is diagnosed",
        applies: healthy_with_test_driver,
        sessions: &["exclusive-ping-pong"],
        judge: ping_pong,
    },
    Check {
        name: "exclusive pages that block migration are diagnosed",
        // Since 6.15 they are mapped and migrate like others.
        applies: healthy_once,
        sessions: &["exclusive-blocks-migration"],
        judge: blocked_migration,
    },
    Check {
        name: "walks over thousands of VMAs are diagnosed",
        applies: healthy,
        sessions: &["long-rmap-walk"],
        judge: long_walk,
    },
    Check {
        name: "a full pool of bounce buffers is diagnosed",
        applies: little_room,
        sessions: &["swiotlb-full"],
        judge: full_pool,
    },
    Check {
        name: "exclusive pages that keep memory online are diagnosed",
        applies: little_room,
        sessions: &["exclusive-blocks-migration"],
        judge: blocked_migration,
    },
];

fn ping_pong(run: &Run<'_>) -> anyhow::Result<()> {
    let (diagnosis, session) = diagnosis(run, "exclusive-ping-pong")?;
    let (pid, _) = session.pages()?;
    let evidence = &diagnosis["evidence"][0];
    ensure!(evidence["actor"]["pid"] == pid || evidence["owner_pid"] == pid, "not {pid}: {diagnosis}");
    let stacks = [&evidence["actor"]["stack"], &evidence["before"][0]["actor"]["stack"]];
    let has_frames = |stack: &Value| stack.as_array().is_some_and(|frames| !frames.is_empty());
    ensure!(stacks.into_iter().all(has_frames), "stacks of both sides are missing: {diagnosis}");
    Ok(())
}

fn blocked_migration(run: &Run<'_>) -> anyhow::Result<()> {
    let (diagnosis, session) = diagnosis(run, "exclusive-blocks-migration")?;
    let (pid, _) = session.pages()?;
    let text = diagnosis.to_string();
    ensure!(
        text.contains(&format!("\"pid\":{pid}")),
        "who made the page exclusive ({pid}) is missing: {text}"
    );
    Ok(())
}

fn long_walk(run: &Run<'_>) -> anyhow::Result<()> {
    diagnosis(run, "long-rmap-walk").map(drop)
}

fn full_pool(run: &Run<'_>) -> anyhow::Result<()> {
    let (diagnosis, session) = diagnosis(run, "swiotlb-full")?;
    let device = session.text("device")?;
    let device = device.trim().rsplit('/').next().unwrap_or_default();
    ensure!(diagnosis["evidence"][0]["device"] == device, "not {device}: {diagnosis}");
    Ok(())
}

/// The diagnosis of that name in the session of that name.
fn diagnosis(run: &Run<'_>, name: &str) -> anyhow::Result<(Value, Session)> {
    let session = run.session(name)?;
    let verdict = Verdict::of(&session)?;
    verdict.expect_no_violation()?;
    session.expect_status(0)?;
    let diagnosis = verdict.diagnoses().find(|diagnosis| diagnosis["name"] == name);
    let diagnosis = diagnosis.with_context(|| {
        format!("{name} is not diagnosed: {:?}\n{}", verdict.diagnoses().collect::<Vec<_>>(), session.said())
    })?;
    session.expect_same_verdict_of_file()?;
    Ok((diagnosis.clone(), session))
}
