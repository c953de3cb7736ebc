//! The way of a stream, live or from a file, to whatever prints, writes, sums up or judges it.

use super::{Event, Item, Loss, LossCause};
use crate::Error;
use crate::stat::Reading;

/// Takes a stream as it is stored, records undecoded: who needs few kinds decodes few, and a file holds the bytes.
pub trait Sink {
    /// Takes one whole record.
    ///
    /// # Errors
    /// When it cannot be kept or printed; the stream ends then.
    fn record(&mut self, record: &[u8]) -> Result<(), Error>;

    /// Takes several at once, as [`Sink::record`] would one by one. The programs' buffers hold long runs, and what is
    /// done once for a run need not be done for each record.
    ///
    /// # Errors
    /// As [`Sink::record`].
    #[inline]
    fn run(&mut self, run: Run<'_>) -> Result<(), Error> {
        run.records().try_for_each(|record| self.record(record))
    }

    /// Takes anything else, in its place among the records; the summary is the last. An event that is decoded already is
    /// taken as its record.
    ///
    /// # Errors
    /// As [`Sink::record`].
    fn item(&mut self, item: &Item) -> Result<(), Error>;

    /// Takes what the programs of a session that [counts](crate::stat) counted so far.
    ///
    /// # Errors
    /// As [`Sink::record`].
    fn counts(&mut self, _reading: &Reading) -> Result<(), Error> {
        Ok(())
    }

    /// Lets what was taken so far out of this process. A live session calls it about once a second.
    ///
    /// # Errors
    /// As [`Sink::record`].
    fn flush(&mut self) -> Result<(), Error> {
        Ok(())
    }

    /// Why the stream may end now, when all that is wanted of it was seen. A live session is ended in order then: what
    /// still comes is taken.
    fn enough(&self) -> Option<&'static str> {
        None
    }

    /// Whether the command of a live session that ends goes on: another session takes it over.
    fn leaves_command(&self) -> bool {
        false
    }
}

/// Records of one kind, one after the other without a gap.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a> {
    kind: u16,
    size: usize,
    bytes: &'a [u8],
}

impl<'a> Run<'a> {
    /// Whole records of `size` bytes, which is not 0, with that number of their kind.
    pub fn new(kind: u16, size: usize, bytes: &'a [u8]) -> Self {
        debug_assert!(size > 0 && bytes.len().is_multiple_of(size));
        Self { kind, size, bytes }
    }

    /// The number of their kind, as in their headers.
    pub const fn kind(&self) -> u16 {
        self.kind
    }

    /// Bytes of each.
    pub const fn size(&self) -> usize {
        self.size
    }

    /// All of them.
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// How many there are.
    pub const fn count(&self) -> usize {
        self.bytes.len() / self.size
    }

    /// One by one.
    pub fn records(&self) -> impl Iterator<Item = &'a [u8]> {
        self.bytes.chunks_exact(self.size)
    }
}

/// What stands for a record that cannot be decoded; our own programs send none.
pub const fn malformed() -> Item {
    Item::Loss(Loss {
        cause: LossCause::Dropped,
        family: None,
        count: 1,
        after: 0,
        before: u64::MAX,
        kind: None,
    })
}

/// A record as the item that it is; one that cannot be decoded is lost.
#[inline]
pub fn decoded(record: &[u8]) -> Item {
    Event::decode(record).map_or_else(|_| malformed(), Item::Event)
}

/// Hands everything to both, to the first one first.
impl<A: Sink, B: Sink> Sink for (A, B) {
    #[inline]
    fn record(&mut self, record: &[u8]) -> Result<(), Error> {
        self.0.record(record)?;
        self.1.record(record)
    }

    #[inline]
    fn run(&mut self, run: Run<'_>) -> Result<(), Error> {
        self.0.run(run)?;
        self.1.run(run)
    }

    fn item(&mut self, item: &Item) -> Result<(), Error> {
        self.0.item(item)?;
        self.1.item(item)
    }

    fn counts(&mut self, reading: &Reading) -> Result<(), Error> {
        self.0.counts(reading)?;
        self.1.counts(reading)
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.0.flush()?;
        self.1.flush()
    }

    fn enough(&self) -> Option<&'static str> {
        self.0.enough().or_else(|| self.1.enough())
    }
}

