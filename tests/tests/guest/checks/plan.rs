//! `probes` and `doctor` on each kernel, and a kernel that is locked down.

use anyhow::{Context, ensure};
use serde_json::Value;

use super::{Applies, Check, Run, once};
use crate::kernels::has_test_driver;
use crate::runs;

pub const CHECKS: &[Check] = &[
    Check { name: "the plan fits the kernel", applies: once, sessions: &["probes"], judge: plan },
    Check { name: "doctor finds nothing in the way", applies: once, sessions: &["doctor"], judge: doctor },
    Check {
        name: "fentry records under lockdown",
        applies: locked_down,
        sessions: &["lockdown"],
        judge: lockdown,
    },
    Check {
        name: "doctor explains lockdown",
        applies: locked_down,
        sessions: &["doctor"],
        judge: doctor_under_lockdown,
    },
];

fn locked_down(_kernel: &str, method: &str) -> Applies {
    (method == runs::LOCKDOWN).into()
}

/// State and whole report of a probe point.
fn point(report: &Value, name: &str) -> anyhow::Result<(String, String)> {
    let points = report.get("points").unwrap_or(report).as_array().context("no array of points")?;
    let point = points.iter().find(|point| point["point"] == name);
    let point = point.with_context(|| format!("no point {name}"))?;
    let state = point["outcome"]["state"].as_str().context("a point without state")?;
    Ok((state.to_owned(), point.to_string()))
}

fn plan(run: &Run<'_>) -> anyhow::Result<()> {
    let session = run.session("probes")?;
    session.expect_status(0)?;
    let report: Value = serde_json::from_str(&session.text("stdout")?).context("probes --json")?;
    for (name, expected) in [
        ("try_to_unmap", "attached"),
        ("try_to_migrate", "attached"),
        ("mlock_folio", "attached"),
        ("mlock_fixup", "attached"),
        ("copy_page_range", "attached"),
        ("copy_pte_range", "inlined"),
        ("swiotlb_map", "attached"),
        ("page_mlock", "absent"),
        // munlock_page on 6.1, which is the same function by another name.
        ("munlock_folio", "attached"),
    ] {
        let (state, whole) = point(&report, name)?;
        ensure!(state == expected, "{name} is {state} instead of {expected}: {whole}");
    }
    // One of the two, by the kernel's version; neither without device memory.
    let (old, whole) = point(&report, "make_device_exclusive_range")?;
    let (new, _) = point(&report, "make_device_exclusive")?;
    let exclusive = [old, new].iter().any(|state| state == "attached");
    if has_test_driver(run.kernel) {
        ensure!(exclusive, "nothing tells which pages are made exclusive: {whole}");
    } else if !exclusive {
        ensure!(whole.contains("CONFIG_DEVICE_PRIVATE"), "the reason is not named: {whole}");
    }
    Ok(())
}

fn doctor(run: &Run<'_>) -> anyhow::Result<()> {
    run.session("doctor")?.expect_status(0)
}

fn lockdown(run: &Run<'_>) -> anyhow::Result<()> {
    let session = run.session("lockdown")?;
    session.expect_status(0)?;
    session.check_counts(&session.recording()?, &["try_to_unmap"])
}

fn doctor_under_lockdown(run: &Run<'_>) -> anyhow::Result<()> {
    let said = run.session("doctor")?.text("stdout")?;
    for word in ["lockdown", "confidentiality", "kprobe"] {
        ensure!(said.contains(word), "{word} is not mentioned: {said}");
    }
    Ok(())
}
