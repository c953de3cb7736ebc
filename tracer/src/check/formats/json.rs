//! The whole verdict as one JSON object, described by `docs/verdict.md` and `docs/verdict.schema.json`.

use serde::{Serialize, Serializer};

use super::words;
use crate::check::{Diagnosis, Outcome, RuleVerdict, Subject, Verdict};
use crate::probe::PointReport;

/// Version of the object; raised when a member is renamed, removed or gets another meaning.
pub const SCHEMA: u32 = 1;

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    #[serde(rename = "type")]
    kind: &'static str,
    outcome: Outcome,
    counts: Counts,
    subject: &'a Subject,
    rules: &'a [RuleVerdict],
    diagnoses: &'a [Diagnosis],
    probes: &'a [PointReport],
}

#[derive(Serialize)]
struct Counts {
    rules: usize,
    pass: usize,
    violated: usize,
    inconclusive: usize,
    not_exercised: usize,
}

/// The verdict as the object that every JSON output has for it.
fn document(verdict: &Verdict) -> Document<'_> {
    let Verdict { subject, rules, diagnoses, probes } = verdict;
    Document {
        schema: SCHEMA,
        kind: "verdict",
        outcome: verdict.outcome(),
        counts: Counts {
            rules: rules.len(),
            pass: verdict.count(Outcome::Pass),
            violated: verdict.count(Outcome::Violated),
            inconclusive: verdict.count(Outcome::Inconclusive),
            not_exercised: verdict.count(Outcome::NotExercised),
        },
        subject,
        rules,
        diagnoses,
        probes,
    }
}

/// Writes the verdict as a member of another object.
///
/// # Errors
/// Those of the serializer.
pub fn serialize<S: Serializer>(verdict: &Verdict, serializer: S) -> Result<S::Ok, S::Error> {
    document(verdict).serialize(serializer)
}

/// The verdict as JSON, ended by a line feed.
///
/// # Errors
/// When serde refuses a value; none of a verdict is refused.
pub fn render(verdict: &Verdict) -> Result<String, serde_json::Error> {
    Ok(words::json(&serde_json::to_string_pretty(&document(verdict))?) + "\n")
}
