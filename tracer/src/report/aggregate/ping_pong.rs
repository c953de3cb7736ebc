//! Ranges of addresses that go to a device, come back, and go there again.
//!
//! A migration's event says how many pages of its range moved, not which. So a page is said to have moved only where
//! all of a range did, or as many as there can be: those that are not on the device, or those that are. What happened to
//! the others is not known until they move for certain.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use rustc_hash::FxHashMap;
use tracer_common::event::{MigrateVma, UNCOUNTED, UNKNOWN};

use super::stacks::Frames;
use crate::report::model::{self, Actor, Way};

/// Pages that are followed at the same time.
const MOST_PAGES: usize = 1 << 17;

/// Ranges of processes that have ended that are kept.
const MOST_RANGES: usize = 1 << 12;

/// Where a page is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Unknown,
    System,
    /// On the device since then.
    Device(u64),
}

/// A page that has been on a device.
#[derive(Clone, Copy, Debug, Default)]
struct Page {
    place: Place,
    /// It left the device since it went there last.
    has_left: bool,
    returns: u32,
    /// Times on the device of which beginning and end are known, and their sum.
    stays: u32,
    time: u64,
    /// Places of the stacks of the latest migrations.
    to_device: Option<u32>,
    back: Option<u32>,
}

impl Page {
    fn goes(&mut self, now: u64, stack: Option<u32>) {
        self.returns += u32::from(std::mem::take(&mut self.has_left));
        self.place = Place::Device(now);
        self.to_device = stack;
    }

    fn leaves(&mut self, now: u64, stack: Option<u32>) {
        match self.place {
            Place::Device(since) => {
                self.stays += 1;
                self.time = self.time.saturating_add(now.saturating_sub(since));
            }
            // It went there unseen.
            Place::Unknown | Place::System => self.returns += u32::from(self.has_left),
        }
        self.place = Place::System;
        self.has_left = true;
        self.back = stack;
    }
}

/// An address space.
#[derive(Debug, Default)]
struct Space {
    pid: u32,
    comm: String,
    owner: u64,
    /// By number.
    pages: BTreeMap<u64, Page>,
}

/// Neighbours in one address space that went to the device again.
#[derive(Clone, Debug)]
struct Range {
    actor: Actor,
    first: u64,
    pages: u64,
    returns: u64,
    most: u32,
    stays: u64,
    time: u64,
    to_device: FxHashMap<u32, u64>,
    back: FxHashMap<u32, u64>,
}

impl Range {
    fn add(&mut self, page: &Page) {
        self.pages += 1;
        self.returns += u64::from(page.returns);
        self.most = self.most.max(page.returns);
        self.stays += u64::from(page.stays);
        self.time = self.time.saturating_add(page.time);
        for (stacks, stack) in [(&mut self.to_device, page.to_device), (&mut self.back, page.back)] {
            if let Some(stack) = stack {
                *stacks.entry(stack).or_default() += 1;
            }
        }
    }

    fn rank(&self) -> impl Ord + use<> {
        (Reverse(self.returns), self.actor.pid, self.actor.mm, self.first)
    }
}

/// Follows pages to devices and back.
#[derive(Debug)]
pub struct PingPong {
    page_size: u64,
    spaces: FxHashMap<u64, Space>,
    /// Pages of all spaces.
    pages: usize,
    /// Of processes that have ended.
    ended: Vec<Range>,
    /// Ranges of such that are not kept.
    dropped: u64,
    /// Pages of migrations that are not followed.
    left_out: u64,
}

impl PingPong {
    /// Of a kernel with pages of that size.
    pub fn new(page_size: u64) -> Self {
        Self {
            page_size: page_size.max(1),
            spaces: FxHashMap::default(),
            pages: 0,
            ended: Vec::new(),
            dropped: 0,
            left_out: 0,
        }
    }

