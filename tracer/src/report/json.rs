//! The report as one JSON object, described by `docs/report.md` and `docs/report.schema.json`.

use serde::Serialize;

use super::model::Report;
use crate::check::formats::words;

/// Version of the object; raised when a member is renamed, removed or gets another meaning.
pub const SCHEMA: u32 = 1;

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(flatten)]
    report: &'a Report,
}

/// The report as JSON, ended by a line feed. Its member `verdict` is the whole object that `check --json` prints.
///
/// # Errors
/// When serde refuses a value; none of a report is refused.
pub fn render(report: &Report) -> Result<String, serde_json::Error> {
    let document = Document { schema: SCHEMA, kind: "report", report };
    Ok(words::json(&serde_json::to_string_pretty(&document)?) + "\n")
}
