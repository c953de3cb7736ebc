//! What is counted of one group.

use tracer_common::counting::{BUCKETS, STEPS, bucket, least};

/// How far a quantile can be from the value that it stands for, as a part of it: half a bucket.
pub const QUANTILE_ERROR: f64 = 0.5 / STEPS as f64;

/// A count, the sum of the values, and how they are spread.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    /// Events.
    pub count: u64,
    /// Sum of their values.
    pub sum: u64,
    /// Events that had a value.
    pub measured: u64,
    /// How many values are in each [bucket]; none where there are no values.
    pub buckets: Option<Box<[u64; BUCKETS]>>,
}

impl Cell {
    /// Takes an event.
    pub fn record(&mut self, value: Option<u64>) {
        self.count += 1;
        let Some(value) = value else { return };
        self.sum = self.sum.saturating_add(value);
        self.measured += 1;
        self.buckets.get_or_insert_with(|| Box::new([0; BUCKETS]))[bucket(value)] += 1;
    }

    /// Adds another one's events.
    pub fn add(&mut self, other: &Self) {
        self.count = self.count.saturating_add(other.count);
        self.sum = self.sum.saturating_add(other.sum);
        self.measured = self.measured.saturating_add(other.measured);
        let Some(others) = &other.buckets else { return };
        let buckets = self.buckets.get_or_insert_with(|| Box::new([0; BUCKETS]));
        buckets.iter_mut().zip(others.iter()).for_each(|(sum, count)| *sum = sum.saturating_add(*count));
    }

    /// What came since an earlier look at the same group.
    pub fn since(&self, earlier: &Self) -> Self {
        let mut buckets = self.buckets.clone();
        if let (Some(buckets), Some(earlier)) = (&mut buckets, &earlier.buckets) {
            buckets
                .iter_mut()
                .zip(earlier.iter())
                .for_each(|(count, before)| *count = count.saturating_sub(*before));
        }
        Self {
            count: self.count.saturating_sub(earlier.count),
            sum: self.sum.saturating_sub(earlier.sum),
            measured: self.measured.saturating_sub(earlier.measured),
            buckets,
        }
    }

    /// The mean of the values, rounded down; `None` where there are none.
    pub fn mean(&self) -> Option<u64> {
        self.sum.checked_div(self.measured)
    }

    /// The value that this part of all values does not exceed, to within [`QUANTILE_ERROR`]; that it is at least so
    /// large where it is beyond all buckets. `None` without values.
    pub fn quantile(&self, quantile: f64) -> Option<u64> {
        let buckets = self.buckets.as_ref()?;
        let all: u64 = buckets.iter().fold(0, |sum, count| sum.saturating_add(*count));
        let rank = ((quantile * all as f64).ceil() as u64).clamp(1, all.max(1));
        let mut below = 0_u64;
        let place = buckets.iter().position(|count| {
            below = below.saturating_add(*count);
            below >= rank
        })?;
        Some(middle(place))
    }

    /// The buckets that are not empty: the least value of each, the least of the next one (none behind the last), and how
    /// many.
    pub fn bars(&self) -> impl Iterator<Item = (u64, Option<u64>, u64)> {
        let buckets = self.buckets.iter().flat_map(|buckets| buckets.iter().copied().enumerate());
        buckets
            .filter(|(_, count)| *count > 0)
            .map(|(place, count)| (least(place), (place + 1 < BUCKETS).then(|| least(place + 1)), count))
    }

    /// The same between powers of two, from the first to the last that is not empty: from where, to where, and how many.
    pub fn octaves(&self) -> Vec<(u64, u64, u64)> {
        let mut octaves = [0_u64; 65];
        for (from, _, count) in self.bars() {
            octaves[(u64::BITS - from.leading_zeros()) as usize] += count;
        }
        let first = octaves.iter().position(|count| *count > 0).unwrap_or(octaves.len());
        let end = octaves.iter().rposition(|count| *count > 0).map_or(0, |last| last + 1);
        let bounds = |bits: usize| {
            let from = if bits == 0 { 0 } else { 1_u64 << (bits - 1) };
            (from, 1_u64.checked_shl(bits as u32).unwrap_or(u64::MAX))
        };
        (first..end).map(|bits| (bounds(bits).0, bounds(bits).1, octaves[bits])).collect()
    }
}

/// The value that stands for those of a bucket.
fn middle(place: usize) -> u64 {
    if place + 1 < BUCKETS { (least(place) + least(place + 1) - 1) / 2 } else { least(place) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nothing_has_no_quantiles() {
        let mut cell = Cell::default();
        cell.record(None);
        assert_eq!((cell.count, cell.measured, cell.mean(), cell.quantile(0.5)), (1, 0, None, None));
        assert_eq!(cell.bars().count(), 0);
    }

    #[test]
    fn what_is_beyond_all_buckets_is_at_least_so_large() {
        let mut cell = Cell::default();
        cell.record(Some(u64::MAX));
        assert_eq!(cell.quantile(0.5), Some(least(BUCKETS - 1)));
        assert_eq!(cell.bars().collect::<Vec<_>>(), [(least(BUCKETS - 1), None, 1)]);
    }

    proptest! {
        #[test]
        fn quantiles_are_as_near_as_is_said(
            mut values in prop::collection::vec(prop_oneof![0_u64..300, 0_u64..10_000_000, 0..least(BUCKETS - 1)], 1..400),
        ) {
            let mut cell = Cell::default();
            values.iter().for_each(|value| cell.record(Some(*value)));
            values.sort_unstable();
            for quantile in [0.0, 0.5, 0.9, 0.99, 1.0] {
                let rank = ((quantile * values.len() as f64).ceil() as usize).clamp(1, values.len());
                let (exact, told) = (values[rank - 1], cell.quantile(quantile).unwrap());
                let off = exact.abs_diff(told) as f64;
                prop_assert!(off <= exact as f64 * QUANTILE_ERROR, "{told} for {exact}");
            }
            prop_assert_eq!(cell.bars().map(|(_, _, count)| count).sum::<u64>(), cell.count);
        }

        #[test]
        fn parts_are_the_whole(values in prop::collection::vec(prop::option::of(any::<u32>()), 0..100), cut in 0..100_usize) {
            let fill = |values: &[Option<u32>]| {
                let mut cell = Cell::default();
                values.iter().for_each(|value| cell.record(value.map(u64::from)));
                cell
            };
            let cut = cut.min(values.len());
            let (whole, first, second) = (fill(&values), fill(&values[..cut]), fill(&values[cut..]));
            let mut both = first.clone();
            both.add(&second);
            prop_assert_eq!(&both, &whole);
            let since = whole.since(&first);
            prop_assert_eq!((since.count, since.sum, since.measured), (second.count, second.sum, second.measured));
            prop_assert!(since.bars().eq(second.bars()));
        }
    }
}
