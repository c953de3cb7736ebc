//! The comparison as one JSON object, described by `docs/diff.md` and `docs/diff.schema.json`.

use serde::Serialize;

use super::Comparison;
use crate::check::formats::words;

/// Version of the object; raised when a member is renamed, removed or gets another meaning.
pub const SCHEMA: u32 = 1;

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(flatten)]
    comparison: &'a Comparison,
}

/// The comparison as JSON, ended by a line feed.
///
/// # Errors
/// When serde refuses a value; none of a comparison is refused.
pub fn json(comparison: &Comparison) -> Result<String, serde_json::Error> {
    let document = Document { schema: SCHEMA, kind: "diff", comparison };
    Ok(words::json(&serde_json::to_string_pretty(&document)?) + "\n")
}
