//! The tables of `docs/events.md` are made of what each field says of itself.
//!
//! `cargo xtask golden` writes them anew.

use super::{Field, HeaderField, Kind};
use crate::golden_common::assert_golden;

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/events.md");

/// What stands above the rows of an event's fields.
const HEAD: &str = "| field | raw | meaning |\n| --- | --- | --- |\n";

/// A row of the table of an event's fields.
fn row(field: &Field) -> String {
    let meaning = field.meaning().collect::<Vec<_>>().join(" ");
    let meaning = meaning.strip_suffix('.').unwrap_or(&meaning);
    let mut letters = meaning.chars();
    // Not a sentence in a table, unless it begins with an abbreviation.
    let meaning = match letters.next() {
        Some(first) if letters.clone().next().is_some_and(char::is_lowercase) => {
            format!("{}{}", first.to_lowercase(), letters.as_str())
        }
        _ => meaning.to_owned(),
    };
    let raw = field.raw.map_or_else(String::new, |raw| format!(" `{raw}`"));
    format!("| `{}` |{raw} | {meaning} |\n", field.name)
}

/// The place of the rows of an event's fields: in the section whose heading has the event's name.
fn rows(document: &str, kind: Kind) -> std::ops::Range<usize> {
    let name = format!("`{}`", kind.name());
    let mut headings = document.match_indices("\n### ").map(|(place, _)| place + 1);
    let is_its = |place: &usize| document[*place..].lines().next().is_some_and(|line| line.contains(&name));
    let heading = headings.find(is_its).unwrap_or_else(|| panic!("docs/events.md has no section for {name}"));
    let head = document[heading..].find(HEAD).unwrap_or_else(|| panic!("no table of fields for {name}"));
    let start = heading + head + HEAD.len();
    let length: usize =
        document[start..].split_inclusive('\n').take_while(|line| line.starts_with("| ")).map(str::len).sum();
    start..start + length
}

#[test]
fn tables_are_what_the_fields_say() {
    let document = std::fs::read_to_string(PATH).expect("docs/events.md");
    let mut made = document.clone();
    for &kind in Kind::ALL {
        let place = rows(&made, kind);
        made.replace_range(place, &kind.fields().iter().map(row).collect::<String>());
    }
    assert_golden(PATH, &made);
}

#[test]
fn every_family_and_header_field_is_documented() {
    let document = std::fs::read_to_string(PATH).expect("docs/events.md");
    for field in HeaderField::ALL {
        assert!(document.contains(&format!("`{}`", field.name())), "{}", field.name());
    }
    for &kind in Kind::ALL {
        assert!(document.contains(&format!("\n## {}\n", kind.family().name())), "{}", kind.family().name());
    }
}