/// One that is asked for only now and then.
impl<S: Sink> Sink for Option<S> {
    #[inline]
    fn record(&mut self, record: &[u8]) -> Result<(), Error> {
        self.as_mut().map_or(Ok(()), |sink| sink.record(record))
    }

    #[inline]
    fn run(&mut self, run: Run<'_>) -> Result<(), Error> {
        self.as_mut().map_or(Ok(()), |sink| sink.run(run))
    }

    fn item(&mut self, item: &Item) -> Result<(), Error> {
        self.as_mut().map_or(Ok(()), |sink| sink.item(item))
    }

    fn counts(&mut self, reading: &Reading) -> Result<(), Error> {
        self.as_mut().map_or(Ok(()), |sink| sink.counts(reading))
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.as_mut().map_or(Ok(()), S::flush)
    }

    fn enough(&self) -> Option<&'static str> {
        self.as_ref().and_then(Sink::enough)
    }
}

/// A sink that others must not suffer for: its first failure is kept, and it takes nothing more.
#[derive(Debug)]
pub struct Tolerated<S> {
    sink: S,
    failure: Option<Error>,
}

impl<S: Sink> Tolerated<S> {
    /// Wraps a sink.
    pub const fn new(sink: S) -> Self {
        Self { sink, failure: None }
    }

    /// The sink.
    ///
    /// # Errors
    /// Its failure.
    pub fn into_inner(self) -> Result<S, Error> {
        match self.failure {
            Some(failure) => Err(failure),
            None => Ok(self.sink),
        }
    }

    fn attempt(&mut self, take: impl FnOnce(&mut S) -> Result<(), Error>) -> Result<(), Error> {
        if self.failure.is_none() {
            self.failure = take(&mut self.sink).err();
        }
        Ok(())
    }
}

impl<S: Sink> Sink for Tolerated<S> {
    fn record(&mut self, record: &[u8]) -> Result<(), Error> {
        self.attempt(|sink| sink.record(record))
    }

    fn run(&mut self, run: Run<'_>) -> Result<(), Error> {
        self.attempt(|sink| sink.run(run))
    }

    fn item(&mut self, item: &Item) -> Result<(), Error> {
        self.attempt(|sink| sink.item(item))
    }

    fn counts(&mut self, reading: &Reading) -> Result<(), Error> {
        self.attempt(|sink| sink.counts(reading))
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.attempt(S::flush)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{ProcessEntry, StackEntry, Summary};

    /// Counts what it takes, and takes so many.
    struct Counter {
        taken: u64,
        room: u64,
    }

    impl Sink for Counter {
        fn record(&mut self, _: &[u8]) -> Result<(), Error> {
            if self.taken == self.room {
                return Err(Error::failure("full", "make room"));
            }
            self.taken += 1;
            Ok(())
        }

        fn item(&mut self, _: &Item) -> Result<(), Error> {
            self.record(&[])
        }

        fn enough(&self) -> Option<&'static str> {
            (self.taken > 2).then_some("three")
        }
    }

    fn feed(sink: &mut impl Sink) -> Result<(), Error> {
        sink.item(&Item::Process(ProcessEntry { pid: 1, tid: 1, parent: 0, comm: String::new() }))?;
        sink.item(&Item::Stack(StackEntry { id: 0, frames: Vec::new() }))?;
        sink.record(&[])?;
        sink.item(&malformed())?;
        sink.flush()?;
        sink.item(&Item::Summary(Summary::default()))
    }

    #[test]
    fn both_take_everything() {
        let mut both = (Counter { taken: 0, room: 9 }, Counter { taken: 0, room: 9 });
        assert_eq!(both.enough(), None);
        feed(&mut both).expect("room for all");
        assert_eq!((both.0.taken, both.1.taken, both.enough()), (5, 5, Some("three")));
        assert!(feed(&mut (Counter { taken: 0, room: 9 }, Counter { taken: 0, room: 3 })).is_err());
    }

    #[test]
    fn a_tolerated_sink_fails_alone() {
        let mut both = (Tolerated::new(Some(Counter { taken: 0, room: 2 })), Counter { taken: 0, room: 9 });
        feed(&mut both).expect("the second has room");
        assert_eq!(both.1.taken, 5);
        assert_eq!(both.0.into_inner().err().map(|error| error.cause).as_deref(), Some("full"));
        let mut none = Tolerated::new(None::<Counter>);
        feed(&mut none).expect("nothing can fail");
        assert!(none.into_inner().is_ok_and(|sink| sink.is_none()));
    }
}
