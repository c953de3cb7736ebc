//! Events over time, in as many intervals as a screen can show.

use tracer_common::event::Kind;

use crate::check::Live;
use crate::event::{Loss, place};
use crate::report::model::{self, Interval};

/// Most intervals.
const MOST: usize = 512;

/// log2 of the shortest interval in nanoseconds.
const SHORTEST: u32 = 10;

/// One interval, with the events of each kind by its place.
#[derive(Clone, Debug)]
struct Slot {
    counts: [u64; Kind::ALL.len()],
    lost: u64,
    live: Live,
    migration_entries: u64,
}

const EMPTY: Slot = Slot {
    counts: [0; Kind::ALL.len()],
    lost: 0,
    live: Live { exclusive: 0, bounced: 0 },
    migration_entries: 0,
};

/// Counts in intervals of one length, which doubles when there are too many of them.
#[derive(Debug)]
pub struct Timeline {
    /// log2 of an interval's length in nanoseconds.
    shift: u32,
    /// From the start of the stream to the latest event.
    slots: Vec<Slot>,
    /// Migration entries in place, as far as is known: entries that were zapped or copied have no event.
    migration_entries: u64,
}

impl Default for Timeline {
    fn default() -> Self {
        Self { shift: SHORTEST, slots: vec![EMPTY], migration_entries: 0 }
    }
}

impl Timeline {
    /// Whether the latest interval is over at that time.
    #[inline]
    pub const fn is_over(&self, since_start: u64) -> bool {
        since_start >> self.shift >= self.slots.len() as u64
    }

    /// Ends the latest interval, with what lived at its end, and goes on to the one of that time.
    pub fn advance(&mut self, since_start: u64, live: Live) {
        self.close(live);
        while since_start >> self.shift >= MOST as u64 {
            self.merge();
        }
        // What lived goes on living through intervals without events.
        let quiet = Slot { live, migration_entries: self.migration_entries, ..EMPTY };
        self.slots.resize((since_start >> self.shift) as usize + 1, quiet);
    }

    fn close(&mut self, live: Live) {
        if let Some(slot) = self.slots.last_mut() {
            slot.live = live;
            slot.migration_entries = self.migration_entries;
        }
    }

    /// Makes intervals twice as long.
    fn merge(&mut self) {
        self.shift += 1;
        for index in 0..self.slots.len() {
            let slot = std::mem::replace(&mut self.slots[index], EMPTY);
            let into = &mut self.slots[index / 2];
            into.counts.iter_mut().zip(slot.counts).for_each(|(sum, count)| *sum += count);
            into.lost = into.lost.saturating_add(slot.lost);
            into.live = slot.live;
            into.migration_entries = slot.migration_entries;
        }
        self.slots.truncate(self.slots.len().div_ceil(2));
    }

    fn slot(&mut self, since_start: u64) -> &mut Slot {
        let index = usize::try_from(since_start >> self.shift).unwrap_or(usize::MAX);
        let index = index.min(self.slots.len() - 1);
        &mut self.slots[index]
    }

    /// Counts an event.
    #[inline]
    pub fn count(&mut self, since_start: u64, kind: Kind) {
        self.slot(since_start).counts[place(kind)] += 1;
    }

    /// How many migration entries are in place now.
    pub const fn migration_entries(&mut self, number: u64) {
        self.migration_entries = number;
    }

    /// Takes a loss that begins at that time; only those `admitted` are told of.
    pub fn lost(&mut self, loss: &Loss, after: u64, admitted: bool) {
        if admitted {
            let slot = self.slot(after);
            slot.lost = slot.lost.saturating_add(loss.count);
        }
    }

    /// The report's part; `live` is what lives at the end.
    pub fn finish(mut self, live: Live) -> model::Timeline {
        self.close(live);
        let is_there = |kind: &&Kind| self.slots.iter().any(|slot| slot.counts[place(**kind)] > 0);
        let kinds: Vec<Kind> = Kind::ALL.iter().filter(is_there).copied().collect();
        let interval = |slot: &Slot| Interval {
            counts: kinds.iter().map(|kind| slot.counts[place(*kind)]).collect(),
            lost: slot.lost,
            exclusive: slot.live.exclusive,
            migration_entries: slot.migration_entries,
            bounced: slot.live.bounced,
        };
        model::Timeline {
            interval: 1 << self.shift,
            events: kinds.iter().map(|kind| kind.name()).collect(),
            intervals: self.slots.iter().map(interval).collect(),
        }
    }
}
