//! One run, summed up for a comparison in memory that does not grow with its events.

use std::collections::BTreeMap;

use super::blocks::{Blocks, Merge};
use super::histogram::Histogram;
use super::loss::Missing;
use crate::Error;
use crate::check::{self, Checker};
use crate::event::Weights;
use crate::event::{Event, Family, Filter, Item, Kind, Names, Sink, Summary, duration_field, place};
use crate::trace_file::FileHeader;

/// Nanoseconds of the first time slices, a power of two near a millisecond.
const SLICE: u64 = 1 << 20;

/// Events in a slice of time.
#[derive(Clone, Debug)]
pub struct Slice {
    /// Events by the [`place`] of their kind.
    pub counts: Vec<u64>,
    /// Nanoseconds in the probed functions, likewise.
    pub times: Vec<u64>,
    /// Events in all.
    pub events: u64,
    /// Pages that they are about.
    pub pages: u64,
}

impl Default for Slice {
    fn default() -> Self {
        let none = vec![0; Kind::ALL.len()];
        Self { counts: none.clone(), times: none, events: 0, pages: 0 }
    }
}

impl Merge for Slice {
    fn merge(&mut self, next: &Self) {
        let add = |sums: &mut [u64], more: &[u64]| {
            sums.iter_mut().zip(more).for_each(|(sum, more)| *sum = sum.saturating_add(*more));
        };
        add(&mut self.counts, &next.counts);
        add(&mut self.times, &next.times);
        self.events += next.events;
        self.pages = self.pages.saturating_add(next.pages);
    }
}

/// Consecutive calls of one function.
#[derive(Clone, Debug, Default)]
pub struct Calls {
    /// How many.
    pub count: u64,
    /// Nanoseconds in all.
    pub sum: u64,
    /// Nanoseconds of each.
    pub histogram: Histogram,
}

impl Merge for Calls {
    fn merge(&mut self, next: &Self) {
        self.count += next.count;
        self.sum = self.sum.saturating_add(next.sum);
        self.histogram.merge(&next.histogram);
    }
}

/// Measured calls of one function as they come.
struct Series {
    blocks: Blocks<Calls>,
    count: u64,
    longest: u64,
}

impl Default for Series {
    fn default() -> Self {
        Self { blocks: Blocks::new(1), count: 0, longest: 0 }
    }
}

/// Sums up one run.
pub struct Sample {
    run: Run,
    checker: Checker,
    names: Names,
    filter: Filter,
    page_size: u64,
    start: Option<u64>,
    last: u64,
    slices: Blocks<Slice>,
    series: BTreeMap<usize, Series>,
    summary: Option<Summary>,
}

/// A run, summed up.
#[derive(Clone, Debug)]
pub struct Run {
    /// Where it is from: raw, to be escaped.
    pub name: String,
    /// The file's header.
    pub header: FileHeader,
    /// What the rules say of it, whatever the filter.
    pub verdict: check::Verdict,
    /// Nanoseconds that were observed.
    pub duration: u64,
    /// Consecutive slices of time, all of the same length.
    pub(super) slices: Vec<Slice>,
    /// Consecutive calls by the [`place`] of their kind.
    pub(super) calls: BTreeMap<usize, Vec<Calls>>,
    /// Nanoseconds of the longest calls.
    pub(super) longest: BTreeMap<usize, u64>,
    /// Events of each family in the file, filtered out or not.
    pub(super) seen: [u64; Family::COUNT],
    /// Events that are missing.
    pub(super) missing: Missing,
}

