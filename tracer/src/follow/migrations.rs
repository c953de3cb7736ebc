//! Migration entries: which event begins and ends which.
//!
//! The thread that sets entries removes them (6.12 mm/migrate.c, migrate_folio_unmap and remove_migration_ptes in one
//! migrate_pages_batch). An event of an entry does not give its address space, and several may have the page at the same
//! address: of those the one that was set first ends first. Entries that munmap drops, fork copies or mremap moves have
//! no event.

use std::collections::VecDeque;

use rustc_hash::FxHashMap;
use tracer_common::event::{Body, Kind};
use tracer_common::family::Family;

use crate::event::Event;

/// Most entries that are followed.
const MOST: usize = 1 << 16;

/// What an event does to an entry, which is known by its number in the order of the beginnings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It was set.
    Begin(u64),
    /// It was removed.
    End(u64),
    /// One was set that is not followed: there are too many.
    Unfollowed,
}

/// Follows the entries of a stream.
#[derive(Debug, Default)]
pub struct Migrations {
    /// Numbers of the entries by thread and address.
    entries: FxHashMap<(u32, u64), VecDeque<u64>>,
    live: usize,
    begun: u64,
}

impl Migrations {
    /// Whether events of that kind change them.
    pub const fn follows(kind: Kind) -> bool {
        matches!(kind, Kind::MigrationEntrySet | Kind::MigrationEntryRemoved)
    }

    /// Takes an event into account.
    #[inline]
    pub fn follow(&mut self, event: &Event) -> Option<Change> {
        let tid = event.header.tid;
        match &event.body {
            Body::MigrationEntrySet(entry) => Some(self.set((tid, entry.address))),
            Body::MigrationEntryRemoved(entry) => self.removed((tid, entry.address)),
            _ => None,
        }
    }

    fn set(&mut self, place: (u32, u64)) -> Change {
        if self.live >= MOST {
            return Change::Unfollowed;
        }
        self.begun += 1;
        self.live += 1;
        self.entries.entry(place).or_default().push_back(self.begun);
        Change::Begin(self.begun)
    }

    /// An entry whose beginning was not seen ends none.
    fn removed(&mut self, place: (u32, u64)) -> Option<Change> {
        let entries = self.entries.get_mut(&place)?;
        let first = entries.pop_front();
        if entries.is_empty() {
            self.entries.remove(&place);
        }
        self.live -= usize::from(first.is_some());
        first.map(Change::End)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.live
    }

    /// Forgets what missing events of a family make doubtful, of any family for `None`: removals may be among them.
    /// Says whether that was so.
    pub fn lost(&mut self, family: Option<Family>) -> bool {
        let is_doubtful = matches!(family, None | Some(Family::Migrate));
        if is_doubtful {
            self.entries.clear();
            self.live = 0;
        }
        is_doubtful
    }
}

#[cfg(test)]
mod tests {
    use tracer_common::event::{Header, MigrationEntry, STACK_NONE};

    use super::*;

    fn event(kind: Kind, tid: u32, address: u64) -> Event {
        let entry = MigrationEntry { address, entry: 0, page: 0, flags: 0, order: 0, reserved: 0 };
        let body = match kind {
            Kind::MigrationEntrySet => Body::MigrationEntrySet(entry),
            _ => Body::MigrationEntryRemoved(entry),
        };
        Event { header: Header { time: 1, tid, pid: 1, kind: kind as u16, cpu: 0, stack: STACK_NONE }, body }
    }

    const SET: Kind = Kind::MigrationEntrySet;
    const REMOVED: Kind = Kind::MigrationEntryRemoved;

    fn changes(migrations: &mut Migrations, events: &[(Kind, u32, u64)]) -> Vec<Option<Change>> {
        events.iter().map(|(kind, tid, address)| migrations.follow(&event(*kind, *tid, *address))).collect()
    }

    #[test]
    fn the_thread_that_sets_an_entry_removes_it() {
        let mut migrations = Migrations::default();
        let seen =
            changes(&mut migrations, &[(SET, 1, 7), (REMOVED, 2, 7), (REMOVED, 1, 8), (REMOVED, 1, 7)]);
        assert_eq!(seen, [Some(Change::Begin(1)), None, None, Some(Change::End(1))]);
        assert_eq!(migrations.len(), 0);
    }

    #[test]
    fn of_several_at_one_address_the_first_ends_first() {
        let seen = changes(&mut Migrations::default(), &[(SET, 1, 7), (SET, 1, 7), (REMOVED, 1, 7)]);
        assert_eq!(seen[2], Some(Change::End(1)));
    }

    #[test]
    fn a_loss_of_removals_leaves_nothing() {
        let mut migrations = Migrations::default();
        changes(&mut migrations, &[(SET, 1, 7)]);
        assert!(!migrations.lost(Some(Family::Swiotlb)) && migrations.len() == 1);
        assert!(migrations.lost(None) && migrations.len() == 0);
        assert_eq!(changes(&mut migrations, &[(REMOVED, 1, 7), (SET, 1, 7)]), [None, Some(Change::Begin(2))]);
    }

    #[test]
    fn there_is_a_bound() {
        let mut migrations = Migrations::default();
        for address in 0..MOST as u64 {
            migrations.follow(&event(SET, 1, address));
        }
        assert_eq!(changes(&mut migrations, &[(SET, 1, 1 << 40)]), [Some(Change::Unfollowed)]);
        assert_eq!(migrations.len(), MOST);
    }
}
