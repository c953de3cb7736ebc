//! Spans of time in which a page or a bounce buffer is in a state, made of the events that begin and end it.
//!
//! Here the question is only from when to when, so an end that is uncertain is still taken for one, and what missing
//! events make doubtful ends as [`End::Lost`].

use std::collections::BTreeSet;

use rustc_hash::FxHashMap;
use tracer_common::event::{Body, Header, Kind, MAPPING_ERROR, SwiotlbMapSingle, UNKNOWN};

use crate::event::{Event, Loss};
use crate::follow::bounces::{self, Bounces};
use crate::follow::exclusive::ExclusivePages;
use crate::follow::migrations::{self, Migrations};
use crate::kernel::Description;

/// Most states of a kind that are followed at a time.
const MOST: usize = 1 << 16;

/// Free lanes that are tried before a new one is made.
const NEAREST: usize = 8;

/// What kind of state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// A page is a device's alone.
    Exclusive,
    /// A migration entry stands for a page.
    MigrationEntry,
    /// A buffer is bounced.
    Bounce,
}

impl What {
    /// The name of such spans.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Exclusive => "device-exclusive",
            Self::MigrationEntry => "migration entry",
            Self::Bounce => "bounced",
        }
    }
}

/// Whose timeline a state is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// Of the process in whose context it began.
    Process(u32),
    /// Of a `struct device`.
    Device(u64),
}

/// A state that began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// Its number, from 1 in the order of their beginnings.
    pub id: u64,
    /// Which.
    pub what: What,
    /// Whose.
    pub place: Place,
    /// A number that no other state of the same kind and place has at its time; small ones first.
    pub lane: u32,
    /// The event that began it.
    pub begun: Header,
    /// User address of the page, or physical address of the bounce buffer, when it began.
    pub address: u64,
    /// `mm_struct` of the page, 0 for a migration entry; `io_tlb_mem` of the buffer.
    pub owner: u64,
    /// `struct page`, or the physical address of the original buffer.
    pub object: u64,
    /// Bytes.
    pub size: u64,
}

/// How a state ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// By such an event.
    Event(Kind),
    /// Events that may have ended it are missing.
    Lost,
    /// It had not when the trace did.
    Trace,
}

impl End {
    /// In a word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Event(kind) => kind.name(),
            Self::Lost => "unknown: events were lost",
            Self::Trace => "no end in the trace",
        }
    }
}

/// Something that changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// A state began.
    Begin(State),
    /// A state ended at that time, in nanoseconds.
    End(State, u64, End),
    /// Bytes in those bounce buffers of a pool that the trace saw being taken.
    Level {
        /// `io_tlb_mem`.
        pool: u64,
        /// Since when, in nanoseconds.
        time: u64,
        /// How many.
        bytes: u64,
    },
}

/// Numbers of which each is free or taken.
#[derive(Debug, Default)]
struct Lanes {
    free: BTreeSet<u32>,
    /// Since when each is free that was taken.
    since: Vec<u64>,
}

impl Lanes {
    /// Takes a lane that is free at that time: events come in nearly the order of their times, not quite.
    fn take(&mut self, time: u64) -> u32 {
        let free = self.free.iter().take(NEAREST).find(|lane| self.since[**lane as usize] <= time).copied();
        if let Some(lane) = free {
            self.free.remove(&lane);
            return lane;
        }
        self.since.push(0);
        self.since.len() as u32 - 1
    }

    fn free(&mut self, lane: u32, time: u64) {
        if let Some(since) = self.since.get_mut(lane as usize) {
            *since = time;
            self.free.insert(lane);
        }
    }
}

/// Follows states.
#[derive(Debug)]
pub struct States {
    /// Bytes of a page.
    page_size: u64,
    pages: ExclusivePages,
    /// Of these, those whose beginning was admitted, by `struct page`.
    exclusive: FxHashMap<u64, State>,
    migrations: Migrations,
    /// Of these, those whose beginning was admitted, by number.
    migrating: FxHashMap<u64, State>,
    /// By the physical address of the bounce buffer.
    bounces: FxHashMap<u64, State>,
    bounce_ends: Bounces,
    levels: FxHashMap<u64, u64>,
    lanes: FxHashMap<(Place, u8), Lanes>,
    begun: u64,
    left_out: u64,
}

impl States {
    /// Of the kernel described.
    pub fn new(description: &Description) -> Self {
        Self {
            page_size: description.page_size.max(1),
            pages: ExclusivePages::new(description).keeping_ended(),
            exclusive: FxHashMap::default(),
            migrations: Migrations::default(),
            migrating: FxHashMap::default(),
            bounces: FxHashMap::default(),
            bounce_ends: Bounces::default(),
            levels: FxHashMap::default(),
            lanes: FxHashMap::default(),
            begun: 0,
            left_out: 0,
        }
    }

