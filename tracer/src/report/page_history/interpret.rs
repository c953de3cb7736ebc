//! From the events of a page to what they say of it: what changed, and in what state it was.

use std::collections::BTreeMap;

use tracer_common::event::{Body, MAPCOUNT_UNKNOWN, UNKNOWN};

use super::Target;
use super::history::{Change, Entry, Episode, Lost, Moment, PageHistory, Space, State};
use super::kept::Kept;
use crate::check::Facts;
use crate::event::{Event, Names, Type, Value};
use crate::event::{Subject, held};
use crate::follow::bounces::{self, Bounces};
use crate::follow::spaces::{Id, Spaces};
use crate::output::write_value;
use crate::report::stack::{frame_name, kernel_frames};

/// Most states of a history that are told.
const MOST_STATES: usize = 1 << 18;

/// What was kept of the stream.
#[derive(Debug)]
pub enum Seen {
    /// An event.
    Event {
        /// It.
        event: Event,
        /// Nanoseconds from the first event of the stream.
        since_start: u64,
        /// Name of its thread, raw.
        comm: String,
        /// The address spaces that it is about.
        spaces: Vec<Id>,
        /// Whether it is about the page itself.
        about: bool,
        /// Whether it ended the last place of the page that is known.
        last_place: bool,
    },
    /// Events are missing.
    Lost(Lost),
}

/// An episode that goes on.
struct Going {
    state: State,
    pfn: Option<u64>,
    from: u64,
    seen: bool,
    /// Whether it may have ended unseen.
    over: bool,
    began: usize,
}

