//! Sums by a key, for as many keys as there is room for.

use std::cmp::{Ordering, Reverse};
use std::hash::Hash;

use rustc_hash::FxHashMap;

use super::histogram::Histogram;
use crate::event::{Weight, Weights};
use crate::report::model::{Group, Key, Row, Table};

/// Most keys that are summed up on their own.
const MOST: usize = 1 << 16;

/// Most keys of which the spread of times is kept: some ten kilobytes each.
const MOST_SPREAD: usize = 256;

/// What the events of one key sum up to.
#[derive(Clone, Debug, Default)]
pub struct Stats {
    pub weights: Weights,
    measured: u64,
    max: u64,
    pub times: Option<Box<Histogram>>,
}

impl Stats {
    /// Adds an event; the spread of times is kept if `spread`.
    #[inline]
    pub fn add(&mut self, weights: &Weights, spread: bool) {
        self.weights.add(weights);
        if weights.time > 0 {
            self.measured += 1;
            self.max = self.max.max(weights.time);
            if spread {
                self.times.get_or_insert_default().record(weights.time);
            }
        }
    }

    /// The line of a table.
    pub fn row(&self, group: Vec<Group>) -> Row {
        Row {
            group,
            weights: self.weights,
            measured: self.measured,
            max: self.max,
            quantiles: self.times.as_ref().map(|times| times.quantiles()).unwrap_or_default(),
        }
    }
}

/// Sums by key.
#[derive(Debug)]
pub struct Groups<K> {
    indices: FxHashMap<K, u32>,
    stats: Vec<Stats>,
    rest: Weights,
}

/// The place of keys that there is no room for.
const REST: u32 = u32::MAX;

impl<K> Default for Groups<K> {
    fn default() -> Self {
        Self { indices: FxHashMap::default(), stats: Vec::new(), rest: Weights::default() }
    }
}

impl<K: Eq + Hash> Groups<K> {
    /// The place of a key, [`REST`] when there are too many.
    #[inline]
    pub fn index<Q>(&mut self, key: &Q) -> u32
    where
        K: std::borrow::Borrow<Q>,
        Q: ?Sized + Eq + Hash + ToOwned<Owned = K>,
    {
        if let Some(index) = self.indices.get(key) {
            return *index;
        }
        if self.stats.len() >= MOST {
            return REST;
        }
        let index = self.stats.len() as u32;
        self.indices.insert(key.to_owned(), index);
        self.stats.push(Stats::default());
        index
    }

    /// Adds an event to the key at that place.
    #[inline]
    pub fn add(&mut self, index: u32, weights: &Weights) {
        match self.stats.get_mut(index as usize) {
            Some(stats) => stats.add(weights, (index as usize) < MOST_SPREAD),
            None => self.rest.add(weights),
        }
    }

    /// Adds an event whose key is not known any more.
    pub fn add_rest(&mut self, weights: &Weights) {
        self.rest.add(weights);
    }

    /// The table, with the key as `group` shows it.
    pub fn table(&self, keys: Vec<Key>, group: impl Fn(&K) -> Vec<Group>, sort: Weight, top: usize) -> Table {
        let rows = self.indices.iter().map(|(key, index)| self.stats[*index as usize].row(group(key)));
        table(keys, rows.collect(), self.rest, sort, top)
    }
}

/// A table of these rows, sorted and cut, on top of what has no row of its own.
pub fn table(keys: Vec<Key>, mut rows: Vec<Row>, rest: Weights, sort: Weight, top: usize) -> Table {
    rows.sort_by(|one, other| {
        let rank = |row: &Row| (Reverse(row.weights.get(sort)), Reverse(row.weights.count));
        rank(one).cmp(&rank(other)).then_with(|| compare(&one.group, &other.group))
    });
    let distinct = rows.len() as u64;
    let cut = rows.split_off(top.min(rows.len()));
    let rest = cut.iter().fold(rest, |mut rest, row| {
        rest.add(&row.weights);
        rest
    });
    Table { keys, rows, distinct, rest }
}

fn compare(one: &[Group], other: &[Group]) -> Ordering {
    let pairs = one.iter().zip(other).map(|pair| match pair {
        (Group::Number(one), Group::Number(other)) => one.cmp(other),
        (Group::Name(one), Group::Name(other)) => one.cmp(other),
        _ => rank(pair.0).cmp(&rank(pair.1)),
    });
    pairs.fold(Ordering::Equal, Ordering::then)
}

const fn rank(group: &Group) -> u8 {
    match group {
        Group::Number(_) => 0,
        Group::Name(_) => 1,
        Group::None => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_without_room_are_summed_up_together() {
        let mut groups = Groups::<u32>::default();
        let one = Weights { count: 1, time: 5, ..Weights::default() };
        for key in 0..MOST as u32 + 10 {
            let index = groups.index(&key);
            groups.add(index, &one);
        }
        groups.add_rest(&one);
        let table =
            groups.table(vec![Key::Pid], |pid| vec![Group::Number(u64::from(*pid))], Weight::Count, 2);
        assert_eq!((table.rows.len(), table.distinct), (2, MOST as u64));
        assert_eq!(table.rest.count, MOST as u64 + 11 - 2);
        let groups: Vec<_> = table.rows.iter().map(|row| &row.group[0]).collect();
        assert_eq!(groups, [&Group::Number(0), &Group::Number(1)]);
        assert_eq!(table.rows[0].quantiles.len(), 4);
    }
}
