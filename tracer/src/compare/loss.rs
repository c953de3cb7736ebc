//! How many events of each family are missing from a run.

use std::collections::BTreeMap;

use crate::event::{Family, Loss, LossCause, Summary, total};

/// What is missing, by family.
#[derive(Clone, Debug, Default)]
pub struct Missing {
    /// From loss items, by cause and family; the last place of a row is for an unknown family.
    counts: [[u64; Family::COUNT + 1]; 3],
    unpaired: [u64; Family::COUNT + 1],
}

impl Missing {
    /// Adds a loss of the stream.
    pub fn add(&mut self, loss: &Loss) {
        let family = loss.family().map_or(Family::COUNT, |family| family as usize);
        let count = &mut self.counts[loss.cause as usize][family];
        *count = count.saturating_add(loss.count);
    }

    /// Takes the session's own sums, which include what the stream has no place for.
    pub fn sum(&mut self, summary: &Summary) {
        for (cause, counts) in [
            (LossCause::Lost, &summary.lost),
            (LossCause::Missed, &summary.missed),
            (LossCause::Dropped, &summary.dropped),
        ] {
            raise(&mut self.counts[cause as usize], counts);
        }
        raise(&mut self.unpaired, &summary.unpaired);
    }

    /// Events of one cause in all.
    pub fn of_cause(&self, cause: LossCause) -> u64 {
        total(self.counts[cause as usize])
    }

    /// Calls of which one end was not seen.
    pub fn unpaired(&self) -> u64 {
        total(self.unpaired)
    }

    /// Events of a family that are missing, at most: those of unknown family may all belong to it.
    pub fn of_family(&self, family: Family) -> u64 {
        let of = |counts: &[u64]| counts[family as usize].saturating_add(counts[Family::COUNT]);
        self.counts.iter().chain([&self.unpaired]).fold(0, |sum, counts| sum.saturating_add(of(counts)))
    }
}

fn raise(counts: &mut [u64; Family::COUNT + 1], sums: &BTreeMap<String, u64>) {
    for (name, sum) in sums {
        let family = Family::from_name(name).map_or(Family::COUNT, |family| family as usize);
        counts[family] = counts[family].max(*sum);
    }
}
