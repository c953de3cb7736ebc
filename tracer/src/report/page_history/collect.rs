//! From the stream to what is about one page.

use rustc_hash::FxHashMap;
use tracer_common::event::{Body, Header, Kind, MAPPING_ERROR, Role};
use tracer_common::family::Family;

use super::history::{Lost, PageHistory};
use super::interpret::{Seen, SeenEvent, interpret};
use super::kept::Kept;
use super::{MOST, Target};
use crate::Error;
use crate::check::Facts;
use crate::event::Subject;
use crate::event::{Event, Item, Loss, LossCause, Names, Range, Sink};
use crate::follow::bounces::{Bounces, Change};
use crate::follow::exclusive::ExclusivePages;
use crate::follow::spaces::{Id, Spaces};
use crate::trace_file::FileHeader;

/// Most places (of a page) or pages (of an address) that are followed at the same time.
const MOST_PLACES: usize = 256;

/// How far back an event without an address space may be when the visit that it was a part of tells it.
const MOST_BACK: usize = 16;

/// Collects the page_history of a page from a stream.
pub struct PageHistoryCollector {
    target: Target,
    page_size: u64,
    facts: Facts,
    names: Names,
    spaces: Spaces,
    start: Option<u64>,
    last: u64,
    kept: Kept<Seen>,
    about: u64,
    /// Where the page is mapped, or what is mapped at the address: address space, and address or pfn.
    places: Vec<(Option<Id>, u64)>,
    /// The page that is being migrated to this one.
    arrival: Option<u64>,
    /// Bounce buffers that stand for the page, or that it is a part of, with their sizes.
    bounces: FxHashMap<u64, u64>,
    bounce_ends: Bounces,
    exclusive: ExclusivePages,
    has_summary: bool,
}

impl PageHistoryCollector {
    /// Of that target, in a stream with that header.
    pub fn new(header: &FileHeader, target: Target) -> Self {
        let page_size = header.kernel.page_size.max(1);
        let target = match target {
            Target::Address { pid, address } => {
                Target::Address { pid, address: address - address % page_size }
            }
            page @ Target::Page { .. } => page,
        };
        Self {
            target,
            page_size,
            facts: Facts::new(header),
            names: Names::default(),
            spaces: Spaces::default(),
            start: None,
            last: 0,
            kept: Kept::new(MOST),
            about: 0,
            places: Vec::new(),
            arrival: None,
            bounces: FxHashMap::default(),
            bounce_ends: Bounces::default(),
            exclusive: ExclusivePages::new(&header.kernel).keeping_ended(),
            has_summary: false,
        }
    }

    /// Keeps at most that many entries from the beginning and as many from the end.
    #[must_use]
    pub fn with_most(mut self, most: usize) -> Self {
        self.kept = Kept::new(most);
        self
    }

    fn event(&mut self, event: &Event) {
        let time = event.header.time;
        let start = *self.start.get_or_insert(time);
        self.last = self.last.max(time);
        if event.kind().family() == Family::Process
            || event.kind() == Kind::DeviceName
            || event.header.tid == 0
        {
            self.names.follow(&Item::Event(*event));
        }
        self.spaces.before(event);
        self.exclusive.follow(event);
        let ended_entry = self.exclusive.has_ended() && self.has_ended_entry();
        let seen = match self.target {
            Target::Page { pfn } => self.of_page(event, pfn),
            Target::Address { address, .. } => self.of_address(event, address),
        };
        if let Some((spaces, about, last_place)) = seen.or(ended_entry.then_some((Vec::new(), false, false)))
        {
            self.about += u64::from(about);
            let comm =
                self.names.comm(&event.header).map(|comm| comm.text().into_owned()).unwrap_or_default();
            let since_start = time.saturating_sub(start);
            let event = *event;
            self.kept.push(Seen::Event(SeenEvent {
                event,
                since_start,
                comm,
                spaces,
                about,
                last_place,
                ended_entry,
            }));
        }
        self.spaces.after(event);
    }

    /// Whether one of the entries that the latest event ended is of the page, or of the page at the address.
    fn has_ended_entry(&mut self) -> bool {
        let (target, places, decoder) = (self.target, &self.places, &self.facts.decoder);
        self.exclusive.take_ended().iter().filter_map(|entry| decoder.pfn(entry.page)).any(|ended| {
            match target {
                Target::Page { pfn } => ended == pfn,
                Target::Address { .. } => places.iter().any(|(_, pfn)| *pfn == ended),
            }
        })
    }

