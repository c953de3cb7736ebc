//! KCIDB, schema 5.3 (kcidb-io, `kcidb_io/schema/v05_03.py`): a test a rule, for a build that the CI system knows.

use chrono::{DateTime, SecondsFormat};
use serde_json::{Value, json};

use super::lines::{Line, Lines, losses, subject};
use super::words::{self, plain};
use crate::check::{Outcome, RuleVerdict, Verdict};

/// Longest excerpt of a log that the schema allows, in characters.
const LONGEST_EXCERPT: usize = 16384;

/// The CI system that submits, and the build that was tested.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    name: String,
    build: String,
}

/// What KCIDB does not take as an origin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OriginError {
    /// The name has other characters.
    #[error("an origin consists of a-z, 0-9 and _")]
    Name,
    /// The build's id has no origin.
    #[error("a build id is ORIGIN:REST, with only a-z, 0-9 and _ in ORIGIN")]
    Build,
}

fn is_origin(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'))
}

impl Origin {
    /// An origin and the full id of a build, which may be of another origin.
    ///
    /// # Errors
    /// When the schema does not allow them.
    pub fn new(name: &str, build: &str) -> Result<Self, OriginError> {
        if !is_origin(name) {
            return Err(OriginError::Name);
        }
        let of_build = build.split_once(':').map(|(origin, _)| origin);
        if !of_build.is_some_and(is_origin) || build.contains(['\0', '\n']) {
            return Err(OriginError::Build);
        }
        Ok(Self { name: name.to_owned(), build: build.to_owned() })
    }
}

/// The verdict as KCIDB's JSON, ended by a line feed.
///
/// # Errors
/// When serde refuses a value; none of a verdict is refused.
pub fn render(verdict: &Verdict, origin: &Origin) -> Result<String, serde_json::Error> {
    let started = DateTime::from_timestamp_nanos(verdict.subject.started);
    let start_time = started.to_rfc3339_opts(SecondsFormat::Micros, true);
    let session = session(verdict, origin);
    let subject = &verdict.subject;
    let mut kernel = json!({
        "release": subject.release,
        "version": subject.version,
        "machine": subject.machine,
    });
    if let Some(build_id) = &subject.build_id {
        kernel["build_id"] = json!(build_id);
    }
    let tests: Vec<Value> = verdict
        .rules
        .iter()
        .map(|rule| {
            let mut test = json!({
                "id": format!("{}:rmapscope-{session:08x}-{}", origin.name, rule.name),
                "origin": origin.name,
                "build_id": origin.build,
                "path": format!("rmapscope.{}", rule.name),
                "comment": plain(rule.title),
                "status": status(rule),
                "start_time": start_time,
                "duration": subject.duration as f64 / 1e9,
                "environment": {
                    "comment": plain(&subject.host),
                    "misc": kernel,
                },
                "log_excerpt": excerpt(verdict, rule),
                "misc": { "rmapscope": {
                    "version": subject.program_version,
                    "severity": rule.severity,
                    "outcome": rule.outcome,
                    "evaluated": rule.evaluated,
                    "violations": rule.violations,
                    "reasons": rule.reasons,
                    "notes": rule.notes,
                } },
            });
            if rule.evaluated > 0 {
                test["number"] = json!({ "value": rule.evaluated, "unit": "evaluations" });
            }
            test
        })
        .collect();
    let document = json!({ "version": { "major": 5, "minor": 3 }, "tests": tests });
    Ok(words::json(&serde_json::to_string_pretty(&document)?) + "\n")
}

/// Tells sessions apart, by nothing but what the trace holds: host, kernel, beginning, build.
fn session(verdict: &Verdict, origin: &Origin) -> u32 {
    let subject = &verdict.subject;
    let build_id = subject.build_id.as_deref().unwrap_or_default();
    let all = [&subject.host, &subject.release, build_id, &subject.started.to_string(), &origin.build];
    crc32fast::hash(all.join("\0").as_bytes())
}

/// In the words of the schema: ERROR is a test that did not complete, MISS one that did not run because of the
/// harness.
fn status(rule: &RuleVerdict) -> &'static str {
    match rule.outcome {
        Outcome::Pass => "PASS",
        Outcome::Violated => "FAIL",
        Outcome::Inconclusive if rule.evaluated == 0 => "MISS",
        Outcome::Inconclusive => "ERROR",
        Outcome::NotExercised => "SKIP",
    }
}

fn excerpt(verdict: &Verdict, rule: &RuleVerdict) -> String {
    let mut lines = Lines::new(0);
    lines.add(0, &format!("{} {}: {}", rule.outcome.name(), rule.name, plain(rule.title)));
    if rule.outcome == Outcome::Violated {
        lines.add(0, &format!("{} of {}", rule.violations, rule.evaluated));
        lines.violations(0, rule);
    }
    rule.reasons.iter().for_each(|reason| lines.add(0, &format!("because {}", plain(reason))));
    rule.notes.iter().for_each(|note| lines.add(0, &format!("note: {}", plain(note))));
    lines.add(0, &subject(verdict));
    lines.add(0, &losses(verdict));
    let mut text = String::new();
    let mut left = LONGEST_EXCERPT;
    for Line { depth, text: line } in lines.finish() {
        let line = format!("{:1$}{line}\n", "", 2 * depth);
        let Some(rest) = left.checked_sub(line.chars().count()) else { break };
        left = rest;
        text += &line;
    }
    text
}
