//! Events, families and fields, in the words of `docs/events.md`.

use rmapscope::event::{Family, HeaderField, Kind};
use rmapscope::output::column_names;
use rmapscope::probe::catalogue;

use super::document::{self, plain};
use super::paragraphs::Page;

/// What `script` prints of a made-up stream with every event.
const EXAMPLES: &str = include_str!("../../../tests/golden/script.txt");

/// An event: its fields, the functions that it is seen through, a line of `script`.
pub fn kind(kind: Kind, page: &mut Page) {
    page.title(&format!("event {} of the family {}", kind.name(), kind.family().name()));
    if let Some(section) = document::event(kind.name()) {
        section.print(page);
    }
    page.heading("Probes");
    probes(kind, page);
    // From the event's name on: who and when is the same for all.
    let column = format!(" {} ", kind.name());
    let line = EXAMPLES.lines().find_map(|line| line.find(&column).map(|start| &line[start..]));
    if let Some(line) = line {
        page.heading("Example");
        page.paragraph(line);
    }
}

/// The functions or tracepoints that an event can be seen through, one point an item.
pub fn probes(kind: Kind, page: &mut Page) {
    for entry in catalogue::entries().filter(|entry| entry.point.kinds().contains(&kind)) {
        let candidates: Vec<String> = entry
            .candidates
            .iter()
            .map(|candidate| {
                let lost = candidate.lost.map_or_else(String::new, |lost| format!(", without {lost}"));
                format!("{} ({}){lost}", candidate.symbol, candidate.versions)
            })
            .collect();
        page.item(&candidates.join("; else "));
    }
}

/// A family: what it is about and which events it has.
pub fn family(family: Family, page: &mut Page) {
    page.title(&format!("family {}", family.name()));
    if let Some(section) = document::family(family.name()) {
        section.print(page);
    }
    page.heading("Events");
    for kind in Kind::ALL.iter().filter(|kind| kind.family() == family) {
        page.item(kind.name());
    }
}

/// A field: what it means in general, and in each event. Whether there is one of that name.
pub fn field(name: &str, page: &mut Page) -> bool {
    if !column_names().contains(&name) {
        return false;
    }
    page.title(&format!("field {name}"));
    if HeaderField::ALL.into_iter().any(|field| field.name() == name) {
        page.paragraph("In every line.");
    }
    for row in document::general_rows().filter(|row| row.is_about(name)) {
        page.paragraph(&plain(row.meaning));
    }
    let has = |kind: &&Kind| {
        kind.fields().iter().any(|field| field.name == name || field.raw.is_some_and(|raw| raw == name))
    };
    for kind in Kind::ALL.iter().filter(has) {
        let rows = document::event(kind.name()).into_iter().flat_map(document::Section::rows);
        for row in rows.filter(|row| row.is_about(name)) {
            let undecoded =
                if row.raw == name { format!(", the number behind {}", row.title()) } else { String::new() };
            page.item(&format!("in {}{undecoded}: {}", kind.name(), plain(row.meaning)));
        }
    }
    true
}
