//! What the programs counted, and the loss that it shows.

use std::collections::BTreeMap;

use tracer_common::counters::Counters;
use tracer_common::family::Family;

use crate::event::{Loss, LossCause};

/// Says of the programs' counters what is new.
pub struct CounterReader {
    /// What was lost, as it was told last.
    lost: [u64; Family::COUNT],
    /// Calls that were seen at one end only before what is to be watched began. They were under way when the probes were
    /// attached, and their ends are no loss.
    unpaired_before: [u64; Family::COUNT],
    /// When the counters were read last, `CLOCK_MONOTONIC` nanoseconds.
    read_at: u64,
}

impl CounterReader {
    /// Nothing is counted yet.
    pub const fn new(now: u64) -> Self {
        Self { lost: [0; Family::COUNT], unpaired_before: [0; Family::COUNT], read_at: now }
    }

    /// Every probe is attached, and what is to be watched begins now, with these sums.
    pub const fn begin(&mut self, totals: Counters) {
        self.unpaired_before = totals.unpaired;
    }

    /// Calls since then that were seen at one end only, of these sums.
    pub fn unpaired(&self, totals: &Counters) -> [u64; Family::COUNT] {
        std::array::from_fn(|family| totals.unpaired[family].saturating_sub(self.unpaired_before[family]))
    }

    /// What was lost since the last time, by family, of these sums.
    pub fn losses(&mut self, lost: [u64; Family::COUNT], now: u64) -> Vec<Loss> {
        let losses = Family::ALL
            .into_iter()
            .filter_map(|family| {
                let count = lost[family as usize] - self.lost[family as usize];
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
        self.lost = lost;
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
