//! Single pages: the busiest, and those that go back and forth.

use std::cmp::Reverse;

use tracer_common::event::Kind;

use super::moment::Moment;
use super::top::TopSketch;
use crate::event::Subject;
use crate::event::{Comm, Event, place};
use crate::report::model::{self, HotPage};

/// Pages that are counted at the same time.
const CAPACITY: usize = 1 << 14;

/// What is kept of a page.
#[derive(Clone, Debug, Default)]
struct Page {
    /// Events by the place of their kind; few kinds are about one page.
    events: Vec<(u8, u64)>,
    /// Process of the last event, and that thread's name.
    pid: u32,
    comm: Option<Comm>,
    address: Option<u64>,
    first_time: u64,
    last_time: u64,
    /// A CPU took it back since it was exclusive.
    was_restored: bool,
    /// An entry for it was removed since one was set.
    was_removed: bool,
    exclusive_returns: u64,
    migration_returns: u64,
}

impl Page {
    fn take(&mut self, event: &Event, moment: &Moment<'_>, address: Option<u64>) {
        let kind = event.kind();
        if self.events.is_empty() {
            self.first_time = moment.since_start;
        }
        let number = place(kind) as u8;
        match self.events.iter_mut().find(|(known, _)| *known == number) {
            Some((_, count)) => *count += 1,
            None => self.events.push((number, 1)),
        }
        self.pid = event.header.pid;
        self.comm = moment.comm.copied();
        self.last_time = moment.since_start;
        self.address = address.or(self.address);
        match kind {
            Kind::ExclusivePage if std::mem::take(&mut self.was_restored) => self.exclusive_returns += 1,
            Kind::RestoreExclusive => self.was_restored = true,
            Kind::MigrationEntrySet if std::mem::take(&mut self.was_removed) => self.migration_returns += 1,
            Kind::MigrationEntryRemoved => self.was_removed = true,
            _ => {}
        }
    }

    fn entry(self, pfn: u64, count: u64) -> HotPage {
        let mut events: Vec<_> = self
            .events
            .iter()
            .map(|(number, count)| (Kind::ALL[usize::from(*number)].name(), *count))
            .collect();
        events.sort_by_key(|(name, count)| (Reverse(*count), *name));
        HotPage {
            pfn,
            count,
            events,
            pid: self.pid,
            comm: self.comm.map(|comm| comm.text().into_owned()).unwrap_or_default(),
            address: self.address,
            first: self.first_time,
            last: self.last_time,
            exclusive_returns: self.exclusive_returns,
            migration_returns: self.migration_returns,
        }
    }

    const fn returns(&self) -> u64 {
        self.exclusive_returns + self.migration_returns
    }
}

/// Counts events by page.
#[derive(Debug)]
pub struct Pages {
    pages: TopSketch<u64, Page>,
}

impl Default for Pages {
    fn default() -> Self {
        Self { pages: TopSketch::new(CAPACITY) }
    }
}

impl Pages {
    /// Counts an event for every page that it is about. A large folio counts as its head.
    #[inline]
    pub fn event(&mut self, event: &Event, moment: &Moment<'_>) {
        let subject = Subject::of(event, moment.decoder);
        let [first, second] = subject.frames.map(|frames| frames.map(|frames| frames.pfn));
        for pfn in first.into_iter().chain(second.filter(|_| second != first)) {
            self.pages.add(pfn, 1).value.take(event, moment, subject.address);
        }
    }

    /// The report's part, at most `top` pages of each list.
    pub fn finish(self, top: usize) -> model::Pages {
        let mut returning: Vec<(u64, u64, Page)> = self
            .pages
            .iter()
            .filter(|(_, page)| page.value.returns() > 0)
            .map(|(pfn, page)| (*pfn, page.at_most(), page.value.clone()))
            .collect();
        let distinct = returning.len() as u64;
        returning.sort_by_key(|(pfn, count, page)| (Reverse(page.returns()), Reverse(*count), *pfn));
        returning.truncate(top);
        let hot = self.pages.into_top(
            top,
            |pfn, page| (Reverse(page.at_most()), *pfn),
            |pfn, page| {
                let count = page.at_most();
                page.value.entry(pfn, count)
            },
        );
        let entries = returning.into_iter().map(|(pfn, count, page)| page.entry(pfn, count)).collect();
        let ping_pong = model::Top { entries, distinct, exact: hot.exact, error: hot.error };
        model::Pages { hot, ping_pong }
    }
}
