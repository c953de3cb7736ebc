//! How long pages were device-exclusive, and what ended it.
//!
//! Entries are followed as the checker follows them, so that both know the same; what ended one is told here.

use std::collections::BTreeMap;

use rustc_hash::FxHashSet;
use tracer_common::event::{Body, Kind};
use tracer_common::family::Family;

use super::histogram::Histogram;
use crate::check::{ExclusivePages, Facts};
use crate::event::Event;
use crate::report::model::{self, Ended, Residency, Unit};

/// Follows exclusive entries from their beginning to their end.
#[derive(Debug)]
pub struct Exclusive {
    facts: Facts,
    pages: ExclusivePages,
    /// Pages of entries that the filter does not admit, by the address of their `struct page`.
    hidden: FxHashSet<u64>,
    made: u64,
    peak: u64,
    unseen_beginnings: u64,
    ends: BTreeMap<Ended, (u64, Histogram)>,
}

impl Exclusive {
    /// None yet, on a kernel and in a session as `facts` has them.
    pub fn new(facts: Facts) -> Self {
        Self {
            facts,
            pages: ExclusivePages::keeping_ended(),
            hidden: FxHashSet::default(),
            made: 0,
            peak: 0,
            unseen_beginnings: 0,
            ends: BTreeMap::new(),
        }
    }

    /// Whether events of that kind change it.
    pub const fn wants(kind: Kind) -> bool {
        matches!(
            kind,
            Kind::ExclusivePage
                | Kind::RestoreExclusive
                | Kind::ExclusiveZap
                | Kind::ExclusiveMove
                | Kind::ExclusiveExit
                | Kind::TryToUnmap
                | Kind::TryToMigrate
        )
    }

    /// Takes an event; `admitted` beginnings alone are counted, with whatever ended them.
    #[inline]
    pub fn event(&mut self, event: &Event, admitted: bool) {
        let header = &event.header;
        let ended = match &event.body {
            Body::ExclusivePage(page) => {
                let unfollowed = self.pages.unfollowed();
                self.pages.made(header, page);
                self.settle(Ended::Again, header.time);
                self.made += u64::from(admitted);
                if self.pages.unfollowed() > unfollowed {
                    self.ends.entry(Ended::Unseen).or_default().0 += u64::from(admitted);
                } else if !admitted {
                    self.hidden.insert(page.page);
                }
                self.peak = self.peak.max((self.pages.len() - self.hidden.len()) as u64);
                return;
            }
            Body::RestoreExclusive(restore) => {
                let is_followed = self.pages.at(restore.mm, restore.address).is_some()
                    || self.pages.of_page(restore.page).is_some();
                self.unseen_beginnings += u64::from(!is_followed && admitted);
                self.pages.ended(restore.mm, restore.address, restore.page);
                // It has two callers: the fault, and fork for the parent (6.12 mm/memory.c, remove_device_exclusive_entry
                // and try_restore_exclusive_pte).
                match (restore.in_fork, self.facts.has(Kind::CopyPageRange)) {
                    (0, true) => Ended::Fault,
                    (0, false) => Ended::Restored,
                    _ => Ended::Fork,
                }
            }
            Body::ExclusiveZap(zap) => {
                self.pages.zapped(header, zap);
                Ended::Zapped
            }
            Body::ExclusiveMove(moved) => {
                self.pages.moved(moved);
                Ended::Unseen
            }
            Body::ExclusiveExit(exit) => {
                self.pages.exited(exit.mm);
                Ended::Zapped
            }
            Body::TryToUnmap(walk) | Body::TryToMigrate(walk) => {
                self.pages.walked(walk.page, self.facts.is_head(walk.flags));
                // A walk that left a mapping may have left this one.
                if walk.mapcount == 0 { Ended::Unmapped } else { Ended::Unseen }
            }
            _ => return,
        };
        self.settle(ended, header.time);
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
        if matches!(family, None | Some(Family::Exclusive | Family::Rmap)) {
            self.pages.forget();
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
