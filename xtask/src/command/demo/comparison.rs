//! What the demonstration workload expected beside what the recording has.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

/// A statement of the workload: so many events, exactly or at least, of one process or of all.
#[derive(Debug, Deserialize)]
struct Fact {
    label: String,
    event: String,
    expected: u64,
    pid: Option<u32>,
    exact: bool,
}

/// A workload that the guest could not run.
#[derive(Debug, Deserialize)]
struct Skipped {
    label: String,
    skipped: String,
}

/// A line of `rmapscope script -f json`.
#[derive(Debug, Deserialize)]
struct Line {
    #[serde(rename = "type")]
    kind: String,
    event: Option<String>,
    pid: Option<u32>,
}

/// Events by name and process.
type Seen = HashMap<(String, Option<u32>), u64>;

/// The sums over all statements about one event.
#[derive(Debug, Default, PartialEq, Eq)]
struct Row {
    expected: u64,
    seen: u64,
    at_least: bool,
    /// Statements that do not hold.
    wrong: Vec<String>,
}

/// The table, by event.
#[derive(Debug, Default)]
pub struct Comparison {
    rows: BTreeMap<String, Row>,
    /// All events of the recording, whoever caused them.
    recorded: BTreeMap<String, u64>,
    skipped: Vec<Skipped>,
}

/// Reads the statements of the workload, and the trace file with `program`.
pub fn compare(program: &Path, trace: &Path, facts: &Path) -> Result<Comparison> {
    let facts = fs::read_to_string(facts).with_context(|| facts.display().to_string())?;
    let mut child = Command::new(program)
        .args(["script", "-f", "json", "-i"])
        .arg(trace)
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| program.display().to_string())?;
    let mut seen = Seen::new();
    if let Some(lines) = child.stdout.take() {
        for line in BufReader::new(lines).lines() {
            count(&line.context("output of rmapscope script")?, &mut seen)?;
        }
    }
    let status = child.wait().context("rmapscope script")?;
    ensure!(status.success(), "rmapscope script {}: {status}", trace.display());
    Comparison::new(&facts, &seen)
}

fn count(line: &str, seen: &mut Seen) -> Result<()> {
    let line: Line =
        serde_json::from_str(line).with_context(|| format!("not a line of the recording: {line}"))?;
    if let ("event", Some(event)) = (line.kind.as_str(), line.event) {
        *seen.entry((event, line.pid)).or_default() += 1;
    }
    Ok(())
}

impl Comparison {
    fn new(facts: &str, seen: &Seen) -> Result<Self> {
        let mut comparison = Self::default();
        for ((event, _), count) in seen {
            *comparison.recorded.entry(event.clone()).or_default() += count;
        }
        for line in facts.lines().filter(|line| !line.trim().is_empty()) {
            if let Ok(fact) = serde_json::from_str::<Fact>(line) {
                comparison.add(&fact, seen);
            } else if let Ok(skipped) = serde_json::from_str::<Skipped>(line) {
                comparison.skipped.push(skipped);
            }
        }
        ensure!(!comparison.rows.is_empty(), "the workload stated nothing");
        Ok(comparison)
    }

    fn add(&mut self, fact: &Fact, seen: &Seen) {
        let found = match fact.pid {
            Some(_) => seen.get(&(fact.event.clone(), fact.pid)).copied().unwrap_or(0),
            None => self.recorded.get(&fact.event).copied().unwrap_or(0),
        };
        let row = self.rows.entry(fact.event.clone()).or_default();
        // What all processes saw is the same for each statement, so only the largest counts.
        match fact.pid {
            Some(_) => row.seen += found,
            None => row.seen = row.seen.max(found),
        }
        row.expected += fact.expected;
        row.at_least |= !fact.exact;
        if found < fact.expected || (fact.exact && found > fact.expected) {
            let bound = if fact.exact { "" } else { "at least " };
            row.wrong.push(format!("{}: {found} instead of {bound}{}", fact.label, fact.expected));
        }
    }

    /// Each event with statements, and whether all of them hold.
    pub fn events(&self) -> impl Iterator<Item = (&str, bool)> {
        self.rows.iter().map(|(event, row)| (event.as_str(), row.wrong.is_empty()))
    }

    /// Whether every statement holds.
    pub fn agrees(&self) -> bool {
        self.rows.values().all(|row| row.wrong.is_empty())
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "{:<28} {:>10} {:>8} {:>9}", "event", "expected", "seen", "recorded")?;
        for (event, row) in &self.rows {
            let expected = format!("{}{}", if row.at_least { ">= " } else { "" }, row.expected);
            let recorded = self.recorded.get(event).unwrap_or(&0);
            let verdict = if row.wrong.is_empty() { "" } else { "  differs" };
            writeln!(out, "{event:<28} {expected:>10} {:>8} {recorded:>9}{verdict}", row.seen)?;
            for wrong in &row.wrong {
                writeln!(out, "    {wrong}")?;
            }
        }
        for (event, recorded) in self.recorded.iter().filter(|(event, _)| !self.rows.contains_key(*event)) {
            writeln!(out, "{event:<28} {:>10} {:>8} {recorded:>9}", "-", "-")?;
        }
        for skipped in &self.skipped {
            writeln!(out, "skipped: {}: {}", skipped.label, skipped.skipped)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FACTS: &str = r#"
{"label":"a","event":"try_to_unmap","expected":2,"pid":7,"exact":true}
{"label":"b","event":"try_to_unmap","expected":1,"pid":8,"exact":true}
{"label":"c","event":"swiotlb_map","expected":3,"exact":false,"bound":"others map too"}
{"label":"a","pid":7,"pages":[]}
{"label":"d","skipped":"no NUMA"}
"#;

    fn seen(lines: &[(&str, u32)]) -> Seen {
        let mut seen = Seen::new();
        for (event, pid) in lines {
            count(&format!(r#"{{"type":"event","event":"{event}","pid":{pid}}}"#), &mut seen).expect("valid");
        }
        seen
    }

    #[test]
    fn statements_hold_by_process() {
        let events = [("try_to_unmap", 7), ("try_to_unmap", 7), ("try_to_unmap", 8), ("try_to_unmap", 9)];
        let io = [
            ("swiotlb_map", 0),
            ("swiotlb_map", 1),
            ("swiotlb_map", 2),
            ("swiotlb_map", 7),
            ("process_exec", 7),
        ];
        let comparison = Comparison::new(FACTS, &seen(&[&events[..], &io[..]].concat())).expect("valid");
        assert!(comparison.agrees());
        assert_eq!(
            comparison.to_string(),
            "\
event                          expected     seen  recorded
swiotlb_map                        >= 3        4         4
try_to_unmap                          3        3         4
process_exec                          -        -         1
skipped: d: no NUMA
"
        );
    }

    #[test]
    fn differences_are_shown_by_workload() {
        let comparison =
            Comparison::new(FACTS, &seen(&[("try_to_unmap", 7), ("try_to_unmap", 8)])).expect("valid");
        assert!(!comparison.agrees());
        let text = comparison.to_string();
        assert!(text.contains("    a: 1 instead of 2\n"), "{text}");
        assert!(text.contains("    c: 0 instead of at least 3\n"), "{text}");
    }

    #[test]
    fn a_workload_without_statements_proves_nothing() {
        assert!(Comparison::new("", &seen(&[])).is_err());
    }
}