    /// Takes the end of a migration by that process, whose stack has that place.
    pub fn migrated(
        &mut self,
        migration: &MigrateVma,
        way: Way,
        (pid, comm): (u32, &str),
        now: u64,
        stack: Option<u32>,
    ) {
        let first = migration.start / self.page_size;
        let count = (migration.end / self.page_size).saturating_sub(first);
        if count != migration.npages || count == 0 || migration.mm == UNKNOWN {
            return;
        }
        if count > MOST_PAGES as u64 {
            self.left_out = self.left_out.saturating_add(count);
            return;
        }
        let space = self.spaces.entry(migration.mm).or_insert_with(|| Space {
            pid,
            comm: comm.to_owned(),
            owner: UNKNOWN,
            pages: BTreeMap::new(),
        });
        // 0 where a driver does not say.
        if migration.owner != 0 && migration.owner != UNKNOWN {
            space.owner = migration.owner;
        }
        let range = first..first + count;
        let (mut there, mut here) = (0, 0);
        for page in space.pages.range(range.clone()).map(|(_, page)| page) {
            match page.place {
                Place::Device(_) => there += 1,
                Place::System => here += 1,
                Place::Unknown => {}
            }
        }
        let is_known = migration.migrated != UNCOUNTED && migration.filled != UNCOUNTED;
        let moved = u64::from(migration.migrated) + u64::from(migration.filled);
        let may_move = |page: &Page| match way {
            Way::ToDevice => !matches!(page.place, Place::Device(_)),
            _ => page.place != Place::System,
        };
        let candidates = if way == Way::ToDevice { count - there } else { count - here };
        if way == Way::Unknown || !is_known || moved != 0 && moved != count && moved != candidates {
            for (_, page) in space.pages.range_mut(range).filter(|(_, page)| may_move(page)) {
                page.place = Place::Unknown;
            }
            return;
        }
        if moved == 0 {
            return;
        }
        for number in range {
            let is_new = !space.pages.contains_key(&number);
            if is_new && self.pages >= MOST_PAGES {
                self.left_out += 1;
                continue;
            }
            let page = space.pages.entry(number).or_default();
            self.pages += usize::from(is_new);
            if moved != count && !may_move(page) {
                continue;
            }
            match way {
                Way::ToDevice => page.goes(now, stack),
                _ => page.leaves(now, stack),
            }
        }
    }

    /// Pages may have moved unseen.
    pub fn doubt(&mut self) {
        for page in self.spaces.values_mut().flat_map(|space| space.pages.values_mut()) {
            page.place = Place::Unknown;
        }
    }

    /// The address spaces of a process are gone.
    pub fn ended(&mut self, pid: u32) {
        let (ended, pages) = (&mut self.ended, &mut self.pages);
        self.spaces.retain(|mm, space| {
            if space.pid == pid {
                *pages -= space.pages.len();
                ended.extend(ranges(*mm, space));
            }
            space.pid != pid
        });
        if ended.len() > MOST_RANGES {
            ended.sort_by_cached_key(Range::rank);
            self.dropped += (ended.len() - MOST_RANGES / 2) as u64;
            ended.truncate(MOST_RANGES / 2);
        }
    }

    /// The report's part, at most `top` ranges.
    pub fn finish(self, top: usize, frames: &Frames<'_>) -> model::PingPongs {
        let page_size = self.page_size;
        let living = self.spaces.iter().flat_map(|(mm, space)| ranges(*mm, space));
        let mut all: Vec<Range> = self.ended.into_iter().chain(living).collect();
        let distinct = self.dropped + all.len() as u64;
        all.sort_by_cached_key(Range::rank);
        all.truncate(top);
        let entry = |range: Range| model::PingPong {
            start: range.first * page_size,
            end: (range.first + range.pages) * page_size,
            pages: range.pages,
            returns: range.returns,
            most: range.most.into(),
            stays: range.stays,
            time: range.time,
            to_device: most_common(&range.to_device).map_or_else(Vec::new, |stack| frames.of(stack)),
            back: most_common(&range.back).map_or_else(Vec::new, |stack| frames.of(stack)),
            actor: range.actor,
        };
        model::PingPongs { entries: all.into_iter().map(entry).collect(), distinct, left_out: self.left_out }
    }
}

fn most_common(stacks: &FxHashMap<u32, u64>) -> Option<u32> {
    stacks.iter().max_by_key(|(stack, count)| (**count, Reverse(**stack))).map(|(stack, _)| *stack)
}

