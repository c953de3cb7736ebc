//! The way of a stream to those that sum it up.

use super::Item;

/// Takes a stream as it is stored, records undecoded: who needs few kinds decodes few. Summing up cannot fail.
pub trait Collect {
    /// Takes one whole record.
    fn record(&mut self, record: &[u8]);

    /// Takes anything that is no record, in its place among the records.
    fn item(&mut self, item: &Item);

    /// Why the stream may end now, when all that is wanted of it was seen.
    fn enough(&self) -> Option<&'static str> {
        None
    }
}

/// Hands everything to both, to the first one first.
impl<A: Collect, B: Collect> Collect for (A, B) {
    fn record(&mut self, record: &[u8]) {
        self.0.record(record);
        self.1.record(record);
    }

    fn item(&mut self, item: &Item) {
        self.0.item(item);
        self.1.item(item);
    }

    fn enough(&self) -> Option<&'static str> {
        self.0.enough().or_else(|| self.1.enough())
    }
}

/// One that is asked for only now and then.
impl<C: Collect> Collect for Option<C> {
    fn record(&mut self, record: &[u8]) {
        if let Some(collect) = self {
            collect.record(record);
        }
    }

    fn item(&mut self, item: &Item) {
        if let Some(collect) = self {
            collect.item(item);
        }
    }

    fn enough(&self) -> Option<&'static str> {
        self.as_ref().and_then(Collect::enough)
    }
}
