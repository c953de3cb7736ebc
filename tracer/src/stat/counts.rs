//! What was counted of a stream or by the programs of a session, and who is who in it.

use rustc_hash::FxHashMap;
use tracer_common::counting::{FIXED, Measure, fixed};

use super::cell::Cell;
use super::key::{GroupKey, Key};
use super::question::{By, Question, read};
use super::row::{Sheet, Who};
use super::table::Table;
use super::text;
use super::{Missing, Reading};
use crate::event::{Comm, Decoder, Event, Family, Filter, Item, Loss, LossCause, Names, Summary, total};
use crate::kernel::Description;

/// What is missing from the counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    /// Events for which the ring had no room.
    pub lost: u64,
    /// Calls for which the kernel skipped the programs.
    pub missed: u64,
    /// Events that user space could not take.
    pub dropped: u64,
    /// Calls of which only one end was seen.
    pub unpaired: u64,
    /// Stacks that the kernel could not keep.
    pub stacks: u64,
    /// Events that are counted, but in no group of their own.
    pub other: u64,
    /// Whether events are missing whose number is not known.
    pub has_gap: bool,
    /// Events that the programs say there were, of all families that were asked for; lost ones included.
    pub emitted: u64,
}

impl Losses {
    /// Whether anything is missing.
    pub fn any(&self) -> bool {
        let Self { lost, missed, dropped, unpaired, stacks, other, has_gap, emitted: _ } = *self;
        lost + missed + dropped + unpaired + stacks + other > 0 || has_gap
    }

    /// Takes a loss of the stream.
    fn take(&mut self, loss: &Loss) {
        let count = match loss.cause {
            LossCause::Lost => &mut self.lost,
            LossCause::Missed => &mut self.missed,
            LossCause::Dropped => &mut self.dropped,
        };
        *count = count.saturating_add(loss.count);
        self.has_gap |= loss.count == 0;
    }
}

/// Counts by event and group, as far as the stream has come.
pub struct Counts {
    question: Question,
    filter: Filter,
    measures: [Measure; FIXED],
    decoder: Decoder,
    names: Names,
    /// Names of processes or threads that were counted.
    counted: FxHashMap<u32, Comm>,
    /// What was counted of records.
    table: Table,
    /// What the programs counted, as they said last.
    in_kernel: Table,
    /// What was there at the last look.
    before: Table,
    losses: Losses,
    /// What the session says while it goes on; its end says more.
    missing: Option<Missing>,
    watched: u64,
}

impl Counts {
    /// Counts what `filter` admits, of a session on that kernel.
    pub fn new(question: Question, filter: Filter, kernel: &Description) -> Self {
        Self {
            question,
            filter,
            measures: question.measures(kernel.page_size),
            decoder: Decoder::new(kernel),
            names: Names::default(),
            counted: FxHashMap::default(),
            table: Table::default(),
            in_kernel: Table::default(),
            before: Table::default(),
            losses: Losses::default(),
            missing: None,
            watched: 0,
        }
    }

    /// What is missing.
    pub fn losses(&self) -> Losses {
        let mut losses = self.losses;
        if let Some(Missing { missed, unpaired, stacks }) = self.missing {
            losses.missed = losses.missed.max(missed);
            (losses.unpaired, losses.stacks) = (unpaired, stacks);
        }
        let others = self.in_kernel.iter().chain(self.table.iter());
        losses.other =
            others.filter(|(key, _)| key.group == GroupKey::Other).map(|(_, cell)| cell.count).sum();
        losses
    }

    /// Nanoseconds of the whole session; 0 before its summary.
    pub fn watched(&self) -> u64 {
        self.watched
    }

    /// Counts an event, so long after the first of the stream.
    pub fn event(&mut self, event: &Event, since_start: u64) {
        if !self.filter.admits(event, &self.names, since_start) {
            return;
        }
        let kind = event.kind();
        let value = self.measures[fixed(kind as u16)].value(|number| read(event.body.bytes(), number));
        let key = Key { kind, group: self.question.group(event, &self.names) };
        self.note_name(key.group);
        self.table.cell(key).record(value);
    }

    /// Takes the names that an event gives; to be done before it is [counted](Self::event).
    pub fn follow_event(&mut self, event: &Event) {
        self.names.follow_event(event);
    }

    /// Takes what an item says of names and losses.
    pub fn item(&mut self, item: &Item) {
        self.names.follow(item);
        match item {
            Item::Loss(loss) => self.losses.take(loss),
            Item::Summary(summary) => self.summary(summary),
            Item::Event(_) | Item::Process(_) | Item::Stack(_) => {}
        }
    }

    /// Takes what the programs counted.
    pub fn reading(&mut self, reading: &Reading) {
        self.in_kernel.clear();
        for (key, cell) in &reading.counted {
            self.note_name(key.group);
            self.in_kernel.cell(*key).add(cell);
        }
        self.missing = reading.missing.or(self.missing);
    }

    /// Keeps the name of a process or thread that may end before it is shown.
    fn note_name(&mut self, group: GroupKey) {
        if !matches!(self.question.by, By::Process | By::Thread) {
            return;
        }
        if let GroupKey::Number(id) = group
            && let Some(comm) = self.names.thread(id as u32)
        {
            self.counted.insert(id as u32, *comm);
        }
    }

    /// Everything that was counted.
    pub fn rows(&self) -> Vec<(Key, Cell)> {
        let mut all = self.in_kernel.clone();
        for (key, cell) in self.table.iter() {
            all.cell(*key).add(cell);
        }
        all.iter().map(|(key, cell)| (*key, cell.clone())).collect()
    }

    /// Of all `rows`, what came since this was asked for last.
    pub fn since_last(&mut self, rows: &[(Key, Cell)]) -> Vec<(Key, Cell)> {
        let mut before = Table::default();
        rows.iter().for_each(|(key, cell)| before.cell(*key).add(cell));
        let since = |(key, cell): &(Key, Cell)| {
            (*key, self.before.get(key).map_or_else(|| cell.clone(), |earlier| cell.since(earlier)))
        };
        let rows = rows.iter().map(since).collect();
        self.before = before;
        rows
    }

    /// Rows with who is who, sorted.
    pub fn sheet(&self, rows: Vec<(Key, Cell)>, at: Option<u64>, span: u64) -> Sheet<'_> {
        let who = Who { names: &self.names, counted: &self.counted, decoder: &self.decoder };
        let mut sheet = Sheet { question: self.question, rows, at, span, who };
        sheet.sort();
        sheet
    }

    /// Everything that was counted, and what is missing, as a table for people.
    pub fn table(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let sheet = self.sheet(self.rows(), None, self.watched);
        text::sheet(&sheet, true, false, &mut out);
        text::end(self.question, &self.losses(), &mut out);
        out
    }

    fn summary(&mut self, summary: &Summary) {
        let losses = &mut self.losses;
        // The session's own sums have what was noticed too late for a place in the stream.
        losses.lost = losses.lost.max(total(summary.lost.values()));
        losses.missed = losses.missed.max(total(summary.missed.values()));
        losses.dropped = losses.dropped.max(total(summary.dropped.values()));
        losses.unpaired = total(summary.unpaired.values());
        losses.stacks = summary.stacks_lost;
        let asked = Family::ALL.into_iter().filter(|family| self.filter.selection.touches(*family));
        losses.emitted = total(asked.filter_map(|family| summary.emitted.get(family.name())));
        self.missing = None;
        self.watched = summary.watched();
    }
}
