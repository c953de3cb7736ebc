//! From the events of a page to what they say of it: what changed, and in what state it was.

use std::collections::BTreeMap;

use tracer_common::event::Body;

use super::Target;
use super::episodes::Going;
use super::history::{Entry, Lost, Moment, PageHistory, Space, State};
use super::kept::Kept;
use crate::check::Facts;
use crate::event::{Event, Names, Value};
use crate::follow::bounces::Bounces;
use crate::follow::spaces::{Id, Spaces};
use crate::output::write_value;
use crate::report::stack::{frame_name, kernel_frames};

/// What was kept of the stream.
#[derive(Debug)]
pub enum Seen {
    /// An event.
    Event(SeenEvent),
    /// Events are missing.
    Lost(Lost),
}

/// An event that concerns the target.
#[derive(Debug)]
pub struct SeenEvent {
    /// It.
    pub event: Event,
    /// Nanoseconds from the first event of the stream.
    pub since_start: u64,
    /// Name of its thread, raw.
    pub comm: String,
    /// The address spaces that it is about.
    pub spaces: Vec<Id>,
    /// Whether it is about the page itself.
    pub about: bool,
    /// Whether it ended the last place of the page that is known.
    pub last_place: bool,
    /// Whether it ended the page's device-exclusive entry.
    pub ended_entry: bool,
}

/// Goes through the events of a target.
pub(super) struct Interpreter<'a> {
    pub(super) target: Target,
    pub(super) spaces: &'a Spaces,
    pub(super) facts: &'a Facts,
    pub(super) names: &'a Names,
    pub(super) page_size: u64,
    /// What was told last of each thing that changes.
    pub(super) known: BTreeMap<String, String>,
    pub(super) pfn: Option<u64>,
    pub(super) main: Option<Going>,
    pub(super) mlocked: Option<Going>,
    pub(super) bounced: Option<Going>,
    /// Address space of the page's latest event that names one.
    pub(super) space: Option<Id>,
    /// Whether the page's latest event removed migration entries that point to it: a page has many in one walk.
    pub(super) arrived: bool,
    /// Bounce buffers of the page that live.
    pub(super) bounces: Vec<u64>,
    pub(super) bounce_ends: Bounces,
    pub(super) history: PageHistory,
}

/// What the entries of a target say.
pub fn interpret(
    target: Target,
    kept: Kept<Seen>,
    spaces: &Spaces,
    facts: &Facts,
    names: &Names,
    page_size: u64,
) -> PageHistory {
    let history = PageHistory {
        target,
        events: 0,
        spaces: Vec::new(),
        pfns: Vec::new(),
        states: Vec::new(),
        entries: Vec::new(),
        others: Vec::new(),
        span: 0,
        incomplete: None,
    };
    let mut interpreter = Interpreter {
        target,
        spaces,
        facts,
        names,
        page_size,
        known: BTreeMap::new(),
        pfn: if let Target::Page { pfn } = target { Some(pfn) } else { None },
        main: None,
        mlocked: None,
        bounced: None,
        space: None,
        arrived: false,
        bounces: Vec::new(),
        bounce_ends: Bounces::default(),
        history,
    };
    let (first, left_out, last) = kept.into_parts();
    first.into_iter().for_each(|seen| interpreter.take(seen));
    if left_out > 0 {
        interpreter.history.entries.push(Entry::LeftOut(left_out));
        interpreter.doubt();
    }
    last.into_iter().for_each(|seen| interpreter.take(seen));
    interpreter.finish()
}

impl Interpreter<'_> {
    fn take(&mut self, seen: Seen) {
        match seen {
            Seen::Event(seen) => {
                if self.belongs(&seen.spaces, seen.about) {
                    self.event(seen);
                }
            }
            Seen::Lost(lost) => {
                let is_mapping = lost.family != Some("swiotlb");
                self.history.entries.push(Entry::Lost(lost));
                if is_mapping { self.doubt() } else { self.doubt_bounces() }
            }
        }
    }

    /// Whether an event of these address spaces is of the target's process.
    fn belongs(&mut self, spaces: &[Id], about: bool) -> bool {
        let Target::Address { pid, .. } = self.target else { return true };
        let owners: Vec<u32> =
            spaces.iter().map(|id| self.spaces.get(*id).1.map_or(0, |owner| owner.pid)).collect();
        if owners.contains(&pid) {
            return true;
        }
        if !about {
            return false;
        }
        for owner in if owners.is_empty() { vec![0] } else { owners } {
            if !self.history.others.contains(&owner) {
                self.history.others.push(owner);
            }
        }
        false
    }

    fn event(&mut self, seen: SeenEvent) {
        let SeenEvent { event, since_start: time, comm, spaces, about, .. } = &seen;
        let (time, about) = (*time, *about);
        for id in spaces {
            let (mm, owner) = self.spaces.get(*id);
            let (pid, is_certain) = owner.map_or((None, false), |owner| (Some(owner.pid), owner.is_certain));
            let space = Space { mm, pid, is_certain };
            if !self.history.spaces.contains(&space) {
                self.history.spaces.push(space);
            }
        }
        self.history.events += u64::from(about);
        self.arrives(event, about);
        let changes = if about { self.changes(event) } else { Vec::new() };
        let stack = self.names.stack(event.header.stack).map(kernel_frames).unwrap_or_default();
        let moment = Moment {
            time,
            event: event.kind().name(),
            pid: event.header.pid,
            tid: event.header.tid,
            comm: comm.clone(),
            cpu: event.header.cpu,
            about,
            owner: spaces.iter().find_map(|id| self.spaces.get(*id).1).map(|owner| owner.pid),
            changes,
            fields: self.fields(event),
            stack: stack.into_iter().map(|frame| frame_name(frame).into_owned()).collect(),
        };
        let place = self.history.entries.len();
        let cause = format!("{} by {} {}/{}", moment.event, moment.comm, moment.pid, moment.tid);
        self.history.entries.push(Entry::Event(moment));
        if about {
            self.goes_elsewhere(spaces);
        }
        if let Some((state, seen)) = self.state(&seen) {
            if matches!(state, State::Zapped | State::Replaced | State::Moved) {
                // What comes next may be another use of the page frame, or another page.
                self.known.clear();
            }
            if matches!(event.body, Body::MigrateVmaFinalize(_)) {
                // Another page is there, and which one is not said.
                self.known.clear();
                self.pfn = None;
            }
            self.change_main(state, seen, time, place, &cause);
        }
        if about {
            self.mlock(event, time, place, &cause);
            self.bounce(event, time, place, &cause);
        }
    }

    /// Fields as `script` shows them.
    fn fields(&self, event: &Event) -> Vec<(&'static str, String)> {
        let body = event.body.bytes();
        let values = event.kind().fields().iter().filter_map(|field| {
            let value = self.facts.decoder.value(field, body, self.names);
            if matches!(value, Value::Absent) {
                return None;
            }
            let mut text = Vec::new();
            write_value(&mut text, &value, true);
            Some((field.name, String::from_utf8_lossy(&text).into_owned()))
        });
        values.collect()
    }

    fn finish(mut self) -> PageHistory {
        for going in [self.main.take(), self.mlocked.take(), self.bounced.take()] {
            self.end(going, None, None);
        }
        self.history.states.sort_by_key(|episode| (episode.began, episode.from));
        self.history.others.sort_unstable();
        self.history
    }
}
