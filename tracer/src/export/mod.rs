//! A trace as other programs read it, written while it is read.
//!
//! [`Exporter`] takes the stream: it follows the names, applies the filter, and hands what is left to an
//! [`Export`], one file a [`Format`]. Every event that the filter admits is in every format exactly once, and so
//! is every loss. A [`Destination`] makes the output appear whole or not at all.
//!
//! * `perfetto`, `firefox`, `chrome`: timelines. They share `states`, which makes spans of what the events begin and end,
//!   `threads`, which tells names once, and `nesting`, which finds rows for calls;
//!   `session` is what a recording says about itself.
//! * `parquet`, `lines`: tables, a row an event.
//! * `folded`, `speedscope`: sums by `stacks`.

mod chrome;
mod destination;
mod firefox;
mod folded;
mod lines;
mod nesting;
mod parquet;
mod perfetto;
mod session;
mod speedscope;
mod stacks;
mod states;
mod threads;
#[cfg(test)]
mod timelines;

use std::io::{self, Write};

pub use destination::Destination;
pub use parquet::Partitioned;

use crate::Error;
use crate::event::Weight;
use crate::event::{
    Decoder, Event, Filter, Item, Loss, Names, ProcessEntry, Sink, StackEntry, Summary, total,
};
use crate::output::{Line, PrintError, Tally};
use crate::trace_file::FileHeader;

/// Where an export goes.
pub type Out = Box<dyn Write + Send>;

/// Writes a whole trace in one notation. What it cannot keep in memory it writes as it goes.
pub trait Export {
    /// Takes an event that the filter admits.
    ///
    /// # Errors
    /// When it cannot be written; nothing else is given to it then.
    fn event(&mut self, line: &Line<'_>) -> io::Result<()>;

    /// Takes an event that the filter leaves out, for what it ends.
    ///
    /// # Errors
    /// As [`event`](Self::event).
    fn passed(&mut self, _line: &Line<'_>) -> io::Result<()> {
        Ok(())
    }

    /// Takes events that are missing here.
    ///
    /// # Errors
    /// As [`event`](Self::event).
    fn loss(&mut self, loss: &Loss) -> io::Result<()>;

    /// Takes a thread that lived when the session began.
    ///
    /// # Errors
    /// As [`event`](Self::event).
    fn process(&mut self, _process: &ProcessEntry) -> io::Result<()> {
        Ok(())
    }

    /// Takes a stack that later events name; [`Line::names`] has it then.
    ///
    /// # Errors
    /// As [`event`](Self::event).
    fn stack(&mut self, _stack: &StackEntry) -> io::Result<()> {
        Ok(())
    }

    /// Takes the session's own end.
    ///
    /// # Errors
    /// As [`event`](Self::event).
    fn summary(&mut self, _summary: &Summary) -> io::Result<()> {
        Ok(())
    }

    /// Ends the output and flushes it; `incomplete` says why the trace is not whole.
    ///
    /// # Errors
    /// As [`event`](Self::event).
    fn finish(self: Box<Self>, incomplete: Option<&str>) -> io::Result<()>;
}

/// What a trace can be written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Perfetto's protobuf.
    Perfetto,
    /// The Firefox profiler's JSON.
    Firefox,
    /// JSON of the Trace Event Format.
    Chrome,
    /// A table with a column for every field.
    Parquet,
    /// The same as comma-separated values.
    Csv,
    /// One JSON object a line.
    Ndjson,
    /// Stacks in text, summed up by a weight.
    Folded(Weight),
    /// The same by every weight, as speedscope's JSON.
    Speedscope,
}

