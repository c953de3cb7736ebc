//! How values are spread: quantiles to within 1 %, and bars between powers of two.

use hdrhistogram::Histogram as Hdr;

use crate::report::model::{Bucket, Distribution, Quantile, Unit};

/// Decimal digits that quantiles are good for.
const DIGITS: u8 = 2;

/// The quantiles that are told.
pub const QUANTILES: [f64; 4] = [0.5, 0.9, 0.99, 0.999];

/// Values counted in a few kilobytes, however many there are.
#[derive(Clone, Debug)]
pub struct Histogram {
    values: Hdr<u64>,
    /// How many have that number of significant bits.
    bits: [u64; 65],
    count: u64,
    sum: u64,
    min: u64,
    max: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        let mut values = Hdr::new(DIGITS).expect("two digits are allowed");
        values.auto(true);
        Self { values, bits: [0; 65], count: 0, sum: 0, min: u64::MAX, max: 0 }
    }
}

impl Histogram {
    /// Takes a value.
    #[inline]
    pub fn record(&mut self, value: u64) {
        // It grows as far as it must; only without memory it would fail.
        if self.values.record(value).is_err() {
            self.values.saturating_record(value);
        }
        self.bits[(u64::BITS - value.leading_zeros()) as usize] += 1;
        self.count += 1;
        self.sum = self.sum.saturating_add(value);
        self.min = self.min.min(value);
        self.max = self.max.max(value);
    }

    /// The value that this part of all values does not exceed.
    fn quantile(&self, quantile: f64) -> u64 {
        self.values.value_at_quantile(quantile).clamp(self.min.min(self.max), self.max)
    }

    /// The usual quantiles; none without values.
    pub fn quantiles(&self) -> Vec<Quantile> {
        if self.count == 0 {
            return Vec::new();
        }
        QUANTILES.map(|quantile| Quantile { quantile, value: self.quantile(quantile) }).to_vec()
    }

    /// The report's form; `None` without values.
    pub fn distribution(&self, event: &'static str, unit: Unit) -> Option<Distribution> {
        let first = self.bits.iter().position(|count| *count > 0)?;
        let last = self.bits.iter().rposition(|count| *count > 0)?;
        let bucket = |bits: usize| {
            let to = u64::MAX.checked_shr(u64::BITS - bits as u32).unwrap_or(0);
            Bucket { from: to - to / 2, to, count: self.bits[bits] }
        };
        Some(Distribution {
            event,
            unit,
            count: self.count,
            sum: self.sum,
            min: self.min,
            max: self.max,
            quantiles: self.quantiles(),
            buckets: (first..=last).map(bucket).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nothing_has_no_distribution() {
        let histogram = Histogram::default();
        assert_eq!(histogram.distribution("e", Unit::Vmas), None);
        assert!(histogram.quantiles().is_empty());
        assert_eq!(histogram.quantile(0.5), 0);
    }

    #[test]
    fn borders_are_powers_of_two() {
        let mut histogram = Histogram::default();
        [0, 1, 2, 3, 9, u64::MAX].into_iter().for_each(|value| histogram.record(value));
        let buckets = histogram.distribution("e", Unit::Bytes).unwrap().buckets;
        let borders: Vec<_> =
            buckets.iter().take(5).map(|bucket| (bucket.from, bucket.to, bucket.count)).collect();
        assert_eq!(borders, [(0, 0, 1), (1, 1, 1), (2, 3, 2), (4, 7, 0), (8, 15, 1)]);
        let last = buckets.last().unwrap();
        assert_eq!((last.from, last.to, last.count), (1 << 63, u64::MAX, 1));
    }

    proptest! {
        #[test]
        fn quantiles_are_within_one_percent(
            mut values in proptest::collection::vec(
                prop_oneof![0_u64..300, 0_u64..10_000_000, 0_u64..1 << 50], 1..500),
        ) {
            let mut histogram = Histogram::default();
            values.iter().for_each(|value| histogram.record(*value));
            values.sort_unstable();
            let spread = histogram.distribution("e", Unit::Nanoseconds).unwrap();
            prop_assert_eq!(spread.count, values.len() as u64);
            prop_assert_eq!(spread.buckets.iter().map(|bucket| bucket.count).sum::<u64>(), spread.count);
            prop_assert_eq!(spread.sum, values.iter().sum::<u64>());
            prop_assert_eq!((spread.min, spread.max), (values[0], values[values.len() - 1]));
            for Quantile { quantile, value } in spread.quantiles {
                let rank = ((quantile * values.len() as f64).ceil() as usize).clamp(1, values.len());
                let exact = values[rank - 1];
                prop_assert!(value.abs_diff(exact) <= exact / 100, "{quantile}: {value} for {exact}");
            }
        }
    }
}