/// Neighbours that went to the device again.
fn ranges(mm: u64, space: &Space) -> Vec<Range> {
    let owner = (space.owner != UNKNOWN).then_some(space.owner);
    let mut ranges: Vec<Range> = Vec::new();
    for (number, page) in space.pages.iter().filter(|(_, page)| page.returns > 0) {
        let is_next = ranges.last().is_some_and(|last| last.first + last.pages == *number);
        if !is_next {
            ranges.push(Range {
                actor: Actor { pid: space.pid, comm: space.comm.clone(), mm, owner },
                first: *number,
                pages: 0,
                returns: 0,
                most: 0,
                stays: 0,
                time: 0,
                to_device: FxHashMap::default(),
                back: FxHashMap::default(),
            });
        }
        if let Some(last) = ranges.last_mut() {
            last.add(page);
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use tracer_common::event::BITS_UNKNOWN;

    use super::super::stacks::Stacks;
    use super::*;

    const PAGE: u64 = 4096;
    const MM: u64 = 0xff11_0000;

    struct Session {
        ping_pong: PingPong,
        now: u64,
    }

    impl Session {
        fn new() -> Self {
            Self { ping_pong: PingPong::new(PAGE), now: 0 }
        }

        /// A second later these pages migrate, of which so many move.
        fn migrate(&mut self, way: Way, first: u64, pages: u64, moved: u32) -> &mut Self {
            self.now += 1_000_000_000;
            let migration = MigrateVma {
                mm: MM,
                start: first * PAGE,
                end: (first + pages) * PAGE,
                npages: pages,
                collected: pages,
                migrated: moved,
                filled: if moved == UNCOUNTED { UNCOUNTED } else { 0 },
                select: BITS_UNKNOWN,
                reserved: 0,
                owner: 7,
                fault_page: 0,
                duration: 0,
            };
            self.ping_pong.migrated(&migration, way, (12, "work"), self.now, None);
            self
        }

        fn there(&mut self, first: u64, pages: u64) -> &mut Self {
            self.migrate(Way::ToDevice, first, pages, pages as u32)
        }

        fn back(&mut self, first: u64, pages: u64) -> &mut Self {
            self.migrate(Way::FaultBack, first, pages, pages as u32)
        }

        fn finish(&mut self) -> model::PingPongs {
            let ping_pong = std::mem::replace(&mut self.ping_pong, PingPong::new(PAGE));
            ping_pong.finish(10, &Frames::new(&Stacks::default()))
        }

        /// First page, pages, returns, most of one page, stays, seconds in them.
        fn numbers(&mut self) -> Vec<[u64; 6]> {
            let entries = self.finish().entries.into_iter();
            let numbers = entries.map(|range| {
                let seconds = range.time / 1_000_000_000;
                [range.start / PAGE, range.pages, range.returns, range.most, range.stays, seconds]
            });
            numbers.collect()
        }
    }

    #[test]
    fn a_range_that_goes_once_is_no_ping_pong() {
        assert_eq!(Session::new().there(0, 64).back(0, 64).numbers(), Vec::<[u64; 6]>::new());
    }

    #[test]
    fn pages_that_come_back_one_by_one_are_one_range() {
        let mut session = Session::new();
        for _ in 0..3 {
            session.there(100, 4);
            for page in 100..104 {
                session.back(page, 1);
            }
        }
        // Three times 1 + 2 + 3 + 4 seconds.
        assert_eq!(session.numbers(), [[100, 4, 8, 2, 12, 30]]);
    }

    #[test]
    fn what_stays_at_home_separates_ranges() {
        let mut session = Session::new();
        session.there(0, 8).back(0, 3).back(5, 1).there(0, 4).there(5, 1);
        assert_eq!(session.numbers(), [[0, 3, 3, 1, 3, 3], [5, 1, 1, 1, 1, 2]]);
    }

    #[test]
    fn a_part_of_a_range_moved_for_certain_where_no_more_could() {
        let mut session = Session::new();
        // Page 2 is back, and the one that a call on all four can move.
        session.there(0, 4).back(2, 1).migrate(Way::ToDevice, 0, 4, 1).back(0, 4);
        assert_eq!(session.numbers(), [[2, 1, 1, 1, 2, 2]]);
    }

    #[test]
    fn which_pages_moved_is_not_guessed() {
        let mut session = Session::new();
        // Two are back, one of them goes again: which one shows only when it comes back.
        session.there(0, 4).back(0, 2).migrate(Way::ToDevice, 0, 4, 1).back(1, 1);
        assert_eq!(session.numbers(), [[1, 1, 1, 1, 1, 1]]);
        session.there(0, 4).back(0, 4).migrate(Way::ToDevice, 0, 4, UNCOUNTED);
        assert_eq!(session.finish(), model::PingPongs::default());
    }

    #[test]
    fn after_a_loss_times_are_not_known() {
        let mut session = Session::new();
        session.there(0, 1).ping_pong.doubt();
        session.back(0, 1).there(0, 1);
        assert_eq!(session.numbers(), [[0, 1, 1, 1, 0, 0]]);
    }

    #[test]
    fn what_a_process_did_stays_when_its_address_space_is_used_again() {
        let mut session = Session::new();
        session.there(0, 1).back(0, 1).there(0, 1).ping_pong.ended(12);
        session.there(0, 1).back(0, 1);
        assert_eq!(session.numbers(), [[0, 1, 1, 1, 1, 1]]);
        assert_eq!(session.ping_pong.pages, 0);
    }

    #[test]
    fn memory_is_bounded() {
        let mut session = Session::new();
        let most = MOST_PAGES as u64;
        session.there(0, most).there(most, 2).back(most, 1).there(0, most + 1);
        let ranges = session.finish();
        assert_eq!((ranges.distinct, ranges.left_out), (0, 3 + most + 1));
        for pid in 0..=MOST_RANGES as u64 {
            session.there(pid, 1).back(pid, 1).there(pid, 1).ping_pong.ended(12);
        }
        assert!(session.ping_pong.ended.len() <= MOST_RANGES);
        assert_eq!(session.finish().distinct, MOST_RANGES as u64 + 1);
    }
}
