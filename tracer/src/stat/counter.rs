//! The sink that counts, and prints what it counted.

use std::io::Write;
use std::time::Duration;

use super::Reading;
use super::counts::{Counts, Losses};
use super::question::Question;
use super::shown::Shown;
use crate::Error;
use crate::event::{Event, Filter, Item, Sink, malformed};
use crate::kernel::Description;
use crate::output::PrintError;

/// How a stream is cut into pieces that are shown one by one.
#[derive(Clone, Copy, Debug)]
struct Intervals {
    length: u64,
    /// Where the one that is open began and ends, in nanoseconds since the beginning.
    begin: u64,
    end: u64,
}

/// Counts a stream, and prints what it counted.
pub struct Counter<W: Write> {
    out: W,
    shown: Shown,
    counts: Counts,
    intervals: Option<Intervals>,
    is_live: bool,
    start: Option<u64>,
    last: u64,
    begun: bool,
}

impl<W: Write> Counter<W> {
    /// Counts what `filter` admits, of a session on that kernel. With an interval it prints what came in each, otherwise
    /// at the end.
    pub fn new(
        out: W,
        shown: Shown,
        question: Question,
        filter: Filter,
        kernel: &Description,
        interval: Option<Duration>,
        is_live: bool,
    ) -> Self {
        let length = |interval: Duration| u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX).max(1);
        Self {
            out,
            shown,
            counts: Counts::new(question, filter, kernel),
            intervals: interval.map(length).map(|length| Intervals { length, begin: 0, end: length }),
            is_live,
            start: None,
            last: 0,
            begun: false,
        }
    }

    /// Prints what is left to be printed, and says what is missing.
    ///
    /// # Errors
    /// When the output takes no more.
    pub fn finish(mut self) -> Result<Losses, Error> {
        let watched = self.counts.watched();
        // The last reading came after the programs were detached, which takes its time.
        let begin = self.intervals.map_or(0, |intervals| intervals.begin);
        let end = if self.is_live && watched > 0 { watched.max(begin) } else { self.last };
        match self.intervals {
            Some(intervals) => self.print(Some(end), end.saturating_sub(intervals.begin).max(1))?,
            None => self.print(None, watched)?,
        }
        let losses = self.counts.losses();
        let mut text = Vec::new();
        self.shown.end(&self.counts.sheet(Vec::new(), None, 0), &losses, &mut text);
        self.write(&text)?;
        Ok(losses)
    }

    /// Counts an event, and ends the intervals that it is behind, where the stream's own times cut it.
    fn event(&mut self, event: &Event) -> Result<(), Error> {
        let now = event.header.time.saturating_sub(*self.start.get_or_insert(event.header.time));
        if !self.is_live {
            self.last = self.last.max(now);
            while let Some(intervals) = self.intervals.filter(|intervals| now >= intervals.end) {
                self.print(Some(intervals.end), intervals.length)?;
                // Of a gap only the first interval is shown.
                let passed = (now - intervals.begin) / intervals.length;
                let begin = intervals.begin + passed * intervals.length;
                self.intervals =
                    Some(Intervals { begin, end: begin.saturating_add(intervals.length), ..intervals });
            }
        }
        self.counts.follow_event(event);
        self.counts.event(event, now);
        Ok(())
    }

    /// Prints what was counted; with a time only what was not printed before.
    fn print(&mut self, at: Option<u64>, span: u64) -> Result<(), Error> {
        let mut rows = self.counts.rows();
        if at.is_some() {
            rows = self.counts.since_last(&rows);
            rows.retain(|(_, cell)| cell.count > 0);
        }
        let mut text = Vec::new();
        let begins = !std::mem::replace(&mut self.begun, true);
        let sheet = self.counts.sheet(rows, at, span);
        if begins {
            self.shown.begin(&sheet, at.is_some(), &mut text);
        }
        self.shown.sheet(&sheet, begins, &mut text);
        self.write(&text)
    }

    fn write(&mut self, text: &[u8]) -> Result<(), Error> {
        Ok(self.out.write_all(text).and_then(|()| self.out.flush()).map_err(PrintError)?)
    }
}

impl<W: Write> Sink for Counter<W> {
    fn record(&mut self, record: &[u8]) -> Result<(), Error> {
        match &Event::decode(record) {
            Ok(event) => self.event(event),
            Err(_) => self.item(&malformed()),
        }
    }

    fn item(&mut self, item: &Item) -> Result<(), Error> {
        match item {
            Item::Event(event) => self.event(event)?,
            _ => self.counts.item(item),
        }
        Ok(())
    }

    fn counts(&mut self, reading: &Reading) -> Result<(), Error> {
        self.last = reading.at;
        self.counts.reading(reading);
        if reading.ends_interval
            && let Some(intervals) = self.intervals
        {
            self.print(Some(reading.at), reading.at.saturating_sub(intervals.begin))?;
            let end = reading.at.saturating_add(intervals.length);
            self.intervals = Some(Intervals { begin: reading.at, end, ..intervals });
        }
        Ok(())
    }
}
