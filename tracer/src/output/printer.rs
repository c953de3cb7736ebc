//! The sink that prints: names followed, filter applied, lines buffered.

use std::io::{self, Write};

use super::{Format, Line, Origin, Span};
use crate::event::{
    Decoder, Event, Family, Filter, Item, Loss, LossCause, Names, Sink, UnknownKinds, malformed, total,
};
use crate::{Error, ExitCode};

/// Bytes of lines that are collected before they are written.
const BUFFER: usize = 64 << 10;

/// The output takes no more.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the output: {0}")]
pub struct PrintError(#[from] pub io::Error);

impl From<PrintError> for Error {
    fn from(error: PrintError) -> Self {
        let cause = error.to_string();
        match error.0.kind() {
            // Its reader has seen enough (`| head`): nothing is wrong.
            io::ErrorKind::BrokenPipe => Self { cause, remedy: String::new(), code: ExitCode::Success },
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::failure(cause, "free space, or send the output elsewhere")
            }
            io::ErrorKind::AlreadyExists => {
                Self::failure(cause, "move the existing file, or choose another name")
            }
            _ => Self::failure(cause, "check that standard output is open and can be written to"),
        }
    }
}

/// What went through a [`Printer`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Events read.
    pub read: u64,
    /// Of these, printed, by [`Family`].
    pub printed: [u64; Family::COUNT],
    /// Events that are missing, by [`LossCause`].
    pub losses: [u64; 3],
    /// Whether events are missing whose number is not known.
    pub has_gap: bool,
    /// Of these, those of kinds that this version does not know.
    pub unknown: UnknownKinds,
    /// Whether any event read has a measured duration.
    pub measured: bool,
}

impl Tally {
    /// Events missing for that cause.
    pub const fn missing(&self, cause: LossCause) -> u64 {
        self.losses[cause as usize]
    }

    /// Events printed.
    pub fn total(&self) -> u64 {
        self.printed.iter().sum()
    }
}

/// Prints the items of a stream.
pub struct Printer<W: Write> {
    out: W,
    buffer: Vec<u8>,
    format: Box<dyn Format>,
    filter: Filter,
    decoder: Decoder,
    names: Names,
    start: Option<u64>,
    begun: bool,
    tally: Tally,
}

impl<W: Write> Printer<W> {
    /// Prints to `out` what `filter` admits.
    pub fn new(out: W, format: Box<dyn Format>, filter: Filter, origin: &Origin<'_>) -> Self {
        Self {
            out,
            buffer: Vec::with_capacity(BUFFER + 4096),
            format,
            filter,
            decoder: Decoder::new(origin.description),
            names: Names::default(),
            start: origin.start,
            begun: false,
            tally: Tally::default(),
        }
    }

    fn begin(&mut self) {
        if !self.begun {
            self.begun = true;
            self.format.begin(&mut self.buffer);
        }
    }

    fn write_when_full(&mut self) -> Result<(), Error> {
        if self.buffer.len() >= BUFFER {
            let result = self.out.write_all(&self.buffer);
            self.buffer.clear();
            result.map_err(PrintError)?;
        }
        Ok(())
    }

    fn since_start(&mut self, time: u64) -> u64 {
        time.saturating_sub(*self.start.get_or_insert(time))
    }

    fn event(&mut self, event: &Event) {
        let since_start = self.since_start(event.header.time);
        self.tally.read += 1;
        self.tally.measured |= self.filter.is_measured(event);
        if !self.filter.admits(event, &self.names, since_start) {
            return;
        }
        self.tally.printed[event.kind().family() as usize] += 1;
        let line = Line { event, since_start, names: &self.names, decoder: &self.decoder };
        self.format.event(&line, &mut self.buffer);
    }

    fn loss(&mut self, loss: &Loss) {
        let start = self.start.unwrap_or(loss.after);
        let before = if loss.before == u64::MAX { u64::MAX } else { loss.before.saturating_sub(start) };
        let span = Span { after: loss.after.saturating_sub(start), before };
        let count = &mut self.tally.losses[loss.cause as usize];
        *count = count.saturating_add(loss.count);
        self.tally.has_gap |= loss.count == 0;
        self.tally.unknown.add(loss);
        if self.filter.admits_loss(loss, span.after, span.before) {
            self.format.loss(loss, span, &mut self.buffer);
        }
    }

    /// Writes what is buffered, for a reader who waits for it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn flush(&mut self) -> Result<(), PrintError> {
        self.begin();
        let result = self.out.write_all(&self.buffer).and_then(|()| self.out.flush());
        self.buffer.clear();
        Ok(result?)
    }

    /// Ends the output.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish(mut self) -> Result<Tally, PrintError> {
        self.begin();
        self.format.end(&mut self.buffer);
        self.flush()?;
        Ok(self.tally)
    }
}

impl<W: Write> Sink for Printer<W> {
    fn record(&mut self, record: &[u8]) -> Result<(), Error> {
        // Not by way of an item: the event would be copied once more.
        match &Event::decode(record) {
            Ok(event) => {
                self.begin();
                self.names.follow_event(event);
                self.event(event);
                self.write_when_full()
            }
            Err(_) => self.item(&malformed()),
        }
    }

    fn item(&mut self, item: &Item) -> Result<(), Error> {
        self.begin();
        self.names.follow(item);
        match item {
            Item::Event(event) => self.event(event),
            Item::Loss(loss) => self.loss(loss),
            Item::Process(process) => self.format.process(process, &mut self.buffer),
            Item::Stack(stack) => self.format.stack(stack, &mut self.buffer),
            Item::Summary(summary) => {
                // The session's own sums have what was noticed too late for a place in the stream.
                let sums = [&summary.lost, &summary.missed, &summary.dropped];
                for (count, sums) in self.tally.losses.iter_mut().zip(sums) {
                    *count = total(sums.values()).max(*count);
                }
                self.format.summary(summary, &mut self.buffer);
            }
        }
        self.write_when_full()
    }

    fn flush(&mut self) -> Result<(), Error> {
        Ok(self.flush()?)
    }
}
