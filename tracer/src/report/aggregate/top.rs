//! The most frequent of many, in bounded memory.

use std::hash::Hash;

use rustc_hash::FxHashMap;

use crate::report::model::Top;

/// One key that is counted.
#[derive(Clone, Debug)]
pub struct Counted<V> {
    /// Counted since the key was last taken in: never more than the truth.
    count: u64,
    /// Most that was counted of the key before that.
    error: u64,
    /// What is kept beside the count, from when the key was last taken in.
    pub value: V,
}

impl<V> Counted<V> {
    /// The most that it can be.
    pub const fn at_most(&self) -> u64 {
        self.count.saturating_add(self.error)
    }
}

/// Counts keys, of which there may be more than there is memory for.
///
/// As long as there are at most `capacity` different keys, every count is exact. When one more comes, the half with
/// the lower counts is forgotten, and the largest of these counts, the error, is what any key that is not there may
/// have. So for every key that is there
/// `at_most() - error <= true count <= at_most()`, every key with a higher true count than the error is there, and
/// the error is at most twice the sum of all counts divided by the capacity: the median
/// counter of "A High-Performance Algorithm for Identifying Frequent Items in Data Streams" (Anderson et al., 2017).
/// What is kept does not depend on the order within the table, so that equal streams give equal answers.
#[derive(Clone, Debug)]
pub struct TopSketch<K, V> {
    capacity: usize,
    entries: FxHashMap<K, Counted<V>>,
    /// Most that a key can have that is not there.
    error: u64,
}

impl<K: Copy + Eq + Hash, V: Default> TopSketch<K, V> {
    /// Counts at most that many keys at the same time, at least two.
    pub fn new(capacity: usize) -> Self {
        Self { capacity: capacity.max(2), entries: FxHashMap::default(), error: 0 }
    }

    /// Counts `by` more of the key and gives what is kept beside the count, the default for a new key.
    #[inline]
    pub fn add(&mut self, key: K, by: u64) -> &mut Counted<V> {
        if self.entries.len() >= self.capacity && !self.entries.contains_key(&key) {
            self.forget_half();
        }
        let error = self.error;
        let counted =
            self.entries.entry(key).or_insert_with(|| Counted { count: 0, error, value: V::default() });
        counted.count = counted.count.saturating_add(by);
        counted
    }

    #[cold]
    fn forget_half(&mut self) {
        let mut counts: Vec<u64> = self.entries.values().map(Counted::at_most).collect();
        let middle = (counts.len() - 1) / 2;
        let (_, median, _) = counts.select_nth_unstable(middle);
        self.error = *median;
        let error = self.error;
        self.entries.retain(|_, counted| counted.at_most() > error);
    }

    /// Every key that is there, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &Counted<V>)> {
        self.entries.iter()
    }

    /// The first `top` by `rank`, which is to be different for any two keys, each made into an entry by `entry`.
    pub fn into_top<T, R: Ord>(
        self,
        top: usize,
        mut rank: impl FnMut(&K, &Counted<V>) -> R,
        mut entry: impl FnMut(K, Counted<V>) -> T,
    ) -> Top<T> {
        let error = self.error;
        let distinct = self.entries.len().max(if error > 0 { self.capacity + 1 } else { 0 }) as u64;
        let mut entries: Vec<(K, Counted<V>)> = self.entries.into_iter().collect();
        entries.sort_by_cached_key(|(key, counted)| rank(key, counted));
        entries.truncate(top);
        let entries = entries.into_iter().map(|(key, counted)| entry(key, counted)).collect();
        Top { entries, distinct, exact: error == 0, error }
    }
}

#[cfg(test)]
mod tests {
    use std::cmp::Reverse;
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn top(sketch: TopSketch<u32, ()>, top: usize) -> Top<(u32, u64)> {
        sketch.into_top(
            top,
            |key, counted| (Reverse(counted.at_most()), *key),
            |key, counted| (key, counted.at_most()),
        )
    }

    #[test]
    fn few_keys_are_exact() {
        let mut sketch = TopSketch::new(4);
        for key in [3, 1, 3, 2, 3, 2, 9] {
            sketch.add(key, 1);
        }
        assert_eq!(sketch.entries.get(&3).map(|counted| counted.count), Some(3));
        let top = top(sketch, 3);
        assert_eq!(top, Top { entries: vec![(3, 3), (2, 2), (1, 1)], distinct: 4, exact: true, error: 0 });
    }

    #[test]
    fn a_frequent_key_survives_any_number_of_rare_ones() {
        let mut sketch = TopSketch::new(64);
        for key in 0..100_000 {
            sketch.add(key, 1);
            if key % 10 == 0 {
                sketch.add(u32::MAX, 1);
            }
        }
        let top = top(sketch, 1);
        assert_eq!(top.entries[0].0, u32::MAX);
        assert!(!top.exact && top.distinct > 64 && top.entries[0].1 >= 10_000);
    }

    proptest! {
        #[test]
        fn counts_lie_within_the_stated_error(
            keys in proptest::collection::vec((0_u32..200, 1_u64..4), 0..2000),
            capacity in 2_usize..40,
        ) {
            let mut sketch = TopSketch::<u32, u64>::new(capacity);
            let mut truth = BTreeMap::<u32, u64>::new();
            for (key, by) in &keys {
                let counted = sketch.add(*key, *by);
                counted.value += by;
                *truth.entry(*key).or_default() += by;
            }
            let total: u64 = truth.values().sum();
            prop_assert!(sketch.entries.len() <= capacity);
            prop_assert!(sketch.error <= 2 * total / capacity as u64);
            prop_assert!(truth.len() > capacity || sketch.error == 0);
            for (key, count) in &truth {
                match sketch.entries.get(key) {
                    Some(counted) => {
                        prop_assert!(counted.count <= *count && *count <= counted.at_most());
                        prop_assert!(counted.at_most() <= counted.count + sketch.error);
                        prop_assert_eq!(counted.value, counted.count);
                    }
                    None => prop_assert!(*count <= sketch.error),
                }
            }
        }
    }
}
