//! `docs/events.md`, which is also what `explain` prints: cut into sections, and its Markdown made plain.

use super::paragraphs::Page;

/// The document.
const EVENTS: &str = include_str!("../../../../docs/events.md");

/// A row of a table: the field, its undecoded twin (often empty), what it means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Names in the first cell; several rows of the document have two.
    names: &'static str,
    /// Name of the undecoded number.
    pub raw: &'static str,
    /// What it means.
    pub meaning: &'static str,
}

impl Row {
    fn parse(line: &'static str) -> Option<Self> {
        let cells: Vec<&str> =
            line.strip_prefix("| `")?.strip_suffix('|')?.split(" |").map(str::trim).collect();
        let names = cells.first()?.trim_end_matches('`');
        let (raw, meaning) = match cells.as_slice() {
            [_, meaning] => ("", *meaning),
            [_, raw, meaning] => (raw.trim_matches('`'), *meaning),
            _ => return None,
        };
        Some(Self { names, raw, meaning })
    }

    /// Whether it is about the field or undecoded number of that name.
    pub fn is_about(&self, name: &str) -> bool {
        self.raw == name || self.names.split("`, `").any(|own| own == name)
    }

    /// Its names, without notation.
    pub fn title(&self) -> String {
        self.names.replace('`', "")
    }
}

/// A part of the document under one heading, without the heading.
#[derive(Clone, Copy, Debug)]
pub struct Section {
    heading: &'static str,
    body: &'static str,
}

/// The parts under headings of `level` (`## ` or `### `); each ends at the next heading of any level.
fn sections(level: &'static str) -> impl Iterator<Item = Section> {
    let mut rest = EVENTS;
    std::iter::from_fn(move || {
        loop {
            let start = rest.find("\n#")? + 1;
            rest = &rest[start..];
            let (heading, body) = rest.split_once('\n')?;
            let end = body.find("\n#").map_or(body.len(), |end| end + 1);
            rest = &rest[heading.len()..];
            if let Some(heading) = heading.strip_prefix(level) {
                return Some(Section { heading, body: body[..end].trim() });
            }
        }
    })
}

/// The part about an event.
pub fn event(name: &str) -> Option<Section> {
    let quoted = format!("`{name}`");
    sections("### ").find(|section| section.heading.contains(&quoted))
}

/// The introduction of a family.
pub fn family(name: &str) -> Option<Section> {
    sections("## ").find(|section| section.heading == name)
}

/// Rows that hold for many events: what every line has, and what some fields always mean.
pub fn general_rows() -> impl Iterator<Item = Row> {
    let chapters = ["Every line", "How values are written"];
    sections("## ")
        .filter(move |section| chapters.contains(&section.heading))
        .flat_map(|section| section.rows())
}

impl Section {
    /// The rows of its tables that are about fields.
    pub fn rows(self) -> impl Iterator<Item = Row> {
        self.body.lines().filter_map(Row::parse)
    }

    /// Prints it.
    pub fn print(self, page: &mut Page) {
        for line in self.body.lines() {
            if let Some(row) = Row::parse(line) {
                let raw = if row.raw.is_empty() { String::new() } else { format!(" [{}]", row.raw) };
                page.item(&format!("{}{raw}: {}", row.title(), plain(row.meaning)));
            } else if !line.starts_with('|') {
                page.paragraph(&plain(line));
            }
        }
    }
}

/// Markdown without links, emphasis, and the entity that tables need for `|`.
pub fn plain(text: &str) -> String {
    let text = text.replace("<code>&#124;</code>", "|").replace("&#124;", "|").replace("**", "");
    let mut shown = String::new();
    let mut rest = text.as_str();
    while let Some((before, link)) = rest.split_once('[') {
        let Some((title, target)) = link.split_once("](").filter(|(title, _)| !title.contains(']')) else {
            shown.push_str(before);
            shown.push('[');
            rest = link;
            continue;
        };
        shown.push_str(before);
        shown.push_str(title);
        rest = target.split_once(')').map_or("", |(_, rest)| rest);
    }
    shown + rest
}

#[cfg(test)]
mod tests {
    use rmapscope::event::{Family, HeaderField, Kind};

    use super::*;

    #[test]
    fn every_event_family_and_field_has_its_words() {
        for kind in Kind::ALL {
            let section = event(kind.name()).unwrap_or_else(|| panic!("{}", kind.name()));
            for field in kind.fields() {
                assert!(section.rows().any(|row| row.is_about(field.name)), "{} {}", kind.name(), field.name);
            }
        }
        assert!(Family::ALL.into_iter().all(|name| family(name.name()).is_some()));
        for field in HeaderField::ALL {
            assert!(general_rows().any(|row| row.is_about(field.name())), "{}", field.name());
        }
    }

    #[test]
    fn sections_end_at_the_next_heading() {
        let section = event("exclusive_page").expect("the event");
        assert!(section.rows().any(|row| row.is_about("refcount")));
        assert!(!section.body.contains("exclusive_vma`, or"), "{}", section.body);
        assert!(!section.body.contains('#'), "{}", section.body);
    }

    #[test]
    fn markdown_is_made_plain() {
        assert_eq!(plain("a [link](#x) and <code>&#124;</code> [not]"), "a link and | [not]");
    }
}
