//! What one recording says about each family of events.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::command::demo::{Demo, comparison};

/// What `check --json` says, as far as the table needs it.
#[derive(Debug, Deserialize)]
struct Verdict {
    subject: Subject,
    probes: Vec<Probe>,
    rules: Vec<Rule>,
}

#[derive(Debug, Deserialize)]
struct Subject {
    release: String,
}

#[derive(Debug, Deserialize)]
struct Probe {
    family: String,
    events: Vec<String>,
    outcome: Outcome,
}

impl Probe {
    fn is_in_use(&self) -> bool {
        matches!(self.outcome.state.as_str(), "attached" | "fallback")
    }
}

#[derive(Debug, Deserialize)]
struct Outcome {
    state: String,
}

#[derive(Debug, Deserialize)]
struct Rule {
    name: String,
    outcome: String,
    evaluated: u64,
}

/// A row of the table.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Row {
    family: String,
    points: usize,
    attached: usize,
    stated: usize,
    exact: usize,
    /// Events of which another number was seen than stated.
    wrong: Vec<String>,
    rules: usize,
    exercised: usize,
    passed: usize,
    /// Rules that are inconclusive or violated, with which of the two.
    open: Vec<String>,
}

/// The kernel's release and its rows.
pub fn of(program: &Path, demo: &Demo) -> Result<(String, Vec<Row>)> {
    let output = Command::new(program)
        .args(["check", "--quiet", "--json", "-", "-i"])
        .arg(&demo.trace)
        .output()
        .with_context(|| program.display().to_string())?;
    let said = String::from_utf8_lossy(&output.stderr);
    // 1: violated, 3: inconclusive; both are verdicts.
    ensure!(matches!(output.status.code(), Some(0 | 1 | 3)), "rmapscope check: {}: {said}", output.status);
    let verdict: Verdict = serde_json::from_slice(&output.stdout).context("the verdict")?;
    let comparison = comparison::compare(program, &demo.trace, &demo.facts)?;
    let mut events = Vec::new();
    for rule in &verdict.rules {
        events.push(first_event(program, &rule.name)?);
    }
    Ok((verdict.subject.release.clone(), rows(&verdict, &events, comparison.events())))
}

/// The first event that a rule needs: its family is the rule's.
fn first_event(program: &Path, rule: &str) -> Result<String> {
    let output = Command::new(program).args(["explain", rule]).output().context("rmapscope explain")?;
    needed(&String::from_utf8_lossy(&output.stdout))
        .with_context(|| format!("rmapscope explain {rule} names no event that it needs"))
}

fn needed(explanation: &str) -> Option<String> {
    explanation.lines().find_map(|line| {
        let (event, why) = line.strip_prefix("  - ")?.split_once(" (")?;
        why.starts_with("needed").then(|| event.to_owned())
    })
}

fn rows<'a>(verdict: &Verdict, needed: &[String], stated: impl Iterator<Item = (&'a str, bool)>) -> Vec<Row> {
    let mut families: BTreeMap<&str, Row> = BTreeMap::new();
    let mut family_of: BTreeMap<&str, &str> = BTreeMap::new();
    for probe in &verdict.probes {
        let row = families.entry(&probe.family).or_default();
        row.points += 1;
        row.attached += usize::from(probe.is_in_use());
        for event in &probe.events {
            family_of.entry(event).or_insert(&probe.family);
        }
    }
    for (event, agrees) in stated {
        // This kernel may have no point that tells of it.
        let mut points = verdict.probes.iter().filter(|probe| probe.events.iter().any(|told| told == event));
        if !points.any(Probe::is_in_use) {
            continue;
        }
        let Some(row) = family_of.get(event).and_then(|family| families.get_mut(family)) else { continue };
        row.stated += 1;
        row.exact += usize::from(agrees);
        if !agrees {
            row.wrong.push(event.into());
        }
    }
    for (rule, event) in verdict.rules.iter().zip(needed) {
        let Some(row) = family_of.get(event.as_str()).and_then(|family| families.get_mut(family)) else {
            continue;
        };
        row.rules += 1;
        row.exercised += usize::from(rule.evaluated > 0);
        row.passed += usize::from(rule.outcome == "pass");
        if matches!(rule.outcome.as_str(), "inconclusive" | "violated") {
            row.open.push(format!("{} {}", rule.name, rule.outcome));
        }
    }
    families.into_iter().map(|(family, row)| Row { family: family.into(), ..row }).collect()
}

impl Row {
    /// The row as Markdown.
    pub fn line(&self, kernel: &str, release: &str) -> String {
        let of = |part: usize, all: usize| if all == 0 { "-".into() } else { format!("{part} of {all}") };
        let mut exact = of(self.exact, self.stated);
        if !self.wrong.is_empty() {
            exact.push_str(&format!(" (not: {})", self.wrong.join(", ")));
        }
        let open = if self.open.is_empty() { "-".into() } else { self.open.join(", ") };
        format!(
            "| {kernel} | {release} | {} | {} | {exact} | {} | {} | {open} |",
            self.family,
            of(self.attached, self.points),
            of(self.exercised, self.rules),
            if self.rules == 0 { "-".into() } else { self.passed.to_string() },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_counts_for_the_family_of_what_it_needs() {
        let verdict = serde_json::from_str(
            r#"{"subject":{"release":"7.3.4"},
                "probes":[
                    {"family":"rmap","events":["try_to_unmap"],"outcome":{"state":"attached"}},
                    {"family":"rmap","events":["page_mlock"],"outcome":{"state":"absent"}},
                    {"family":"rmap","events":["try_to_unmap_one"],"outcome":{"state":"fallback"}},
                    {"family":"fork","events":["copy_page_range"],"outcome":{"state":"attached"}}],
                "rules":[
                    {"name":"a","outcome":"pass","evaluated":3},
                    {"name":"b","outcome":"not_exercised","evaluated":0},
                    {"name":"c","outcome":"inconclusive","evaluated":2}]}"#,
        )
        .expect("a verdict");
        let needed = ["try_to_unmap", "copy_page_range", "try_to_unmap"].map(str::to_owned);
        let rows = rows(
            &verdict,
            &needed,
            [("try_to_unmap", true), ("page_mlock", false), ("copy_page_range", false)].into_iter(),
        );
        let lines: Vec<String> = rows.iter().map(|row| row.line("7.3", "7.3.4")).collect();
        assert_eq!(
            lines,
            [
                "| 7.3 | 7.3.4 | fork | 1 of 1 | 0 of 1 (not: copy_page_range) | 0 of 1 | 0 | - |",
                "| 7.3 | 7.3.4 | rmap | 2 of 3 | 1 of 1 | 2 of 2 | 1 | c inconclusive |",
            ]
        );
    }

    #[test]
    fn the_needed_event_is_read_from_the_explanation() {
        let text = "Events, and the functions\n  - x (helps): y\n  - try_to_unmap (needed): the lock\n";
        assert_eq!(needed(text).as_deref(), Some("try_to_unmap"));
        assert_eq!(needed(""), None);
    }
}