    /// The address spaces of an event to keep, whether it is about the page itself, and whether it ended the last
    /// place that is known.
    fn of_page(&mut self, event: &Event, pfn: u64) -> Option<(Vec<Id>, bool, bool)> {
        let subject = Subject::of(event, &self.facts.decoder);
        let change = self.bounce_ends.follow(event);
        let ended = match change {
            Some(Change::End(bounce)) => self.bounces.remove(&bounce).is_some(),
            _ => false,
        };
        if subject.is_about(pfn) {
            self.leave_stale_places(event, pfn);
            let space = subject.mm.and_then(|mm| self.spaces.id(mm));
            if let (Some(_), Some(address)) = (space, subject.address) {
                self.place(event, pfn, (space, address));
            }
            return Some((space.into_iter().collect(), true, false));
        }
        if self.is_bounced(event, change, pfn) || ended {
            return Some((Vec::new(), true, false));
        }
        let Range { mm, start, end } = event.range()?;
        let space = self.spaces.id(mm);
        let is_inside = |place: &(Option<Id>, u64)| place.0 == space && (start..end).contains(&place.1);
        if !self.places.iter().any(is_inside) {
            return None;
        }
        match &event.body {
            Body::ExclusiveZap(_) | Body::ExclusiveExit(_) => self.places.retain(|place| !is_inside(place)),
            Body::ExclusiveMove(moved) => {
                for place in self.places.iter_mut().filter(|place| is_inside(place)) {
                    place.1 = moved.new_address.wrapping_add(place.1 - moved.old_address);
                }
            }
            _ => {}
        }
        Some((space.into_iter().collect(), false, self.places.is_empty()))
    }

    /// Forgets places that the page cannot be mapped at any more.
    fn leave_stale_places(&mut self, event: &Event, pfn: u64) {
        let decoder = &self.facts.decoder;
        match &event.body {
            Body::TryToUnmap(walk) if walk.mapcount == 0 => self.places.clear(),
            // A page frame to which something is migrated was free before.
            Body::RemoveMigrationPte(visit) if decoder.pfn(visit.old_page) != Some(pfn) => {
                if self.arrival.replace(visit.old_page) != Some(visit.old_page) {
                    self.places.clear();
                }
                return;
            }
            // One of many in the same walk, before its visit.
            Body::MigrationEntryRemoved(_) => return,
            // mlock works on the caller's own pages (6.12 mm/mlock.c, mlock_fixup; mm/rmap.c for faults).
            Body::MlockFolio(_) => {
                let spaces = &self.spaces;
                let owner = |space: Option<Id>| space.and_then(|space| spaces.get(space).1);
                let pid = event.header.pid;
                self.places.retain(|place| owner(place.0).is_none_or(|owner| owner.pid == pid));
            }
            _ => {}
        }
        self.arrival = None;
    }

    /// Follows where the page is mapped.
    fn place(&mut self, event: &Event, pfn: u64, place: (Option<Id>, u64)) {
        let pfn_of = |page| self.facts.decoder.pfn(page);
        let leaves = matches!(&event.body, Body::RemoveMigrationPte(visit)
            if pfn_of(visit.old_page) == Some(pfn) && pfn_of(visit.new_page) != Some(pfn));
        // An exclusive page has one place, and a page that is made so elsewhere was used anew.
        if event.kind() == Kind::ExclusivePage {
            self.places.clear();
        }
        self.places.retain(|known| *known != place);
        if !leaves && self.places.len() < MOST_PLACES {
            self.places.push(place);
        }
    }

    /// Whether a bounce buffer stands for the page or is it.
    fn is_bounced(&mut self, event: &Event, change: Option<Change>, pfn: u64) -> bool {
        let page = pfn.saturating_mul(self.page_size);
        let covers = |from: u64, size: u64| {
            from < page.saturating_add(self.page_size) && page < from.saturating_add(size.max(1))
        };
        let size = event.number(Role::Bytes).unwrap_or(1);
        let bounce = event.number(Role::Bounce).filter(|bounce| *bounce != MAPPING_ERROR);
        // Coherent memory of a pool: as many bytes as the event says, whatever a folio there is.
        let pool_page = event.number(Role::Page).filter(|_| event.number(Role::Bytes).is_some());
        let memory = pool_page.and_then(|page| self.facts.decoder.pfn(page));
        let is_covered =
            [event.number(Role::Original), bounce, memory.map(|pfn| pfn.saturating_mul(self.page_size))]
                .into_iter()
                .flatten()
                .any(|from| covers(from, size));
        if is_covered && let Some(Change::Begin(bounce)) = change {
            self.bounces.insert(bounce, size);
        }
        let is_inside = |bounce: u64| {
            let mut buffers = self.bounces.iter();
            buffers.any(|(from, size)| (*from..from.saturating_add(*size)).contains(&bounce))
        };
        is_covered || bounce.is_some_and(is_inside)
    }

