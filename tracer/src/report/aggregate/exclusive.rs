//! How long pages were device-exclusive, and what ended it.
//!
//! What ended an entry is said here; which ended is followed in [`follow`](crate::follow::exclusive).

use std::collections::BTreeMap;

use rustc_hash::FxHashSet;
use tracer_common::event::{Body, Kind};
use tracer_common::family::Family;

use super::histogram::Histogram;
use crate::check::Facts;
use crate::event::Event;
use crate::follow::exclusive::ExclusivePages;
use crate::report::model::{self, Ended, Residency, Unit};
use crate::trace_file::FileHeader;

/// Follows exclusive entries from their beginning to their end.
#[derive(Debug)]
pub struct Exclusive {
    /// Whether forks are seen, so that what happens outside of them is known to.
    sees_forks: bool,
    pages: ExclusivePages,
    /// Pages of entries that the filter does not admit, by the address of their `struct page`.
    hidden: FxHashSet<u64>,
    made: u64,
    peak: u64,
    unseen_beginnings: u64,
    ends: BTreeMap<Ended, (u64, Histogram)>,
}

impl Exclusive {
    /// None yet, in a session with that header.
    pub fn new(header: &FileHeader) -> Self {
        Self {
            sees_forks: Facts::new(header).has(Kind::CopyPageRange),
            pages: ExclusivePages::new(&header.kernel).keeping_ended(),
            hidden: FxHashSet::default(),
            made: 0,
            peak: 0,
            unseen_beginnings: 0,
            ends: BTreeMap::new(),
        }
    }

    /// Takes an event; `admitted` beginnings alone are counted, with whatever ended them.
    #[inline]
    pub fn event(&mut self, event: &Event, admitted: bool) {
        let unfollowed = self.pages.unfollowed();
        if let Body::RestoreExclusive(restore) = &event.body {
            let is_followed = self.pages.at(restore.mm, restore.address).is_some()
                || self.pages.of_page(restore.page).is_some();
            self.unseen_beginnings += u64::from(!is_followed && admitted);
        }
        self.pages.follow(event);
        self.settle(self.ended_by(event), event.header.time);
        if let Body::ExclusivePage(page) = &event.body {
            self.made += u64::from(admitted);
            if self.pages.unfollowed() > unfollowed {
                self.ends.entry(Ended::Unseen).or_default().0 += u64::from(admitted);
            } else if !admitted {
                self.hidden.insert(page.page);
            }
            self.peak = self.peak.max((self.pages.len() - self.hidden.len()) as u64);
        }
    }

    /// How an event ends entries, when it does.
    fn ended_by(&self, event: &Event) -> Ended {
        match &event.body {
            Body::ExclusivePage(_) => Ended::Again,
            // It has two callers: the fault, and fork for the parent (6.12 mm/memory.c, remove_device_exclusive_entry
            // and try_restore_exclusive_pte).
            Body::RestoreExclusive(restore) => match (restore.in_fork, self.sees_forks) {
                (0, true) => Ended::Fault,
                (0, false) => Ended::Restored,
                _ => Ended::Fork,
            },
            Body::ExclusiveZap(_) | Body::ExclusiveExit(_) => Ended::Zapped,
            // A walk that left a mapping may have left this one.
            Body::TryToUnmap(walk) | Body::TryToMigrate(walk) if walk.mapcount == 0 => Ended::Unmapped,
            _ => Ended::Unseen,
        }
    }

    /// Tells what ended the entries that are gone now.
    #[inline]
    fn settle(&mut self, ended: Ended, now: u64) {
        if !self.pages.has_ended() {
            return;
        }
        for live in self.pages.take_ended() {
            if self.hidden.remove(&live.page) {
                continue;
            }
            let (count, times) = self.ends.entry(ended).or_default();
            *count += 1;
            if ended != Ended::Unseen {
                times.record(now.saturating_sub(live.made.time));
            }
        }
    }

    /// Ends may be among what is missing.
    pub fn lost(&mut self, family: Option<Family>) {
        if self.pages.lost(family) {
            self.settle(Ended::Unseen, 0);
        }
    }

    /// The report's part; `now` is the time of the last event.
    pub fn finish(mut self, now: u64) -> model::Exclusive {
        self.pages.forget();
        self.settle(Ended::Open, now);
        let residency = |(ended, (count, times)): (Ended, (u64, Histogram))| Residency {
            ended,
            count,
            residency: times.distribution(Kind::ExclusivePage.name(), Unit::Nanoseconds),
        };
        model::Exclusive {
            made: self.made,
            peak: self.peak,
            ends: self.ends.into_iter().filter(|(_, (count, _))| *count > 0).map(residency).collect(),
            unseen_beginnings: self.unseen_beginnings,
        }
    }
}
