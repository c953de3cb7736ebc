//! In what states a page was, and from when to when.

use tracer_common::event::{BITS_UNKNOWN, Body, Kind, MIGRATE_SELECT_SYSTEM, MigrateVma, UNCOUNTED};

use super::Target;
use super::history::{Entry, Episode, State};
use super::interpret::{Interpreter, SeenEvent};
use crate::event::{EntryState, Event, held};
use crate::follow::bounces;
use crate::follow::spaces::Id;

/// Most states of a history that are told.
const MOST_STATES: usize = 1 << 18;

/// An episode that goes on.
pub(super) struct Going {
    state: State,
    pfn: Option<u64>,
    from: u64,
    seen: bool,
    /// Whether it may have ended unseen.
    over: bool,
    began: usize,
}

impl Interpreter<'_> {
    /// A page frame to which something is migrated was free before: what was known is of another use of it.
    pub(super) fn arrives(&mut self, event: &Event, about: bool) {
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
    pub(super) fn goes_elsewhere(&mut self, spaces: &[Id]) {
        let (Target::Page { .. }, [space]) = (self.target, spaces) else { return };
        let is_elsewhere = self.space.replace(*space).is_some_and(|old| old != *space);
        if let Some(going) = self.main.as_mut().filter(|_| is_elsewhere) {
            going.over = true;
        }
    }

    /// The state after the event, and whether it was only seen then; `None` when it tells no other one.
    pub(super) fn state(&self, seen: &SeenEvent) -> Option<(State, bool)> {
        let SeenEvent { event, about, last_place, ended_entry, .. } = seen;
        let (about, last_place) = (*about, *last_place);
        let now = self.main.as_ref().map_or(State::Unknown, |going| going.state);
        let pfn_of = |page| self.facts.decoder.pfn(page);
        let is_page = matches!(self.target, Target::Page { .. });
        let told = match &event.body {
            Body::ExclusivePage(_) if about => Some(State::Exclusive),
            Body::RestoreExclusive(_) => Some(State::Mapped),
            Body::MigrationEntrySet(_) => Some(State::Migrating),
            Body::MigrationEntryRemoved(entry) => {
                (held(entry.entry, &self.facts.decoder).is_some()).then(|| self.put(entry.entry))
            }
            Body::MigrateVmaFinalize(migration) if !is_page => {
                self.migrated(migration, now).filter(|state| *state != now)
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
        // Another page has the entry's place, or a walk may have removed it.
        if *ended_entry && now == State::Exclusive {
            return Some((State::Unknown, false));
        }
        // A page with a mapping is mapped, whatever was known: faults are no events. Since 6.15 an exclusive page
        // keeps its mapping, and a folio that is being migrated has some left.
        let is_mapped = about && self.observed(event).1.is_some_and(|count| count > 0);
        let is_over = self.main.as_ref().is_some_and(|going| going.over);
        let is_news = is_over || !matches!(now, State::Mapped | State::Exclusive | State::Migrating);
        (is_mapped && is_news).then_some((State::Mapped, true))
    }

    /// The state of a page whose entry took the place of a migration entry.
    fn put(&self, raw: u64) -> State {
        match self.facts.decoder.entry(raw).map(|entry| entry.state) {
            Some(EntryState::Swap { kind: Some(kind), .. }) if kind.is_device_private() => State::OnDevice,
            _ => State::Mapped,
        }
    }

    /// The state at an address of a range that a driver migrated, as far as the range tells.
    fn migrated(&self, migration: &MigrateVma, now: State) -> Option<State> {
        let is_known = migration.migrated != UNCOUNTED && migration.filled != UNCOUNTED;
        let is_there = migration.select & MIGRATE_SELECT_SYSTEM != 0;
        match u64::from(migration.migrated) + u64::from(migration.filled) {
            _ if !is_known || migration.select == BITS_UNKNOWN => {}
            0 => return None,
            moved if moved == migration.npages && is_there => return Some(State::OnDevice),
            moved if moved == migration.npages => return Some(State::Mapped),
            _ => {}
        }
        // Of a part of the range the entry told, where such events were recorded.
        let began = self.main.as_ref().map(|going| &self.history.entries[going.began]);
        let is_told = matches!(began, Some(Entry::Event(moment))
            if moment.event == Kind::MigrationEntryRemoved.name());
        (!is_told && now != State::Unknown).then_some(State::Unknown)
    }

    pub(super) fn change_main(&mut self, state: State, seen: bool, time: u64, place: usize, cause: &str) {
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

    pub(super) fn end(&mut self, going: Option<Going>, to: Option<u64>, ended: Option<(usize, &str)>) {
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

    pub(super) fn mlock(&mut self, event: &Event, time: u64, place: usize, cause: &str) {
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

    pub(super) fn bounce(&mut self, event: &Event, time: u64, place: usize, cause: &str) {
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
    pub(super) fn doubt(&mut self) {
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

    pub(super) fn doubt_bounces(&mut self) {
        let place = self.history.entries.len() - 1;
        if let Some(going) = self.bounced.take() {
            self.end(Some(going), None, Some((place, "events are missing")));
        }
        self.bounces.clear();
        self.bounce_ends.lost(None);
    }
}
