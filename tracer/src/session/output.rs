//! Where a live session's stream goes.

use crate::Error;
use crate::event::{Event, Item, Loss, LossCause, ProcessEntry, Sink, StackEntry, Summary};

/// Takes the stream of a live session, records undecoded: a trace file holds them as they are.
pub trait Output {
    /// Takes one whole record.
    ///
    /// # Errors
    /// When it cannot be kept; the session ends then.
    fn record(&mut self, record: &[u8]) -> Result<(), Error>;

    /// Takes a loss, in its place among the records.
    ///
    /// # Errors
    /// As [`Output::record`].
    fn loss(&mut self, loss: &Loss) -> Result<(), Error>;

    /// Takes a thread that lives at the beginning.
    ///
    /// # Errors
    /// As [`Output::record`].
    fn process(&mut self, process: &ProcessEntry) -> Result<(), Error>;

    /// Takes a stack, before the first record that names it.
    ///
    /// # Errors
    /// As [`Output::record`].
    fn stack(&mut self, stack: &StackEntry) -> Result<(), Error>;

    /// Lets what was taken so far out of this process. Called about once a second.
    ///
    /// # Errors
    /// As [`Output::record`].
    fn flush(&mut self) -> Result<(), Error>;

    /// Takes the end.
    ///
    /// # Errors
    /// As [`Output::record`].
    fn finish(&mut self, summary: &Summary) -> Result<(), Error>;
}

/// A sink of items as the output of a live session.
pub struct Decoded<S> {
    sink: S,
    /// Called when a flush is due.
    flush: fn(&mut S) -> Result<(), Error>,
    malformed: u64,
}

impl<S: Sink> Decoded<S>
where
    S::Error: Into<Error>,
{
    /// Wraps a sink; `flush` lets out what it holds back.
    pub fn new(sink: S, flush: fn(&mut S) -> Result<(), Error>) -> Self {
        Self { sink, flush, malformed: 0 }
    }

    /// The sink.
    pub fn into_inner(self) -> S {
        self.sink
    }

    fn take(&mut self, item: Item) -> Result<(), Error> {
        self.sink.take(&item).map_err(Into::into)
    }

    /// Records that could not be decoded, as a loss; our own programs send none.
    fn report_malformed(&mut self) -> Result<(), Error> {
        match std::mem::take(&mut self.malformed) {
            0 => Ok(()),
            count => self.take(Item::Loss(Loss {
                cause: LossCause::Dropped,
                family: None,
                count,
                after: 0,
                before: u64::MAX,
            })),
        }
    }
}

impl<S: Sink> Output for Decoded<S>
where
    S::Error: Into<Error>,
{
    fn record(&mut self, record: &[u8]) -> Result<(), Error> {
        match Event::decode(record) {
            Ok(event) => self.take(Item::Event(event)),
            Err(_) => {
                self.malformed += 1;
                Ok(())
            }
        }
    }

    fn loss(&mut self, loss: &Loss) -> Result<(), Error> {
        self.take(Item::Loss(*loss))
    }

    fn process(&mut self, process: &ProcessEntry) -> Result<(), Error> {
        self.take(Item::Process(process.clone()))
    }

    fn stack(&mut self, stack: &StackEntry) -> Result<(), Error> {
        self.take(Item::Stack(stack.clone()))
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.report_malformed()?;
        (self.flush)(&mut self.sink)
    }

    fn finish(&mut self, summary: &Summary) -> Result<(), Error> {
        self.report_malformed()?;
        self.take(Item::Summary(summary.clone()))?;
        (self.flush)(&mut self.sink)
    }
}

impl<W: std::io::Write> Output for crate::trace_file::Writer<W> {
    fn record(&mut self, record: &[u8]) -> Result<(), Error> {
        Ok(self.event_bytes(record)?)
    }

    fn loss(&mut self, loss: &Loss) -> Result<(), Error> {
        Ok(self.loss(loss)?)
    }

    fn process(&mut self, process: &ProcessEntry) -> Result<(), Error> {
        Ok(self.process(process)?)
    }

    fn stack(&mut self, stack: &StackEntry) -> Result<(), Error> {
        Ok(self.stack(stack)?)
    }

    fn flush(&mut self) -> Result<(), Error> {
        Ok(self.flush()?)
    }

    fn finish(&mut self, summary: &Summary) -> Result<(), Error> {
        Ok(self.finish(summary)?)
    }
}