struct Interpreter<'a> {
    target: Target,
    spaces: &'a Spaces,
    facts: &'a Facts,
    names: &'a Names,
    page_size: u64,
    /// What was told last of each thing that changes.
    known: BTreeMap<String, String>,
    pfn: Option<u64>,
    main: Option<Going>,
    mlocked: Option<Going>,
    bounced: Option<Going>,
    /// Address space of the page's latest event that names one.
    space: Option<Id>,
    /// Whether the page's latest event removed migration entries that point to it: a page has many in one walk.
    arrived: bool,
    /// Bounce buffers of the page that live.
    bounces: Vec<u64>,
    bounce_ends: Bounces,
    history: PageHistory,
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
            Seen::Event { event, since_start, comm, spaces, about, last_place } => {
                if !self.belongs(&spaces, about) {
                    return;
                }
                self.event(&event, since_start, comm, &spaces, about, last_place);
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

    fn event(
        &mut self,
        event: &Event,
        time: u64,
        comm: String,
        spaces: &[Id],
        about: bool,
        last_place: bool,
    ) {
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
            comm,
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
        let is_elsewhere = about && self.is_elsewhere(spaces);
        if let Some(going) = self.main.as_mut().filter(|_| is_elsewhere) {
            going.over = true;
        }
        if let Some((state, seen)) = self.state(event, about, last_place) {
            if matches!(state, State::Zapped | State::Replaced | State::Moved) {
                // What comes next may be another use of the page frame, or another page.
                self.known.clear();
            }
            self.change_main(state, seen, time, place, &cause);
        }
        if about {
            self.mlock(event, time, place, &cause);
            self.bounce(event, time, place, &cause);
        }
    }

    /// A page frame to which something is migrated was free before: what was known is of another use of it.
    fn arrives(&mut self, event: &Event, about: bool) {
        if !about || !matches!(self.target, Target::Page { .. }) {
            return;
        }
        let is_arrival = matches!(&event.body, Body::MigrationEntryRemoved(_) | Body::RemoveMigrationPte(_));
        let was_arrival = std::mem::replace(&mut self.arrived, is_arrival);
        if let Some(going) = &mut self.main
            && matches!(event.body, Body::MigrationEntryRemoved(_))
            && !was_arrival
            && going.state != State::Migrating
        {
            going.over = true;
            self.known.clear();
        }
    }

    /// Whether another address space has the page than before. Unless a fork shares it, the one before gave it up:
    /// only where pages were made exclusive an event tells when.
    fn is_elsewhere(&mut self, spaces: &[Id]) -> bool {
        let (Target::Page { .. }, [space]) = (self.target, spaces) else { return false };
        self.space.replace(*space).is_some_and(|old| old != *space)
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

    /// Flags and counts that the event has of the page that is told of.
    fn observed(&self, event: &Event) -> (Option<u64>, Option<i32>, Option<i32>) {
        let count = |count: i32| (count != MAPCOUNT_UNKNOWN).then_some(count);
        let (flags, mapcount, refcount) = match &event.body {
            Body::ExclusivePage(page) => (page.flags, count(page.mapcount), Some(page.refcount)),
            Body::RestoreExclusive(restore) => (restore.flags, count(restore.mapcount), None),
            Body::ExclusiveVma(visit)
            | Body::TryToUnmapOne(visit)
            | Body::TryToMigrateOne(visit)
            | Body::PageMlockOne(visit) => (visit.flags, count(visit.mapcount), None),
            Body::TryToUnmap(walk) | Body::TryToMigrate(walk) | Body::PageMlock(walk) => {
                (walk.flags, count(walk.mapcount), None)
            }
            Body::MlockFolio(mlock) | Body::MunlockFolio(mlock) => (mlock.flags, count(mlock.mapcount), None),
            Body::MigrateRefused(refused) => (refused.flags, count(refused.mapcount), Some(refused.refcount)),
            Body::MigrationEntrySet(entry) | Body::MigrationEntryRemoved(entry) => (entry.flags, None, None),
            Body::RemoveMigrationPte(visit) => {
                let is_new = self.facts.decoder.pfn(visit.new_page) == self.pfn;
                (if is_new { visit.new_flags } else { visit.old_flags }, None, None)
            }
            _ => (UNKNOWN, None, None),
        };
        ((flags != UNKNOWN).then_some(flags), mapcount, refcount)
    }

    fn changes(&mut self, event: &Event) -> Vec<Change> {
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
        let raw = match &event.body {
            Body::RestoreExclusive(restore) => restore.new_entry,
            Body::MigrationEntrySet(entry) | Body::MigrationEntryRemoved(entry) => entry.entry,
            Body::TryToUnmapOne(visit) => visit.entry_after,
            Body::ExclusivePage(_) => return Some("device_exclusive".to_owned()),
            _ => return None,
        };
        Some(self.facts.decoder.entry(raw)?.state.name().to_owned())
    }

    /// Page flags that were set or cleared since.
    fn flags(&mut self, event: &Event, changes: &mut Vec<Change>) {
        let body = event.body.bytes();
        // Of a migration the second page is the one that is told of, if it is ours.
        let is_new = matches!(&event.body, Body::RemoveMigrationPte(visit)
            if self.facts.decoder.pfn(visit.new_page) == self.pfn);
        let mut all = event.kind().fields().iter().filter(|field| field.ty == Type::PageFlags);
        let Some(field) = (if is_new { all.next_back() } else { all.next() }) else { return };
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

    /// The state after the event, and whether it was only seen then; `None` when it tells no other one.
    fn state(&self, event: &Event, about: bool, last_place: bool) -> Option<(State, bool)> {
        let now = self.main.as_ref().map_or(State::Unknown, |going| going.state);
        let pfn_of = |page| self.facts.decoder.pfn(page);
        let is_page = matches!(self.target, Target::Page { .. });
        let told = match &event.body {
            Body::ExclusivePage(_) => Some(State::Exclusive),
            Body::RestoreExclusive(_) => Some(State::Mapped),
            Body::MigrationEntrySet(_) => Some(State::Migrating),
            Body::MigrationEntryRemoved(entry) => {
                (held(entry.entry, &self.facts.decoder).is_some()).then_some(State::Mapped)
            }
            Body::RemoveMigrationPte(visit) => {
                // Another page than before: the migration succeeded (6.12 mm/migrate.c, migrate_folio_done; after
                // a failure source and destination are the same).
                let leaves =
                    is_page && pfn_of(visit.old_page) == self.pfn && pfn_of(visit.new_page) != self.pfn;
                leaves.then_some(State::Replaced)
            }
            // An unmap of an exclusive page may have ended its entry or not.
            Body::TryToUnmap(walk) if walk.mapcount == 0 => {
                Some(if now == State::Exclusive { State::Unknown } else { State::Unmapped })
            }
            Body::ExclusiveZap(_) | Body::ExclusiveExit(_) => {
                (!is_page || last_place).then_some(State::Zapped)
            }
            Body::ExclusiveMove(moved) => match self.target {
                Target::Page { .. } => None,
                Target::Address { address, .. } => {
                    let leaves = address >= moved.old_address && address - moved.old_address < moved.length;
                    Some(if leaves { State::Moved } else { State::Unknown })
                }
            },
            _ => None,
        };
        if let Some(state) = told {
            return Some((state, false));
        }
        // A page with a mapping is mapped, whatever was known: faults are no events. Since 6.15 an exclusive page
        // keeps its mapping, and a folio that is being migrated has some left.
        let is_mapped = about && self.observed(event).1.is_some_and(|count| count > 0);
        let is_over = self.main.as_ref().is_some_and(|going| going.over);
        let is_news = is_over || !matches!(now, State::Mapped | State::Exclusive | State::Migrating);
        (is_mapped && is_news).then_some((State::Mapped, true))
    }

    fn change_main(&mut self, state: State, seen: bool, time: u64, place: usize, cause: &str) {
        if matches!((self.target, state), (Target::Address { .. }, State::Zapped | State::Moved)) {
            self.pfn = None;
        }
        let pfn = self.pfn;
        if self.main.as_ref().is_some_and(|going| going.state == state && going.pfn == pfn && !going.over) {
            // Exclusive once more is a new episode: an end was not seen.
            if state != State::Exclusive {
                return;
            }
        }
        let old = self.main.replace(Going { state, pfn, from: time, seen, over: false, began: place });
        self.end(old, Some(time), Some((place, cause)));
    }

    fn end(&mut self, going: Option<Going>, to: Option<u64>, ended: Option<(usize, &str)>) {
        let Some(going) = going else { return };
        if self.history.states.len() >= MOST_STATES {
            return;
        }
        let to = to.filter(|_| going.state != State::Unknown || ended.is_some());
        self.history.states.push(Episode {
            state: going.state,
            pfn: going.pfn,
            from: going.from,
            to,
            lasted: to.map(|to| to.saturating_sub(going.from)),
            seen: going.seen,
            over: to.is_some()
                && (going.over
                    || matches!(
                        going.state,
                        State::Zapped | State::Replaced | State::Unmapped | State::Moved | State::Mlocked
                    )),
            began: going.began,
            ended: ended.map(|(place, _)| place),
            ended_by: ended.map(|(_, cause)| cause.to_owned()),
        });
    }

    fn mlock(&mut self, event: &Event, time: u64, place: usize, cause: &str) {
        let observed = self.observed(event).0.and_then(|flags| self.facts.is_mlocked(flags));
        // mlock_folio() sets the bit at once (6.12 mm/mlock.c); munlock_folio() may leave it to a batch.
        let (now, seen) = match &event.body {
            Body::MlockFolio(_) => (true, observed == Some(true)),
            _ => match observed {
                Some(observed) => (observed, true),
                None => return,
            },
        };
        if now && observed == Some(false) {
            // Not mlocked any more before this call: the time before ended unseen.
            let going = self.mlocked.take();
            self.end(going, Some(time), Some((place, cause)));
        }
        match (now, self.mlocked.is_some()) {
            (true, false) => {
                self.mlocked = Some(Going {
                    state: State::Mlocked,
                    pfn: self.pfn,
                    from: time,
                    seen,
                    over: false,
                    began: place,
                });
            }
            (false, true) => {
                let going = self.mlocked.take();
                self.end(going, Some(time), Some((place, cause)));
            }
            _ => {}
        }
    }

    fn bounce(&mut self, event: &Event, time: u64, place: usize, cause: &str) {
        match (self.bounce_ends.follow(event), &event.body) {
            (Some(bounces::Change::Begin(bounce)), Body::SwiotlbMapSingle(map)) => {
                if !self.bounces.contains(&bounce) {
                    self.bounces.push(bounce);
                }
                let pfn = Some(map.original / self.page_size);
                self.bounced.get_or_insert(Going {
                    state: State::Bounced,
                    pfn,
                    from: time,
                    seen: false,
                    over: false,
                    began: place,
                });
            }
            (Some(bounces::Change::End(ended)), _) => {
                self.bounces.retain(|bounce| *bounce != ended);
                if self.bounces.is_empty() {
                    let going = self.bounced.take();
                    self.end(going, Some(time), Some((place, cause)));
                }
            }
            _ => {}
        }
    }

    /// What happened to the page in between is not known.
    fn doubt(&mut self) {
        let place = self.history.entries.len() - 1;
        if let Some(going) = self.main.take() {
            self.end(Some(going), None, Some((place, "events are missing")));
        }
        if let Some(going) = self.mlocked.take() {
            self.end(Some(going), None, Some((place, "events are missing")));
        }
        self.known.clear();
        self.doubt_bounces();
    }

    fn doubt_bounces(&mut self) {
        let place = self.history.entries.len() - 1;
        if let Some(going) = self.bounced.take() {
            self.end(Some(going), None, Some((place, "events are missing")));
        }
        self.bounces.clear();
        self.bounce_ends.lost();
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
