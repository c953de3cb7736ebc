//! Counts of events by kind.

use std::collections::BTreeMap;

use tracer_common::event::Kind;
use tracer_common::family::Family;

/// Kinds have numbers below this: a family in the high byte.
const NUMBERS: usize = Family::COUNT << 8;

/// How many events of each kind passed.
pub struct Tally {
    counts: Box<[u64; NUMBERS]>,
    counted: BTreeMap<Kind, u64>,
}

impl Tally {
    /// None yet.
    pub fn new() -> Self {
        Self { counts: Box::new([0; NUMBERS]), counted: BTreeMap::new() }
    }

    /// Counts so many events by the number in their headers.
    pub fn count(&mut self, kind: u16, number: usize) {
        if let Some(count) = self.counts.get_mut(usize::from(kind)) {
            *count += number as u64;
        }
    }

    /// Events of a family.
    pub fn of(&self, family: Family) -> u64 {
        let start = (family as usize) << 8;
        let counted =
            self.counted.iter().filter(|(kind, _)| kind.family() == family).map(|(_, count)| *count);
        self.counts[start..start + (1 << 8)].iter().copied().chain(counted).sum()
    }

    /// What the programs counted themselves, of kinds that never pass here.
    pub fn set_counted(&mut self, counted: impl Iterator<Item = (Kind, u64)>) {
        self.counted.clear();
        for (kind, count) in counted {
            *self.counted.entry(kind).or_default() += count;
        }
    }

    /// The counts with the kinds' names; kinds at zero are left out.
    pub fn by_name(&self) -> BTreeMap<String, u64> {
        Kind::ALL
            .iter()
            .map(|kind| {
                let counted = self.counted.get(kind).copied().unwrap_or(0);
                (kind.name().to_owned(), self.counts[*kind as usize] + counted)
            })
            .filter(|(_, count)| *count > 0)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_programs_counted_is_among_the_events() {
        let mut tally = Tally::new();
        tally.count(Kind::ProcessFork as u16, 3);
        tally.set_counted([(Kind::TryToUnmap, 1)].into_iter());
        tally
            .set_counted([(Kind::TryToUnmap, 2), (Kind::TryToUnmap, 5), (Kind::TryToMigrate, 1)].into_iter());
        assert_eq!((tally.of(Family::Process), tally.of(Family::Rmap), tally.of(Family::Fork)), (3, 8, 0));
        assert_eq!(tally.by_name()["try_to_unmap"], 7);
    }

    #[test]
    fn counts_by_name() {
        let mut tally = Tally::new();
        tally.count(Kind::TryToUnmap as u16, 2);
        tally.count(Kind::SwiotlbFree as u16, 1);
        tally.count(u16::MAX, 1);
        assert_eq!((tally.of(Family::Rmap), tally.of(Family::Swiotlb), tally.of(Family::Fork)), (2, 1, 0));
        assert_eq!(
            tally.by_name().into_iter().collect::<Vec<_>>(),
            [("swiotlb_free".to_owned(), 1), ("try_to_unmap".to_owned(), 2)]
        );
    }
}
