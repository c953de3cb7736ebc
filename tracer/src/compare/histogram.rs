//! Counts of values by size, small enough to have one for every block of every event.

use std::collections::BTreeMap;

/// Buckets of an octave: values are kept to within 1/128 of their size.
const PRECISION: u32 = 7;

/// A histogram that has only the buckets that were hit. `hdrhistogram` allocates every bucket up to the largest
/// value, 20 KiB for a millisecond; a sample holds up to a thousand histograms.
#[derive(Clone, Debug, Default)]
pub struct Histogram {
    buckets: BTreeMap<u16, u32>,
}

impl Histogram {
    /// Adds a value.
    pub fn add(&mut self, value: u64) {
        let count = self.buckets.entry(bucket(value)).or_default();
        *count = count.saturating_add(1);
    }

    /// Adds all values of another.
    pub fn merge(&mut self, other: &Self) {
        for (bucket, more) in &other.buckets {
            let count = self.buckets.entry(*bucket).or_default();
            *count = count.saturating_add(*more);
        }
    }

    /// Buckets that were hit, and how often, by size.
    pub fn buckets(&self) -> impl Iterator<Item = (u16, u32)> {
        self.buckets.iter().map(|(bucket, count)| (*bucket, *count))
    }

    /// The value that this part of all values does not exceed; 0 when there are none.
    pub fn quantile(&self, part: f64) -> f64 {
        let counts: Vec<(u16, f64)> =
            self.buckets().map(|(bucket, count)| (bucket, f64::from(count))).collect();
        quantile(&counts, part)
    }
}

/// The same of any weighted buckets that are sorted by size. Inside of a bucket values are taken as spread evenly, so
/// that a small move of the data is a small move of the quantile.
pub fn quantile(counts: &[(u16, f64)], part: f64) -> f64 {
    let total: f64 = counts.iter().map(|(_, count)| count).sum();
    let wanted = total * part;
    let mut below = 0.0;
    for (bucket, count) in counts.iter().filter(|(_, count)| *count > 0.0) {
        if below + count >= wanted {
            let (from, to) = borders(*bucket);
            return from + (to - from) * ((wanted - below) / count).clamp(0.0, 1.0);
        }
        below += count;
    }
    counts.last().map_or(0.0, |(bucket, _)| borders(*bucket).1)
}

/// The bucket of a value: its octave and its next [`PRECISION`] bits.
fn bucket(value: u64) -> u16 {
    let octave = (u64::BITS - value.leading_zeros()).saturating_sub(PRECISION + 1);
    ((u64::from(octave) << PRECISION) + (value >> octave)) as u16
}

/// The smallest value of a bucket, and the smallest of the next.
fn borders(bucket: u16) -> (f64, f64) {
    let octave = u32::from(bucket >> PRECISION).saturating_sub(1);
    let step = 2_f64.powi(octave as i32);
    let from = f64::from(u32::from(bucket) - (octave << PRECISION)) * step;
    (from, from + step)
}

/// A value inside of a bucket.
pub fn middle(bucket: u16) -> f64 {
    let (from, to) = borders(bucket);
    f64::midpoint(from, to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_hold_their_values_to_within_their_precision() {
        for shift in 0..64 {
            for value in
                [1_u64 << shift, (1 << shift) | 1, (1_u64 << shift).wrapping_mul(3) / 2, u64::MAX >> shift]
            {
                let (from, to) = borders(bucket(value));
                assert!(from <= value as f64 && value as f64 <= to, "{value} {from} {to}");
                assert!(to - from <= 1.0 || (to - from) / from <= 1.0 / 128.0, "{value}");
            }
        }
        assert_eq!(bucket(0), 0);
    }

    #[test]
    fn quantiles_are_those_of_the_values() {
        let mut histogram = Histogram::default();
        (1..=10_000).for_each(|value| histogram.add(value));
        for part in [0.5, 0.9, 0.99] {
            let exact = 10_000.0 * part;
            assert!((histogram.quantile(part) / exact - 1.0).abs() < 0.01, "{part}");
        }
        assert_eq!(Histogram::default().quantile(0.5), 0.0);
    }
}
