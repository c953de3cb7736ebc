//! From the stream to the report, in one pass.
//!
//! The [`Aggregator`] hands each event to the sections that ask for its kind. Everything that is kept is bounded:
//! by what this kernel and this program have (kinds, probes), or by a fixed number of keys, above which the rest is
//! summed up in one.

mod device_memory;
mod exclusive;
mod fork;
mod groups;
mod histogram;
mod keys;
mod levels;
mod losses;
mod moment;
mod pages;
mod ping_pong;
mod pools;
#[cfg(test)]
mod section_tests;
mod stacks;
mod swiotlb;
mod tables;
#[cfg(test)]
mod tests;
mod timeline;
mod top;
mod walks;

use tracer_common::event::Kind;
use tracer_common::family::Family;

use self::device_memory::DeviceMemory;
use self::exclusive::Exclusive;
use self::fork::Fork;
use self::keys::By;
use self::losses::Gaps;
use self::moment::Moment;
use self::pages::Pages;
use self::stacks::Stacks;
use self::swiotlb::Swiotlb;
use self::tables::Tables;
use self::timeline::Timeline;
use self::walks::Walks;
use crate::Error;
use crate::check::Checker;
use crate::event::{Comm, Decoder, Event, Filter, Item, Loss, Sink, place};
use crate::event::{Weight, Weights};
use crate::follow::exclusive::ExclusivePages;
use crate::follow::migrations::Migrations;
use crate::report::model::{Key, Report};
use crate::report::stack::Probed;
use crate::trace_file::FileHeader;

/// What a report is to have.
#[derive(Clone, Debug)]
pub struct Options {
    /// The events that the sections are made of; the verdict is always of all.
    pub filter: Filter,
    /// The filter as it was given on the command line, `None` when there is none.
    pub filter_text: Option<String>,
    /// Lines of each table.
    pub top: usize,
    /// What tables are sorted by.
    pub sort: Weight,
    /// Keys of the additional table; empty for none.
    pub by: Vec<Key>,
    /// The rules to judge by.
    pub rules: crate::check::Options,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            filter: Filter::default(),
            filter_text: None,
            top: 20,
            sort: Weight::default(),
            by: Vec::new(),
            rules: crate::check::Options::default(),
        }
    }
}

/// Who wants events of a kind beside those who want all.
const RENAMES: u8 = 1;
const WALKS: u8 = 1 << 1;
const MIGRATION: u8 = 1 << 2;
const EXCLUSIVE: u8 = 1 << 3;
const FORK: u8 = 1 << 4;
const SWIOTLB: u8 = 1 << 5;
const HMM: u8 = 1 << 6;

fn wanted(kind: Kind) -> u8 {
    let mut bits = 0;
    if kind.family() == Family::Process || kind == Kind::DeviceName {
        bits |= RENAMES;
    }
    if Walks::wants(kind) {
        bits |= WALKS;
    }
    if Migrations::follows(kind) {
        bits |= MIGRATION;
    }
    if ExclusivePages::follows(kind) {
        bits |= EXCLUSIVE;
    }
    if Fork::wants(kind) {
        bits |= FORK;
    }
    if kind.family() == Family::Swiotlb {
        bits |= SWIOTLB;
    }
    if kind.family() == Family::Hmm {
        bits |= HMM;
    }
    bits
}

/// Sums a stream up. Its memory is bounded, whatever the length of the stream.
pub struct Aggregator {
    options: Options,
    /// Whether the filter admits everything.
    is_open: bool,
    checker: Checker,
    decoder: Decoder,
    page_size: u64,
    /// Who wants events of a kind, by its place in [`Kind::ALL`].
    table: [u8; Kind::ALL.len()],
    /// Time of the first event.
    start: Option<u64>,
    /// Time of the latest.
    last: u64,
    /// Thread and CPU of the latest event: each CPU has an idle thread of its own with the same number.
    thread: Option<(u32, u16)>,
    /// The name of that thread.
    comm: Option<Comm>,
    tables: Tables,
    by: Option<By>,
    walks: Walks,
    stacks: Stacks,
    pages: Pages,
    exclusive: Exclusive,
    fork: Fork,
    device_memory: DeviceMemory,
    swiotlb: Swiotlb,
    migrations: Migrations,
    timeline: Timeline,
    gaps: Gaps,
}

impl Aggregator {
    /// Sums up a stream with that header.
    pub fn new(header: &FileHeader, options: Options) -> Self {
        let mut table = [0; Kind::ALL.len()];
        for &kind in Kind::ALL {
            table[place(kind)] = wanted(kind);
        }
        let by = (!options.by.is_empty()).then(|| By::new(options.by.clone(), Probed::new(&header.probes)));
        Self {
            checker: Checker::new(header, options.rules.clone()),
            decoder: Decoder::new(&header.kernel),
            page_size: header.kernel.page_size,
            table,
            start: None,
            last: 0,
            thread: None,
            comm: None,
            tables: Tables::default(),
            by,
            walks: Walks::new(header),
            stacks: Stacks::default(),
            pages: Pages::default(),
            exclusive: Exclusive::new(header),
            fork: Fork::default(),
            device_memory: DeviceMemory::new(header.kernel.page_size),
            swiotlb: Swiotlb::default(),
            migrations: Migrations::default(),
            timeline: Timeline::default(),
            gaps: Gaps::default(),
            is_open: options.filter.is_open(),
            options,
        }
    }

