//! How many VMAs each reverse-map walk visited.
//!
//! A visit (`*_one`) is told before the walk that it is a part of, by the same thread: both are told as their
//! functions return.

use rustc_hash::FxHashMap;
use tracer_common::event::Kind;
use tracer_common::family::Family;

use super::histogram::Histogram;
use crate::event::{Body, Event};
use crate::report::model::{Distribution, Unit};
use crate::trace_file::FileHeader;

/// Most threads that are followed at the same time.
const MOST_THREADS: usize = 1 << 16;

/// The walks whose visits have events, with these.
const WALKS: [(Kind, Kind); 4] = [
    (Kind::TryToUnmap, Kind::TryToUnmapOne),
    (Kind::TryToMigrate, Kind::TryToMigrateOne),
    (Kind::PageMlock, Kind::PageMlockOne),
    // One call makes many pages exclusive, with a walk for each (6.12 mm/rmap.c, folio_make_device_exclusive).
    (Kind::MakeDeviceExclusive, Kind::ExclusiveVma),
];

/// The walk that a thread is in.
#[derive(Clone, Copy, Debug, Default)]
struct Walk {
    /// Place in [`WALKS`].
    place: usize,
    /// The folio's head; 0 between walks.
    page: u64,
    visits: u64,
}

/// Visits of each walk.
#[derive(Debug)]
pub struct Walks {
    /// Bits of the walks, by place in [`WALKS`], whose visits are all in the stream.
    watched: u8,
    threads: FxHashMap<u32, Walk>,
    /// Whether a thread that is not followed can be in the middle of a walk whose visits were not seen.
    is_doubtful: bool,
    visits: [Histogram; WALKS.len()],
}

impl Walks {
    /// None yet, in a session with that header.
    pub fn new(header: &FileHeader) -> Self {
        let makes = |kind: Kind| {
            header.probes.iter().any(|report| report.outcome.is_attached() && report.makes(kind))
        };
        // With a least time the session has the slow ones of both, which belong together no more.
        let is_thinned = header.options.min_latency.is_some();
        let watched = WALKS.iter().enumerate().filter(|(_, (walk, visit))| makes(*walk) && makes(*visit));
        Self {
            watched: if is_thinned { 0 } else { watched.fold(0, |bits, (place, _)| bits | 1 << place) },
            threads: FxHashMap::default(),
            is_doubtful: false,
            visits: Default::default(),
        }
    }

    /// Whether events of that kind change it.
    pub fn wants(kind: Kind) -> bool {
        kind == Kind::ProcessExit || WALKS.iter().any(|(walk, visit)| kind == *walk || kind == *visit)
    }

    /// Takes an event; `admitted` says whether it is one of those to be told of.
    #[inline]
    pub fn event(&mut self, event: &Event, admitted: bool) {
        if self.watched == 0 {
            return;
        }
        let tid = event.header.tid;
        match &event.body {
            Body::TryToUnmapOne(visit) => self.visit(tid, 0, visit.page),
            Body::TryToMigrateOne(visit) => self.visit(tid, 1, visit.page),
            Body::PageMlockOne(visit) => self.visit(tid, 2, visit.page),
            Body::ExclusiveVma(visit) => self.visit_exclusive(tid, visit.page, admitted),
            Body::TryToUnmap(walk) => self.walked(tid, 0, walk.page, admitted),
            Body::TryToMigrate(walk) => self.walked(tid, 1, walk.page, admitted),
            Body::PageMlock(walk) => self.walked(tid, 2, walk.page, admitted),
            Body::MakeDeviceExclusive(_) => self.made_exclusive(tid, admitted),
            Body::ProcessExit(_) => {
                self.threads.remove(&tid);
            }
            _ => {}
        }
    }

    fn is_watched(&self, place: usize) -> bool {
        self.watched >> place & 1 == 1
    }

    /// The walk of a thread. Whoever is new here while something is missing begins with a walk that does not count.
    fn thread(&mut self, tid: u32) -> &mut Walk {
        if self.threads.len() >= MOST_THREADS && !self.threads.contains_key(&tid) {
            self.threads.clear();
            self.is_doubtful = true;
        }
        self.threads.entry(tid).or_default()
    }

    #[inline]
    fn visit(&mut self, tid: u32, place: usize, page: u64) {
        if !self.is_watched(place) || self.is_doubtful && !self.threads.contains_key(&tid) {
            return;
        }
        let walk = self.thread(tid);
        if (walk.place, walk.page) == (place, page) {
            walk.visits += 1;
        } else {
            *walk = Walk { place, page, visits: 1 };
        }
    }

    #[inline]
    fn walked(&mut self, tid: u32, place: usize, page: u64, admitted: bool) {
        if !self.is_watched(place) {
            return;
        }
        let counts = !self.is_doubtful || self.threads.contains_key(&tid);
        let walk = std::mem::take(self.thread(tid));
        if counts && admitted {
            let visits = if (walk.place, walk.page) == (place, page) { walk.visits } else { 0 };
            self.visits[place].record(visits);
        }
    }

    /// Each page of a call has its walk, which ends where the next page's begins, or with the call.
    fn visit_exclusive(&mut self, tid: u32, page: u64, admitted: bool) {
        let walk = self.threads.get(&tid).copied().unwrap_or_default();
        if walk.place == 3 && walk.page != page {
            self.end_exclusive(walk, admitted);
        }
        self.visit(tid, 3, page);
    }

    fn made_exclusive(&mut self, tid: u32, admitted: bool) {
        if !self.is_watched(3) {
            return;
        }
        let walk = std::mem::take(self.thread(tid));
        self.end_exclusive(walk, admitted);
    }

    fn end_exclusive(&mut self, walk: Walk, admitted: bool) {
        if walk.place == 3 && walk.page != 0 && admitted {
            self.visits[3].record(walk.visits);
        }
    }

    /// Events of that family are missing, of any for `None`: no walk that goes on now can be counted.
    pub fn lost(&mut self, family: Option<Family>) {
        if matches!(family, None | Some(Family::Rmap | Family::Exclusive | Family::Mlock)) {
            self.threads.clear();
            self.is_doubtful = true;
        }
    }

    /// The report's part, in the order of the kinds' numbers.
    pub fn finish(self) -> Vec<Distribution> {
        let mut walks: Vec<_> = WALKS.iter().zip(&self.visits).collect();
        walks.sort_by_key(|((walk, _), _)| *walk);
        walks
            .into_iter()
            .filter_map(|((walk, _), visits)| visits.distribution(walk.name(), Unit::Vmas))
            .collect()
    }
}