    /// States that were too many to be followed.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// Takes an event into account; one that is not `admitted` begins nothing.
    pub fn follow(&mut self, event: &Event, admitted: bool, changes: &mut Vec<Change>) {
        let header = &event.header;
        if let Some(bounces::Change::End(bounce)) = self.bounce_ends.follow(event) {
            self.end_bounce(bounce, header.time, End::Event(event.kind()), changes);
        }
        let migration = self.migrations.follow(event);
        if let Some(migrations::Change::End(number)) = migration
            && let Some(state) = self.migrating.remove(&number)
        {
            self.end(state, header.time, End::Event(event.kind()), changes);
        }
        let unfollowed = self.pages.unfollowed();
        self.pages.follow(event);
        self.end_exclusive(header.time, End::Event(event.kind()), changes);
        match &event.body {
            Body::ExclusivePage(page) if admitted => {
                if self.exclusive.len() >= MOST || self.pages.unfollowed() > unfollowed {
                    self.left_out += 1;
                    return;
                }
                let (place, size) = (Place::Process(header.pid), self.page_size);
                let state = self.begin(What::Exclusive, place, *header, |state| State {
                    address: page.address,
                    owner: page.mm,
                    object: page.page,
                    size,
                    ..state
                });
                self.exclusive.insert(page.page, state);
                changes.push(Change::Begin(state));
            }
            Body::MigrationEntrySet(entry) if admitted => {
                let Some(migrations::Change::Begin(number)) = migration else {
                    self.left_out += 1;
                    return;
                };
                let (place, size) = (Place::Process(header.pid), self.page_size << entry.order.min(20));
                let state = self.begin(What::MigrationEntry, place, *header, |state| State {
                    address: entry.address,
                    object: entry.page,
                    size,
                    ..state
                });
                self.migrating.insert(number, state);
                changes.push(Change::Begin(state));
            }
            Body::SwiotlbMapSingle(map) if admitted && map.bounce != MAPPING_ERROR => {
                self.bounced(header, map, changes);
            }
            _ => {}
        }
    }

    /// Ends what missing events make doubtful.
    pub fn lost(&mut self, loss: &Loss, time: u64, changes: &mut Vec<Change>) {
        if loss.is_of_new_family() {
            return;
        }
        let family = loss.family();
        if self.pages.lost(family) {
            self.end_exclusive(time, End::Lost, changes);
        }
        if self.migrations.lost(family) {
            self.end_all_migrations(time, End::Lost, changes);
        }
        if self.bounce_ends.lost(family) {
            self.end_all_bounces(time, End::Lost, changes);
        }
    }

    /// Ends everything, with the trace.
    pub fn finish(&mut self, time: u64, changes: &mut Vec<Change>) {
        self.end_all_exclusive(time, End::Trace, changes);
        self.end_all_migrations(time, End::Trace, changes);
        self.end_all_bounces(time, End::Trace, changes);
    }

    fn begin(&mut self, what: What, place: Place, begun: Header, fill: impl FnOnce(State) -> State) -> State {
        self.begun += 1;
        let lane = self.lanes.entry((place, what as u8)).or_default().take(begun.time);
        fill(State { id: self.begun, what, place, lane, begun, address: 0, owner: 0, object: 0, size: 0 })
    }

    fn end(&mut self, state: State, time: u64, end: End, changes: &mut Vec<Change>) {
        // CPUs may put events into the ring in another order than that of their times.
        let time = time.max(state.begun.time);
        if let Some(lanes) = self.lanes.get_mut(&(state.place, state.what as u8)) {
            lanes.free(state.lane, time);
        }
        changes.push(Change::End(state, time, end));
    }

    /// Ends what has ended among the exclusive entries.
    fn end_exclusive(&mut self, time: u64, end: End, changes: &mut Vec<Change>) {
        if !self.pages.has_ended() {
            return;
        }
        for entry in self.pages.take_ended() {
            if let Some(state) = self.exclusive.remove(&entry.page) {
                self.end(state, time, end, changes);
            }
        }
    }

    fn bounced(&mut self, header: &Header, map: &SwiotlbMapSingle, changes: &mut Vec<Change>) {
        self.end_bounce(map.bounce, header.time, End::Event(Kind::SwiotlbMapSingle), changes);
        if self.bounces.len() >= MOST {
            self.left_out += 1;
            return;
        }
        let size = if map.alloc_size == UNKNOWN { map.size } else { map.alloc_size };
        let state = self.begin(What::Bounce, Place::Device(map.device), *header, |state| State {
            address: map.bounce,
            owner: map.pool,
            object: map.original,
            size,
            ..state
        });
        self.bounces.insert(map.bounce, state);
        changes.push(Change::Begin(state));
        self.level(map.pool, header.time, |bytes| bytes.saturating_add(size), changes);
    }

    fn end_bounce(&mut self, bounce: u64, time: u64, end: End, changes: &mut Vec<Change>) {
        if let Some(state) = self.bounces.remove(&bounce) {
            self.end(state, time, end, changes);
            self.level(state.owner, time, |bytes| bytes.saturating_sub(state.size), changes);
        }
    }

    fn level(&mut self, pool: u64, time: u64, change: impl FnOnce(u64) -> u64, changes: &mut Vec<Change>) {
        let level = self.levels.entry(pool).or_default();
        *level = change(*level);
        changes.push(Change::Level { pool, time, bytes: *level });
    }

