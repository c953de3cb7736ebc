//! The list of kinds in `docs/trace-file.md` is the one that headers have.
//!
//! `cargo xtask golden` writes it anew.

use super::header::KindLayout;
use crate::golden_common::assert_golden;

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/trace-file.md");

/// Where the list begins and ends.
const BEGIN: &str = "## Kinds of format 2\n";
const FENCES: [&str; 2] = ["```json\n", "```"];

#[test]
fn the_list_of_kinds_is_that_of_headers() {
    // Once the format is another one, this list stays as it is.
    assert_eq!(tracer_common::FORMAT_VERSION, 2);
    let document = std::fs::read_to_string(PATH).expect("docs/trace-file.md");
    let line = |kind: &KindLayout| format!("{}\n", serde_json::to_string(kind).expect("a kind"));
    let list: String = KindLayout::all().iter().map(line).collect();
    let section = document.find(BEGIN).expect(BEGIN);
    let start = section + document[section..].find(FENCES[0]).expect(FENCES[0]) + FENCES[0].len();
    let end = start + document[start..].find(FENCES[1]).expect(FENCES[1]);
    assert_golden(PATH, &format!("{}{list}{}", &document[..start], &document[end..]));
}
