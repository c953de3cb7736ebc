//! What an event says of a page, and what of that has changed since it was told last.

use tracer_common::event::{Kind, MAPCOUNT_UNKNOWN, Role, UNKNOWN};

use super::Target;
use super::history::Change;
use super::interpret::Interpreter;
use crate::event::{Event, Subject};
use crate::output::write_value;

impl Interpreter<'_> {
    /// Flags and counts that the event has of the page that is told of.
    pub(super) fn observed(&self, event: &Event) -> (Option<u64>, Option<i32>, Option<i32>) {
        let flags = event.number(self.flags_role(event)).filter(|flags| *flags != UNKNOWN);
        let signed = |role| event.number(role).map(|number| (number as u32).cast_signed());
        let mapcount = signed(Role::Mapcount).filter(|count| *count != MAPCOUNT_UNKNOWN);
        (flags, mapcount, signed(Role::Refcount))
    }

    /// Of a migration the second page is the one that is told of, if it is ours.
    fn flags_role(&self, event: &Event) -> Role {
        let new = event.number(Role::NewPage);
        let is_new = new.is_some_and(|page| self.facts.decoder.pfn(page) == self.pfn);
        if is_new { Role::NewFlags } else { Role::Flags }
    }

    pub(super) fn changes(&mut self, event: &Event) -> Vec<Change> {
        let mut changes = Vec::new();
        if let Target::Address { .. } = self.target {
            let frames = Subject::of(event, &self.facts.decoder).frames;
            if let Some(pfn) = frames[1].or(frames[0]).map(|frames| frames.pfn) {
                if self.pfn != Some(pfn) {
                    // What was known is of another page.
                    self.known.retain(|what, _| what == "pfn" || what == "entry");
                    self.pfn = Some(pfn);
                }
                self.changed("pfn", format!("{pfn:#x}"), &mut changes);
            }
        }
        if let Some(pfn) = self.pfn
            && !self.history.pfns.contains(&pfn)
        {
            self.history.pfns.push(pfn);
        }
        if let Some(entry) = self.entry(event) {
            self.changed("entry", entry, &mut changes);
        }
        let (flags, mapcount, refcount) = self.observed(event);
        if let Some(mapcount) = mapcount {
            self.changed("mapcount", mapcount.to_string(), &mut changes);
        }
        if let Some(refcount) = refcount {
            self.changed("refcount", refcount.to_string(), &mut changes);
        }
        if flags.is_some() {
            self.flags(event, &mut changes);
        }
        changes
    }

    /// What the page-table entry is after the event, by its kind alone: its bits are in the fields.
    fn entry(&self, event: &Event) -> Option<String> {
        let raw = match event.kind() {
            Kind::ExclusivePage => return Some("device_exclusive".to_owned()),
            // Of these it is what holds the page, too.
            Kind::MigrationEntrySet | Kind::MigrationEntryRemoved => event.number(Role::HeldPage),
            _ => event.number(Role::EntryAfter),
        };
        Some(self.facts.decoder.entry(raw?)?.state.name().to_owned())
    }

    /// Page flags that were set or cleared since.
    fn flags(&mut self, event: &Event, changes: &mut Vec<Change>) {
        let body = event.body.bytes();
        let role = Some(self.flags_role(event));
        let Some(field) = event.kind().fields().iter().find(|field| field.role == role) else { return };
        let mut text = Vec::new();
        write_value(&mut text, &self.facts.decoder.value(field, body, self.names), true);
        let now = String::from_utf8_lossy(&text).into_owned();
        let before = self.known.insert("flags".to_owned(), now.clone());
        match before {
            None => changes.push(Change { what: "flags".to_owned(), before: None, after: now }),
            Some(before) => {
                let (old, new): (Vec<&str>, Vec<&str>) =
                    (before.split('|').collect(), now.split('|').collect());
                let gone = old.iter().filter(|flag| !new.contains(flag) && **flag != "0");
                let come = new.iter().filter(|flag| !old.contains(flag) && **flag != "0");
                let change = |flag: &str, from: &str, to: &str| Change {
                    what: flag.to_owned(),
                    before: Some(from.to_owned()),
                    after: to.to_owned(),
                };
                changes.extend(come.map(|flag| change(flag, "0", "1")));
                changes.extend(gone.map(|flag| change(flag, "1", "0")));
            }
        }
    }

    fn changed(&mut self, what: &str, after: String, changes: &mut Vec<Change>) {
        let before = self.known.insert(what.to_owned(), after.clone());
        if before.as_ref() != Some(&after) {
            changes.push(Change { what: what.to_owned(), before, after });
        }
    }
}
