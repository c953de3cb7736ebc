//! A kernel with a planted bug.

use std::collections::BTreeSet;

use anyhow::{Context, ensure};
use rmapscope_tests::workload::Fact;
use serde_json::Value;

use super::{Check, Run, mutants};
use crate::mutants::{self as list, Mutant};
use crate::recording::Session;
use crate::verdict::Verdict;

pub const CHECKS: &[Check] = &[Check {
    name: "the boot parameter chooses",
    applies: mutants,
    sessions: &["chosen-at-boot"],
    judge: boot_parameter,
}];

fn boot_parameter(run: &Run<'_>) -> anyhow::Result<()> {
    let chosen = run.session("chosen-at-boot")?.text("mutant")?;
    ensure!(chosen.trim() == list::all()[0].name, "{chosen:?} is on instead of the one that was asked for");
    Ok(())
}

/// The bug is found, and nothing else is.
pub fn planted_bug(run: &Run<'_>, mutant: &Mutant) -> anyhow::Result<()> {
    for method in mutant.methods() {
        let session = run.session(&mutant.session(method))?;
        found(&session, mutant).with_context(|| format!("with the attach method {method}"))?;
    }
    Ok(())
}

fn found(session: &Session, mutant: &Mutant) -> anyhow::Result<()> {
    let verdict = Verdict::of(session)?;
    let violated = verdict.with_outcome("violated");
    let subject = mutant.subject.as_str();
    let (status, evidence) = if let Ok(rule) = verdict.rule(subject) {
        ensure!(
            violated == BTreeSet::from([subject]),
            "violated: {violated:?} instead of {subject}: {}; the session said:\n{}",
            verdict.describe(&violated)?,
            session.said()
        );
        (1, &rule["evidence"])
    } else {
        verdict.expect_no_violation()?;
        let diagnosis = verdict.diagnoses().find(|diagnosis| diagnosis["name"] == subject);
        (0, &diagnosis.with_context(|| format!("no diagnosis {subject}"))?["evidence"])
    };
    session.expect_status(status)?;
    let evidence = evidence.as_array().filter(|list| !list.is_empty()).context("no evidence")?;
    let who = Who::read(session)?;
    ensure!(
        evidence.iter().any(|evidence| who.is_in(evidence)),
        "no evidence names the workload's process and page or its device: {evidence:?}; it has {who:?}"
    );
    session.expect_same_verdict_of_file()
}

/// What the workload said it is.
#[derive(Debug)]
struct Who {
    processes: BTreeSet<u64>,
    addresses: BTreeSet<u64>,
    frames: BTreeSet<u64>,
    device: String,
}

impl Who {
    fn read(session: &Session) -> anyhow::Result<Self> {
        let device = session.text("device").unwrap_or_default();
        let mut who = Self {
            processes: BTreeSet::new(),
            addresses: BTreeSet::new(),
            frames: BTreeSet::new(),
            device: device.trim().rsplit('/').next().unwrap_or_default().to_owned(),
        };
        for fact in session.facts()? {
            match fact {
                Fact::Pages(pages) => {
                    who.processes.insert(pages.pid.into());
                    who.addresses.extend(pages.pages.iter().map(|page| page.address));
                    who.frames.extend(pages.pages.iter().map(|page| page.pfn));
                }
                Fact::Count(count) => who.processes.extend(count.pid.map(u64::from)),
                Fact::Io(io) => {
                    who.processes.insert(io.pid.into());
                }
                Fact::Clients(_) | Fact::Skipped(_) => {}
            }
        }
        Ok(who)
    }

    /// Whether that is the workload: its device, or one of its pages in one of its processes.
    fn is_in(&self, evidence: &Value) -> bool {
        let number = |name: &str| {
            evidence[name].as_str().and_then(|text| u64::from_str_radix(text.strip_prefix("0x")?, 16).ok())
        };
        let is_device = evidence["device"].as_str().is_some_and(|device| device.contains(&self.device));
        let process = [&evidence["actor"]["pid"], &evidence["owner_pid"]];
        let is_process =
            process.iter().any(|pid| pid.as_u64().is_some_and(|pid| self.processes.contains(&pid)));
        let is_page = number("address").is_some_and(|address| self.addresses.contains(&address))
            || number("pfn").is_some_and(|frame| self.frames.contains(&frame));
        is_device && !self.device.is_empty() || is_process && is_page
    }
}
