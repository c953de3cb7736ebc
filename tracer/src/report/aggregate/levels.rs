//! How full something was over time, in a bounded number of intervals.

use crate::report::model::PoolLevel;

/// Most intervals, as many as the timeline has.
const MOST: usize = 512;

/// log2 of the shortest interval in nanoseconds.
const SHORTEST: u32 = 10;

/// The most of every interval; intervals become twice as long when there are too many of them.
#[derive(Debug)]
pub struct Levels {
    /// log2 of an interval's length in nanoseconds.
    shift: u32,
    /// Most bytes and slots of each interval so far.
    peaks: Vec<(u64, u64)>,
    now: (u64, u64),
    peak: (u64, u64),
}

impl Default for Levels {
    fn default() -> Self {
        Self { shift: SHORTEST, peaks: Vec::new(), now: (0, 0), peak: (0, 0) }
    }
}

fn most(one: (u64, u64), other: (u64, u64)) -> (u64, u64) {
    (one.0.max(other.0), one.1.max(other.1))
}

impl Levels {
    /// Goes on to the interval of that time.
    fn advance(&mut self, since_start: u64) {
        while since_start >> self.shift >= MOST as u64 {
            self.shift += 1;
            self.peaks = self.peaks.chunks(2).map(|pair| pair.iter().copied().fold((0, 0), most)).collect();
        }
        let length = (since_start >> self.shift) as usize + 1;
        if self.peaks.len() < length {
            // What was taken stayed so through intervals without events.
            self.peaks.resize(length, self.now);
        }
    }

    /// A mapping takes that much.
    pub fn rise(&mut self, since_start: u64, bytes: u64, slots: u64) {
        self.advance(since_start);
        self.now = (self.now.0.saturating_add(bytes), self.now.1.saturating_add(slots));
        self.peak = most(self.peak, self.now);
        if let Some(last) = self.peaks.last_mut() {
            *last = most(*last, self.now);
        }
    }

    /// A mapping gives that much back.
    pub fn fall(&mut self, since_start: u64, bytes: u64, slots: u64) {
        self.advance(since_start);
        self.now = (self.now.0.saturating_sub(bytes), self.now.1.saturating_sub(slots));
    }

    /// Most bytes at one moment.
    pub const fn peak_bytes(&self) -> u64 {
        self.peak.0
    }

    /// Most slots at one moment.
    pub const fn peak_slots(&self) -> u64 {
        self.peak.1
    }

    /// The intervals from the start of the stream on.
    pub fn finish(self) -> Vec<PoolLevel> {
        let level = |(index, (bytes, slots)): (usize, (u64, u64))| PoolLevel {
            from: (index as u64) << self.shift,
            bytes,
            slots,
        };
        self.peaks.into_iter().enumerate().map(level).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_keep_their_peaks_when_they_are_merged() {
        let mut levels = Levels::default();
        levels.rise(0, 100, 1);
        levels.rise(10, 100, 1);
        levels.fall(20, 150, 1);
        levels.rise(3000, 1, 2);
        assert_eq!((levels.now.0, levels.peak_bytes(), levels.peak_slots()), (51, 200, 3));
        let far = 3_000_000;
        levels.fall(far, 51, 3);
        let levels = levels.finish();
        assert!(levels.len() <= MOST);
        let length = levels[1].from;
        assert_eq!(levels[0], PoolLevel { from: 0, bytes: 200, slots: 3 });
        assert!(levels[1..].iter().all(|level| (level.bytes, level.slots) == (51, 3)));
        assert_eq!(levels.len() as u64, far / length + 1);
    }
}
