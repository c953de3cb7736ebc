//! Where a live session's stream goes.

use crate::Error;
use crate::event::{Collect, Event, Item, Loss, LossCause, ProcessEntry, Sink, StackEntry, Summary};

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

    /// Why the session should end now, when it has all that it wants. It is ended in order then: what still
    /// comes is taken.
    fn enough(&self) -> Option<&'static str> {
        None
    }
}

/// Hands everything to both, to the first one first.
#[derive(Debug)]
pub struct Tee<A, B>(pub A, pub B);

impl<A: Output, B: Output> Output for Tee<A, B> {
    fn record(&mut self, record: &[u8]) -> Result<(), Error> {
        self.0.record(record)?;
        self.1.record(record)
    }

    fn loss(&mut self, loss: &Loss) -> Result<(), Error> {
        self.0.loss(loss)?;
        self.1.loss(loss)
    }

    fn process(&mut self, process: &ProcessEntry) -> Result<(), Error> {
        self.0.process(process)?;
        self.1.process(process)
    }

    fn stack(&mut self, stack: &StackEntry) -> Result<(), Error> {
        self.0.stack(stack)?;
        self.1.stack(stack)
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.0.flush()?;
        self.1.flush()
    }

    fn finish(&mut self, summary: &Summary) -> Result<(), Error> {
        self.0.finish(summary)?;
        self.1.finish(summary)
    }

    fn enough(&self) -> Option<&'static str> {
        self.0.enough().or_else(|| self.1.enough())
    }
}

/// A live session's stream for something that sums it up.
#[derive(Debug)]
pub struct Collected<C>(pub C);

impl<C: Collect> Output for Collected<C> {
    fn record(&mut self, record: &[u8]) -> Result<(), Error> {
        self.0.record(record);
        Ok(())
    }

    fn loss(&mut self, loss: &Loss) -> Result<(), Error> {
        self.0.item(&Item::Loss(*loss));
        Ok(())
    }

    fn process(&mut self, process: &ProcessEntry) -> Result<(), Error> {
        self.0.item(&Item::Process(process.clone()));
        Ok(())
    }

    fn stack(&mut self, stack: &StackEntry) -> Result<(), Error> {
        self.0.item(&Item::Stack(stack.clone()));
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Error> {
        Ok(())
    }

    fn finish(&mut self, summary: &Summary) -> Result<(), Error> {
        self.0.item(&Item::Summary(summary.clone()));
        Ok(())
    }

    fn enough(&self) -> Option<&'static str> {
        self.0.enough()
    }
}

/// An output that others must not suffer for: its first failure is kept, and it takes nothing more.
#[derive(Debug)]
pub struct Tolerated<O> {
    output: Option<O>,
    failure: Option<Error>,
}

impl<O: Output> Tolerated<O> {
    /// Wraps an output; `None` takes nothing from the beginning.
    pub const fn new(output: Option<O>) -> Self {
        Self { output, failure: None }
    }

    /// The output.
    ///
    /// # Errors
    /// Its failure.
    pub fn into_inner(self) -> Result<Option<O>, Error> {
        match self.failure {
            Some(failure) => Err(failure),
            None => Ok(self.output),
        }
    }

    fn attempt(&mut self, take: impl FnOnce(&mut O) -> Result<(), Error>) -> Result<(), Error> {
        if self.failure.is_none()
            && let Some(output) = &mut self.output
        {
            self.failure = take(output).err();
        }
        Ok(())
    }
}

impl<O: Output> Output for Tolerated<O> {
    fn record(&mut self, record: &[u8]) -> Result<(), Error> {
        self.attempt(|output| output.record(record))
    }

    fn loss(&mut self, loss: &Loss) -> Result<(), Error> {
        self.attempt(|output| output.loss(loss))
    }

    fn process(&mut self, process: &ProcessEntry) -> Result<(), Error> {
        self.attempt(|output| output.process(process))
    }

    fn stack(&mut self, stack: &StackEntry) -> Result<(), Error> {
        self.attempt(|output| output.stack(stack))
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.attempt(O::flush)
    }

    fn finish(&mut self, summary: &Summary) -> Result<(), Error> {
        self.attempt(|output| output.finish(summary))
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts what it takes, and takes so many.
    struct Counter {
        taken: u64,
        room: u64,
    }

    impl Counter {
        fn take(&mut self) -> Result<(), Error> {
            if self.taken == self.room {
                return Err(Error::failure("full", "make room"));
            }
            self.taken += 1;
            Ok(())
        }
    }

    impl Output for Counter {
        fn record(&mut self, _: &[u8]) -> Result<(), Error> {
            self.take()
        }

        fn loss(&mut self, _: &Loss) -> Result<(), Error> {
            self.take()
        }

        fn process(&mut self, _: &ProcessEntry) -> Result<(), Error> {
            self.take()
        }

        fn stack(&mut self, _: &StackEntry) -> Result<(), Error> {
            self.take()
        }

        fn flush(&mut self) -> Result<(), Error> {
            Ok(())
        }

        fn finish(&mut self, _: &Summary) -> Result<(), Error> {
            self.take()
        }

        fn enough(&self) -> Option<&'static str> {
            (self.taken > 2).then_some("three")
        }
    }

    fn feed<O: Output>(output: &mut O) -> Result<(), Error> {
        output.process(&ProcessEntry { pid: 1, tid: 1, parent: 0, comm: String::new() })?;
        output.stack(&StackEntry { id: 0, frames: Vec::new() })?;
        output.record(&[])?;
        output.loss(&Loss { cause: LossCause::Lost, family: None, count: 1, after: 0, before: 0 })?;
        output.flush()?;
        output.finish(&Summary::default())
    }

    #[test]
    fn both_take_everything() {
        let mut tee = Tee(Counter { taken: 0, room: 9 }, Counter { taken: 0, room: 9 });
        assert_eq!(tee.enough(), None);
        feed(&mut tee).expect("room for all");
        assert_eq!((tee.0.taken, tee.1.taken, tee.enough()), (5, 5, Some("three")));
        assert!(feed(&mut Tee(Counter { taken: 0, room: 9 }, Counter { taken: 0, room: 3 })).is_err());
    }

    #[test]
    fn a_tolerated_output_fails_alone() {
        let mut tee = Tee(Tolerated::new(Some(Counter { taken: 0, room: 2 })), Counter { taken: 0, room: 9 });
        feed(&mut tee).expect("the second has room");
        assert_eq!(tee.1.taken, 5);
        assert_eq!(tee.0.into_inner().err().map(|error| error.cause).as_deref(), Some("full"));
        let mut none = Tolerated::<Counter>::new(None);
        feed(&mut none).expect("nothing can fail");
        assert!(none.into_inner().is_ok_and(|output| output.is_none()));
    }
}
