//! Holds `docs/events.md` to the table of fields.

use super::{HeaderField, Kind, fields};

/// The section of `docs/events.md` whose heading has the event's name.
fn section(document: &str, kind: Kind) -> &str {
    let name = format!("`{}`", kind.name());
    let mut sections = document.split("\n### ").skip(1);
    let section = sections.find(|section| section.lines().next().is_some_and(|line| line.contains(&name)));
    let section = section.unwrap_or_else(|| panic!("docs/events.md has no section for {name}"));
    section.split("\n## ").next().unwrap_or(section)
}

#[test]
fn every_event_and_field_is_documented() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/events.md");
    let document = std::fs::read_to_string(path).expect("docs/events.md");
    for field in HeaderField::ALL {
        assert!(document.contains(&format!("`{}`", field.name())), "{}", field.name());
    }
    for &kind in Kind::ALL {
        assert!(document.contains(&format!("\n## {}\n", kind.family().name())), "{}", kind.family().name());
        let mut rows = section(&document, kind).lines().filter(|line| line.starts_with("| `"));
        for field in fields(kind) {
            let start = match field.raw {
                Some(raw) => format!("| `{}` | `{raw}` | ", field.name),
                None => format!("| `{}` | | ", field.name),
            };
            assert!(rows.next().is_some_and(|row| row.starts_with(&start)), "{}: {start}", kind.name());
        }
        assert_eq!(rows.next(), None, "{}", kind.name());
    }
}
