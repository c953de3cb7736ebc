//! Groups of records, so many at most.

use rustc_hash::FxHashMap;

use super::cell::Cell;
use super::key::{GroupKey, Key};

/// Most groups that are told apart. A live session has about as many for each CPU.
pub const MOST_GROUPS: usize = 1 << 14;

/// What was counted, by event and group.
#[derive(Clone, Debug, Default)]
pub struct Table {
    cells: FxHashMap<Key, Cell>,
}

impl Table {
    /// The cell of a group; that of all for which there is no room, when it is one of them.
    pub fn cell(&mut self, key: Key) -> &mut Cell {
        let is_known = self.cells.len() < MOST_GROUPS || self.cells.contains_key(&key);
        self.cells.entry(if is_known { key } else { Key { group: GroupKey::Other, ..key } }).or_default()
    }

    /// Every group, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&Key, &Cell)> {
        self.cells.iter()
    }

    /// What a group has; `None` when it was never seen.
    pub fn get(&self, key: &Key) -> Option<&Cell> {
        self.cells.get(key)
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.cells.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Kind;

    #[test]
    fn what_finds_no_room_is_counted_together() {
        let mut table = Table::default();
        let key = |number| Key { kind: Kind::TryToUnmap, group: GroupKey::Number(number) };
        let more = 10;
        for number in 0..MOST_GROUPS as u64 + more {
            table.cell(key(number)).record(None);
        }
        table.cell(key(1)).record(None);
        let other = Key { kind: Kind::TryToUnmap, group: GroupKey::Other };
        assert_eq!(table.get(&other).map(|cell| cell.count), Some(more));
        assert_eq!(table.get(&key(1)).map(|cell| cell.count), Some(2));
        assert_eq!(table.iter().map(|(_, cell)| cell.count).sum::<u64>(), MOST_GROUPS as u64 + more + 1);
    }
}
