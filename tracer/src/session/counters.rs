//! What the programs counted, and the loss that it shows.

use std::collections::BTreeMap;

use tracer_common::counters::Counters;
use tracer_common::family::Family;
use tracer_common::point::Point;

use crate::event::{Loss, LossCause};

/// Says of the programs' counters what is new.
pub struct CounterReader {
    last: Counters,
    /// What was counted while the probes were being attached. Calls that were seen at one end only began before,
    /// and their ends are no loss; a point that was attached early has hits that one attached late cannot have.
    before: Counters,
    /// When the counters were read last, `CLOCK_MONOTONIC` nanoseconds.
    read_at: u64,
}

impl CounterReader {
    /// Nothing is counted yet.
    pub const fn new(now: u64) -> Self {
        Self { last: Counters::ZERO, before: Counters::ZERO, read_at: now }
    }

    /// Every probe is attached, and what is to be watched begins now, with these sums.
    pub const fn begin(&mut self, totals: Counters) {
        self.before = totals;
    }

    /// Calls since then that were seen at one end only, of these sums.
    pub fn unpaired(&self, totals: &Counters) -> [u64; Family::COUNT] {
        std::array::from_fn(|family| totals.unpaired[family].saturating_sub(self.before.unpaired[family]))
    }

    /// Hits of a point since then, of these sums.
    pub fn hits(&self, totals: &Counters, point: Point) -> u64 {
        totals.hits[point as usize].saturating_sub(self.before.hits[point as usize])
    }

    /// What was lost since the last time, by family, of these sums.
    pub fn losses(&mut self, totals: Counters, now: u64) -> Vec<Loss> {
        let losses = Family::ALL
            .into_iter()
            .filter_map(|family| {
                let count = totals.lost[family as usize] - self.last.lost[family as usize];
                (count != 0).then_some(Loss {
                    cause: LossCause::Lost,
                    family: Some(family as u8),
                    count,
                    after: self.read_at,
                    before: now,
                    kind: None,
                })
            })
            .collect();
        self.last = totals;
        self.read_at = now;
        losses
    }
}

/// Numbers by family with the families' names; families at zero are left out.
pub fn by_family(numbers: &[u64; Family::COUNT]) -> BTreeMap<String, u64> {
    Family::ALL
        .into_iter()
        .filter(|family| numbers[*family as usize] != 0)
        .map(|family| (family.name().to_owned(), numbers[family as usize]))
        .collect()
}