    fn event(&mut self, event: &Event) {
        let time = event.header.time;
        let since_start = time.saturating_sub(*self.start.get_or_insert(time));
        self.last = self.last.max(time);
        if self.timeline.is_over(since_start) {
            let live = self.checker.live();
            self.timeline.advance(since_start, live);
        }
        self.checker.event(event);
        if event.header.tid == 0 {
            self.checker.name_idle_thread(event);
        }
        let names = self.checker.names();
        let wanted = self.table[place(event.kind())];
        let thread = Some((event.header.tid, event.header.cpu));
        if self.thread != thread || wanted & RENAMES != 0 {
            self.thread = thread;
            self.comm = names.comm(&event.header).copied();
        }
        if wanted & RENAMES != 0 {
            self.tables.renamed(event);
            self.device_memory.process(event);
        }
        if wanted & MIGRATION != 0 {
            self.migrations.follow(event);
            self.timeline.migration_entries(self.migrations.len() as u64);
        }
        let admitted = self.is_open || self.options.filter.admits(event, names, since_start);
        if wanted & WALKS != 0 {
            self.walks.event(event, admitted);
        }
        if wanted & EXCLUSIVE != 0 {
            self.exclusive.event(event, admitted);
        }
        if !admitted && wanted & (FORK | SWIOTLB) == 0 {
            return;
        }
        let weights = Weights::of(event, self.page_size);
        let moment = Moment { since_start, names, comm: self.comm.as_ref(), decoder: &self.decoder, weights };
        if wanted & FORK != 0 {
            self.fork.event(event, &moment, admitted);
        }
        if wanted & SWIOTLB != 0 {
            self.swiotlb.event(event, &moment, admitted);
        }
        if !admitted {
            return;
        }
        if wanted & HMM != 0 {
            self.device_memory.event(event, &moment, &self.stacks);
        }
        self.pages.event(event, &moment);
        self.timeline.count(since_start, event.kind());
        self.tables.event(event, &moment);
        self.stacks.event(event, &moment);
        if let Some(by) = &mut self.by {
            by.event(event, &moment);
        }
    }

    fn loss(&mut self, loss: &Loss) {
        let start = self.start.unwrap_or(loss.after);
        let after = loss.after.saturating_sub(start);
        let before = if loss.before == u64::MAX { u64::MAX } else { loss.before.saturating_sub(start) };
        self.gaps.loss(loss, after, before);
        self.timeline.lost(loss, after, self.options.filter.admits_loss(loss, after, before));
        if loss.is_of_new_family() {
            return;
        }
        let family = loss.family();
        if self.migrations.lost(family) {
            self.timeline.migration_entries(0);
        }
        self.walks.lost(family);
        self.exclusive.lost(family);
        self.fork.lost(family);
        self.device_memory.lost(family);
        self.swiotlb.lost(family, after);
    }

    /// The report. `incomplete` says why the stream is not whole, for example because the file is cut.
    pub fn finish(self, incomplete: Option<String>) -> Report {
        let Options { filter_text, top, sort, .. } = self.options;
        let timeline = self.timeline.finish(self.checker.live());
        let verdict = self.checker.finish(incomplete);
        let (swiotlb, pools) = self.swiotlb.finish();
        let device_memory = self.device_memory.finish(top, &self.stacks);
        Report {
            filter: filter_text,
            span: self.last.saturating_sub(self.start.unwrap_or_default()),
            total: self.tables.total(),
            latencies: self.tables.latencies(),
            events: self.tables.events(sort, top),
            devices: self.tables.devices(sort, top),
            processes: self.tables.processes(sort, top),
            by: self.by.map(|by| by.finish(sort, top)),
            walks: self.walks.finish(),
            losses: self.gaps.finish(&verdict.subject, self.stacks.unstored()),
            stacks: self.stacks.finish(sort, top),
            pages: self.pages.finish(top),
            exclusive: self.exclusive.finish(self.last),
            fork: self.fork.finish(top),
            device_memory,
            swiotlb,
            pools,
            timeline,
            verdict,
        }
    }
}

impl Sink for Aggregator {
    #[inline]
    fn record(&mut self, record: &[u8]) -> Result<(), Error> {
        match &Event::decode(record) {
            Ok(event) => self.event(event),
            // The verdict counts what cannot be read.
            Err(_) => self.checker.record(record),
        }
        Ok(())
    }

    fn item(&mut self, item: &Item) -> Result<(), Error> {
        if let Item::Event(event) = item {
            self.event(event);
            return Ok(());
        }
        self.checker.item(item);
        match item {
            Item::Loss(loss) => self.loss(loss),
            Item::Process(process) => {
                self.thread = None;
                self.tables.forget_name(process.pid);
            }
            Item::Stack(stack) => {
                self.stacks.stack(stack);
                if let Some(by) = &mut self.by {
                    by.stack(stack);
                }
            }
            Item::Summary(summary) => self.gaps.summary(summary),
            Item::Event(_) => {}
        }
        Ok(())
    }
}