impl Format {
    /// Every one.
    pub const ALL: &'static [Self] = &[
        Self::Perfetto,
        Self::Firefox,
        Self::Chrome,
        Self::Parquet,
        Self::Csv,
        Self::Ndjson,
        Self::Folded(Weight::Count),
        Self::Folded(Weight::Time),
        Self::Folded(Weight::Pages),
        Self::Folded(Weight::Bytes),
        Self::Speedscope,
    ];

    /// The name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Perfetto => "perfetto",
            Self::Firefox => "firefox",
            Self::Chrome => "chrome",
            Self::Parquet => "parquet",
            Self::Csv => "csv",
            Self::Ndjson => "ndjson",
            Self::Folded(Weight::Count) => "folded",
            Self::Folded(Weight::Time) => "folded-time",
            Self::Folded(Weight::Pages) => "folded-pages",
            Self::Folded(Weight::Bytes) => "folded-bytes",
            Self::Speedscope => "speedscope",
        }
    }

    /// What it is good for, in a line.
    pub const fn about(self) -> &'static str {
        match self {
            Self::Perfetto => "timeline for ui.perfetto.dev and trace_processor's SQL, native protobuf",
            Self::Firefox => "timeline, call tree and flame graph for profiler.firefox.com",
            Self::Chrome => {
                "timeline as trace-event JSON: ui.perfetto.dev, chrome://tracing, Firefox profiler"
            }
            Self::Parquet => "table for DuckDB, Spark, Trino, ClickHouse; with --partition a fleet's layout",
            Self::Csv => "table for spreadsheets, the rows of `script --raw -x ,`",
            Self::Ndjson => "one JSON object a line, the lines of `script --raw -j`",
            Self::Folded(Weight::Count) => "stacks with their events for flamegraph.pl, inferno, Grafana",
            Self::Folded(Weight::Time) => "the same with the nanoseconds in the probed functions, none twice",
            Self::Folded(Weight::Pages) => "the same with pages",
            Self::Folded(Weight::Bytes) => "the same with bytes",
            Self::Speedscope => "stacks by each weight for speedscope.app",
        }
    }

    /// Ends of file names that mean this format and no other.
    pub const fn extensions(self) -> &'static [&'static str] {
        match self {
            Self::Perfetto => &[".pftrace", ".perfetto-trace"],
            Self::Firefox => &[".firefox.json", ".profile.json"],
            Self::Chrome => &[".chrome.json", ".trace.json"],
            Self::Parquet => &[".parquet"],
            Self::Csv => &[".csv"],
            Self::Ndjson => &[".ndjson", ".jsonl"],
            Self::Folded(Weight::Count) => &[".folded"],
            Self::Folded(Weight::Time | Weight::Pages | Weight::Bytes) => &[],
            Self::Speedscope => &[".speedscope.json", ".speedscope"],
        }
    }

    /// Whether it would confuse a terminal.
    pub const fn is_binary(self) -> bool {
        match self {
            Self::Perfetto | Self::Firefox | Self::Parquet => true,
            Self::Chrome | Self::Csv | Self::Ndjson | Self::Folded(_) | Self::Speedscope => false,
        }
    }

    /// The format of that [name](Self::name).
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|format| format.name() == name)
    }

    /// The format that the end of a file's name means.
    pub fn from_file_name(name: &str) -> Option<Self> {
        let ends = |format: &Self| format.extensions().iter().any(|extension| name.ends_with(extension));
        Self::ALL.iter().copied().find(ends)
    }

    /// Begins an export of the trace with this header.
    ///
    /// # Errors
    /// When its beginning cannot be written.
    pub fn begin(self, header: &FileHeader, out: Out) -> io::Result<Box<dyn Export>> {
        Ok(match self {
            Self::Perfetto => Box::new(perfetto::Perfetto::new(header, out)),
            Self::Firefox => Box::new(firefox::Firefox::new(header, out)),
            Self::Chrome => Box::new(chrome::Chrome::new(header, out)?),
            Self::Parquet => Box::new(parquet::Parquet::new(header, out)?),
            Self::Csv => Box::new(lines::Lines::csv(out)),
            Self::Ndjson => Box::new(lines::Lines::ndjson(header, out)),
            Self::Folded(weight) => Box::new(stacks::Stacks::new(header, out, move |profile, out| {
                folded::write(profile, weight, out)
            })),
            Self::Speedscope => Box::new(stacks::Stacks::new(header, out, speedscope::write)),
        })
    }
}

/// Feeds an [`Export`] from a stream.
pub struct Exporter {
    export: Box<dyn Export>,
    filter: Filter,
    decoder: Decoder,
    names: Names,
    start: Option<u64>,
    tally: Tally,
}

impl Exporter {
    /// Exports what `filter` admits of the trace with this header.
    pub fn new(export: Box<dyn Export>, filter: Filter, header: &FileHeader) -> Self {
        Self {
            export,
            filter,
            decoder: Decoder::new(&header.kernel),
            names: Names::default(),
            start: None,
            tally: Tally::default(),
        }
    }

    fn event(&mut self, event: &Event) -> io::Result<()> {
        let time = event.header.time;
        let since_start = time.saturating_sub(*self.start.get_or_insert(time));
        self.tally.read += 1;
        self.tally.measured |= self.filter.is_measured(event);
        let line = Line { event, since_start, names: &self.names, decoder: &self.decoder };
        if !self.filter.admits(event, &self.names, since_start) {
            return self.export.passed(&line);
        }
        self.tally.printed[event.kind().family() as usize] += 1;
        self.export.event(&line)
    }

    fn loss(&mut self, loss: &Loss) -> io::Result<()> {
        let count = &mut self.tally.losses[loss.cause as usize];
        *count = count.saturating_add(loss.count);
        self.tally.has_gap |= loss.count == 0;
        self.tally.unknown.add(loss);
        let start = self.start.unwrap_or(loss.after);
        let before = if loss.before == u64::MAX { u64::MAX } else { loss.before.saturating_sub(start) };
        if self.filter.admits_loss(loss, loss.after.saturating_sub(start), before) {
            self.export.loss(loss)?;
        }
        Ok(())
    }

    fn take(&mut self, item: &Item) -> io::Result<()> {
        self.names.follow(item);
        match item {
            Item::Event(event) => self.event(event),
            Item::Loss(loss) => self.loss(loss),
            Item::Process(process) => self.export.process(process),
            Item::Stack(stack) => self.export.stack(stack),
            Item::Summary(summary) => {
                // The session's own sums have what was noticed too late for a place in the stream.
                let sums = [&summary.lost, &summary.missed, &summary.dropped];
                for (missing, sums) in self.tally.losses.iter_mut().zip(sums) {
                    *missing = (*missing).max(total(sums.values()));
                }
                self.export.summary(summary)
            }
        }
    }

    /// Ends the output and says what is in it; `incomplete` says why the trace is not whole.
    ///
    /// # Errors
    /// When anything could not be written.
    pub fn finish(self, incomplete: Option<&str>) -> Result<Tally, PrintError> {
        self.export.finish(incomplete)?;
        Ok(self.tally)
    }
}

impl Sink for Exporter {
    fn record(&mut self, record: &[u8]) -> Result<(), Error> {
        // Not by way of an item: the event would be copied once more.
        match &Event::decode(record) {
            Ok(event) => {
                self.names.follow_event(event);
                Ok(self.event(event).map_err(PrintError)?)
            }
            Err(_) => Ok(()),
        }
    }

    fn item(&mut self, item: &Item) -> Result<(), Error> {
        Ok(self.take(item).map_err(PrintError)?)
    }
}