    fn end_all_exclusive(&mut self, time: u64, end: End, changes: &mut Vec<Change>) {
        self.pages.forget();
        self.end_exclusive(time, end, changes);
    }

    fn end_all_migrations(&mut self, time: u64, end: End, changes: &mut Vec<Change>) {
        let mut states: Vec<State> = self.migrating.drain().map(|(_, state)| state).collect();
        states.sort_unstable_by_key(|state| (state.begun.tid, state.address, state.id));
        for state in states {
            self.end(state, time, end, changes);
        }
    }

    fn end_all_bounces(&mut self, time: u64, end: End, changes: &mut Vec<Change>) {
        let mut bounces: Vec<u64> = self.bounces.keys().copied().collect();
        bounces.sort_unstable();
        for bounce in bounces {
            self.end_bounce(bounce, time, end, changes);
        }
    }
}

#[cfg(test)]
mod tests {
    use tracer_common::family::Family;

    use super::*;
    use crate::event::{Item, synthetic};

    fn events() -> Vec<Event> {
        let events = synthetic::stream().into_iter().filter_map(|item| match item {
            Item::Event(event) => Some(event),
            _ => None,
        });
        events.collect()
    }

    fn of(kind: Kind) -> Event {
        events().into_iter().find(|event| event.kind() == kind).unwrap()
    }

    fn changes(events: &[(Event, bool)]) -> Vec<Change> {
        let mut states = States::new(&synthetic::description());
        let mut changes = Vec::new();
        for (event, admitted) in events {
            states.follow(event, *admitted, &mut changes);
        }
        states.finish(u64::MAX, &mut changes);
        changes
    }

    fn ends(changes: &[Change]) -> Vec<(What, End)> {
        let ends = changes.iter().filter_map(|change| match change {
            Change::End(state, _, end) => Some((state.what, *end)),
            _ => None,
        });
        ends.collect()
    }

    #[test]
    fn what_begins_ends_once() {
        let all: Vec<_> = events().into_iter().map(|event| (event, true)).collect();
        let changes = changes(&all);
        let begun: Vec<_> = changes.iter().filter(|change| matches!(change, Change::Begin(_))).collect();
        assert!(begun.len() >= 3);
        assert_eq!(begun.len(), ends(&changes).len());
    }

    #[test]
    fn a_page_is_exclusive_until_it_is_restored() {
        let (made, restored) = (of(Kind::ExclusivePage), of(Kind::RestoreExclusive));
        let seen = changes(&[(made, true), (restored, false)]);
        assert_eq!(ends(&seen), [(What::Exclusive, End::Event(Kind::RestoreExclusive))]);
        assert_eq!(ends(&changes(&[(made, true)])), [(What::Exclusive, End::Trace)]);
        assert_eq!(changes(&[(made, false), (restored, true)]), []);
    }

    #[test]
    fn slots_that_swiotlb_map_gives_back_itself_are_no_longer_bounced() {
        let (mut taken, mut answer) = (of(Kind::SwiotlbMapSingle), of(Kind::SwiotlbMap));
        answer.header = Header { kind: answer.header.kind, time: taken.header.time + 1000, ..taken.header };
        if let (Body::SwiotlbMapSingle(taken), Body::SwiotlbMap(answer)) = (&mut taken.body, &mut answer.body)
        {
            (taken.bounce, taken.device, taken.original) = (0x7c00_0800, answer.device, answer.original);
            answer.dma_address = MAPPING_ERROR;
        }
        let seen = changes(&[(taken, true), (answer, false)]);
        assert_eq!(ends(&seen), [(What::Bounce, End::Event(Kind::SwiotlbMap))]);
        let last = seen.iter().rev().find_map(|change| match change {
            Change::Level { time, bytes, .. } => Some((*time, *bytes)),
            _ => None,
        });
        assert_eq!(last, Some((answer.header.time, 0)));
    }

    #[test]
    fn a_loss_ends_what_it_may_have_ended() {
        let mut states = States::new(&synthetic::description());
        let mut changes = Vec::new();
        states.follow(&of(Kind::ExclusivePage), true, &mut changes);
        let cause = crate::event::LossCause::Lost;
        let mut loss = Loss { cause, family: None, count: 1, after: 5, before: 5, kind: Some("new".into()) };
        states.lost(&Loss { family: Some(0xff), ..loss.clone() }, 5, &mut changes);
        loss.kind = None;
        states.lost(&Loss { family: Some(Family::Swiotlb as u8), ..loss.clone() }, 5, &mut changes);
        assert_eq!(ends(&changes), []);
        states.lost(&loss, 5, &mut changes);
        assert_eq!(ends(&changes), [(What::Exclusive, End::Lost)]);
    }

    #[test]
    fn a_lane_has_one_state_at_a_time() {
        let mut lanes = Lanes::default();
        assert_eq!((lanes.take(1), lanes.take(2)), (0, 1));
        lanes.free(0, 10);
        assert_eq!((lanes.take(9), lanes.take(10)), (2, 0));
    }
}
