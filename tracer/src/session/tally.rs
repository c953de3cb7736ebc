//! Counts of events by kind.

use std::collections::BTreeMap;

use tracer_common::event::Kind;
use tracer_common::family::Family;

/// Kinds have numbers below this: a family in the high byte.
const NUMBERS: usize = Family::COUNT << 8;

/// How many events of each kind passed.
pub struct Tally {
    counts: Box<[u64; NUMBERS]>,
}

impl Tally {
    /// None yet.
    pub fn new() -> Self {
        Self { counts: Box::new([0; NUMBERS]) }
    }

    /// Counts one event by the number in its header.
    pub fn count(&mut self, kind: u16) {
        if let Some(count) = self.counts.get_mut(usize::from(kind)) {
            *count += 1;
        }
    }

    /// The counts with the kinds' names; kinds at zero are left out.
    pub fn by_name(&self) -> BTreeMap<String, u64> {
        Kind::ALL
            .iter()
            .map(|kind| (kind.name().to_owned(), self.counts[*kind as usize]))
            .filter(|(_, count)| *count > 0)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_by_name() {
        let mut tally = Tally::new();
        tally.count(Kind::TryToUnmap as u16);
        tally.count(Kind::TryToUnmap as u16);
        tally.count(Kind::SwiotlbFree as u16);
        tally.count(u16::MAX);
        assert_eq!(
            tally.by_name().into_iter().collect::<Vec<_>>(),
            [("swiotlb_free".to_owned(), 1), ("try_to_unmap".to_owned(), 2)]
        );
    }
}