impl Sample {
    /// A sample of the run with that header; the filter narrows what is compared, never the rules' verdict.
    pub fn new(name: String, header: &FileHeader, filter: Filter, rules: check::Options) -> Self {
        let checker = Checker::new(header, rules);
        Self {
            run: Run {
                name,
                header: header.clone(),
                verdict: check::Verdict {
                    subject: check::Subject::default(),
                    rules: Vec::new(),
                    diagnoses: Vec::new(),
                    probes: Vec::new(),
                },
                duration: 0,
                slices: Vec::new(),
                calls: BTreeMap::new(),
                longest: BTreeMap::new(),
                seen: [0; Family::COUNT],
                missing: Missing::default(),
            },
            checker,
            names: Names::default(),
            filter,
            page_size: header.kernel.page_size,
            start: None,
            last: 0,
            slices: Blocks::new(SLICE),
            series: BTreeMap::new(),
            summary: None,
        }
    }

    fn event(&mut self, event: &Event) {
        let kind = event.kind();
        let time = event.header.time;
        let start = *self.start.get_or_insert(time);
        self.last = self.last.max(time);
        self.run.seen[kind.family() as usize] += 1;
        if is_bookkeeping(kind) {
            return self.names.follow(&Item::Event(*event));
        }
        let since_start = time.saturating_sub(start);
        if !self.filter.admits(event, &self.names, since_start) {
            return;
        }
        let place = place(kind);
        let weights = Weights::of(event, self.page_size);
        let slice = self.slices.at(since_start);
        slice.counts[place] += 1;
        slice.times[place] = slice.times[place].saturating_add(weights.time);
        slice.events += 1;
        slice.pages = slice.pages.saturating_add(weights.pages);
        // A call that took no time at all was not measured.
        if duration_field(kind).is_some() && weights.time > 0 {
            let series = self.series.entry(place).or_default();
            let block = series.blocks.at(series.count);
            block.count += 1;
            block.sum = block.sum.saturating_add(weights.time);
            block.histogram.add(weights.time);
            series.count += 1;
            series.longest = series.longest.max(weights.time);
        }
    }

    /// The run. `incomplete` says why the stream is not whole.
    pub fn finish(self, incomplete: Option<String>) -> Run {
        let mut run = self.run;
        run.verdict = self.checker.finish(incomplete);
        let observed = self.last.saturating_sub(self.start.unwrap_or_default());
        let session = self.summary.map_or(observed, |summary| summary.watched());
        run.duration = session.min(self.filter.to).saturating_sub(self.filter.from);
        run.slices = self.slices.finish(observed.saturating_add(1));
        for (place, series) in self.series {
            run.calls.insert(place, series.blocks.finish(series.count));
            run.longest.insert(place, series.longest);
        }
        run
    }
}

impl Run {
    /// Events of the kind at that [`place`].
    pub(super) fn count(&self, place: usize) -> u64 {
        self.slices.iter().map(|slice| slice.counts[place]).sum()
    }

    /// Part of a family's events that is missing, between 0 and 1.
    pub(super) fn missing_part(&self, family: Family) -> f64 {
        let missing = self.missing.of_family(family);
        if missing == 0 {
            return 0.0;
        }
        missing as f64 / missing.saturating_add(self.seen[family as usize]) as f64
    }
}

/// Events that tell who is who; they are not compared.
pub fn is_bookkeeping(kind: Kind) -> bool {
    kind.family() == Family::Process || kind == Kind::DeviceName
}

impl Sink for Sample {
    fn record(&mut self, record: &[u8]) -> Result<(), Error> {
        self.checker.record(record);
        // The checker has counted what cannot be decoded as dropped.
        if let Ok(event) = Event::decode(record) {
            self.event(&event);
        }
        Ok(())
    }

    fn item(&mut self, item: &Item) -> Result<(), Error> {
        self.checker.item(item);
        match item {
            Item::Event(event) => self.event(event),
            Item::Loss(loss) => self.run.missing.add(loss),
            Item::Summary(summary) => {
                self.run.missing.sum(summary);
                self.summary = Some(summary.clone());
            }
            Item::Process(_) => self.names.follow(item),
            // Stacks are not compared.
            Item::Stack(_) => {}
        }
        Ok(())
    }
}