    fn of_address(&mut self, event: &Event, address: u64) -> Option<(Vec<Id>, bool, bool)> {
        let subject = Subject::of(event, &self.facts.decoder);
        let size = subject.frames[0].map_or(1, |frames| frames.count).saturating_mul(self.page_size);
        let is_there = subject.address.is_some_and(|from| address >= from && address - from < size);
        match (is_there, subject.mm) {
            (true, Some(mm)) => {
                let space = self.spaces.id(mm);
                let pfn = subject.frames[1].or(subject.frames[0]).map(|frames| frames.pfn);
                self.page(space, pfn);
                self.tell_space(event, space);
                return Some((space.into_iter().collect(), true, false));
            }
            // A migration entry: the visit that sets or removes it tells the address space a moment later.
            (true, None) => return Some((self.spaces_of(&subject), true, false)),
            _ => {}
        }
        if subject.address.is_none() && subject.frames[0].is_some() {
            let spaces = self.spaces_of(&subject);
            return (!spaces.is_empty()).then_some((spaces, true, false));
        }
        let Range { mm, start, end } = event.range()?;
        let is_new = matches!(&event.body, Body::ExclusiveMove(moved)
            if address >= moved.new_address && address - moved.new_address < moved.length);
        if !(start..end).contains(&address) && !is_new {
            return None;
        }
        let space = self.spaces.id(mm)?;
        if let Body::ExclusiveZap(_) | Body::ExclusiveExit(_) | Body::ExclusiveMove(_) = &event.body {
            self.places.retain(|(known, _)| *known != Some(space));
        }
        Some((vec![space], false, false))
    }

    /// The page at the address of an address space.
    fn page(&mut self, space: Option<Id>, pfn: Option<u64>) {
        let Some(pfn) = pfn else { return };
        self.places.retain(|(known, _)| *known != space);
        if self.places.len() >= MOST_PLACES {
            self.places.remove(0);
        }
        self.places.push((space, pfn));
    }

    fn spaces_of(&self, subject: &Subject) -> Vec<Id> {
        let known = self.places.iter().filter(|(_, pfn)| subject.is_about(*pfn));
        known.filter_map(|(space, _)| *space).collect()
    }

    /// Gives the address space of a visit to the entry that was set or removed in it.
    fn tell_space(&mut self, visit: &Event, space: Option<Id>) {
        let entries = match visit.kind() {
            Kind::TryToMigrateOne => Kind::MigrationEntrySet,
            Kind::RemoveMigrationPte => Kind::MigrationEntryRemoved,
            _ => return,
        };
        for seen in self.kept.recent().take(MOST_BACK) {
            if let Seen::Event(SeenEvent { event, spaces, .. }) = seen
                && event.header.tid == visit.header.tid
            {
                if event.kind() != entries {
                    return;
                }
                *spaces = space.into_iter().collect();
            }
        }
    }

    fn loss(&mut self, loss: &Loss) {
        if matches!(loss.family(), Some(Family::Process)) || loss.is_of_new_family() {
            return;
        }
        self.bounce_ends.lost(loss.family());
        // What they ended nobody saw: the loss itself makes the page's state doubtful.
        if self.exclusive.lost(loss.family()) {
            self.exclusive.take_ended();
        }
        let start = self.start.unwrap_or(loss.after);
        self.kept.push(Seen::Lost(Lost {
            cause: loss.cause,
            family: loss.family().map(Family::name),
            count: loss.count,
            from: loss.after.saturating_sub(start),
            to: (loss.before != u64::MAX).then(|| loss.before.saturating_sub(start)),
        }));
    }

    /// The page_history. `incomplete` says why the stream is not whole, for example because the file is cut.
    pub fn finish(self, incomplete: Option<String>) -> PageHistory {
        let incomplete = incomplete
            .or_else(|| (!self.has_summary).then(|| "the recording did not end in order".to_owned()));
        let span = self.last.saturating_sub(self.start.unwrap_or_default());
        let mut history =
            interpret(self.target, self.kept, &self.spaces, &self.facts, &self.names, self.page_size);
        if matches!(self.target, Target::Page { .. }) {
            history.events = self.about;
        }
        PageHistory { span, incomplete, ..history }
    }
}

impl Sink for PageHistoryCollector {
    fn record(&mut self, record: &[u8]) -> Result<(), Error> {
        match Event::decode(record) {
            Ok(event) => self.event(&event),
            Err(_) => {
                let after = Header::decode(record).map_or(self.last, |header| header.time);
                let cause = LossCause::Dropped;
                self.loss(&Loss { cause, family: None, count: 1, after, before: u64::MAX, kind: None });
            }
        }
        Ok(())
    }

    fn item(&mut self, item: &Item) -> Result<(), Error> {
        match item {
            Item::Event(event) => self.event(event),
            Item::Loss(loss) => self.loss(loss),
            Item::Process(_) | Item::Stack(_) => self.names.follow(item),
            Item::Summary(_) => self.has_summary = true,
        }
        Ok(())
    }
}
