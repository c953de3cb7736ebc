//! The few different values that a column has, each with its index.

/// Longest list. Longer ones cost more than they save.
pub const LIST_MAX: usize = 128;

/// Bits of a hash: at least two places for each value.
const HASH_BITS: u32 = 8;

/// Values in the order of their first appearance.
#[derive(Debug)]
pub struct List {
    values: Vec<u64>,
    /// Index into `values` plus 1, by hash, with linear probing; 0 where there is none.
    places: [u8; 1 << HASH_BITS],
}

impl List {
    /// Without a value.
    pub const fn new() -> Self {
        Self { values: Vec::new(), places: [0; 1 << HASH_BITS] }
    }

    /// Forgets every value.
    pub fn clear(&mut self) {
        if !self.values.is_empty() {
            self.values.clear();
            self.places.fill(0);
        }
    }

    /// The values.
    pub fn values(&self) -> &[u64] {
        &self.values
    }

    /// The index of a value, which joins the list when it is new; `None` when the list has `limit`
    /// values, at most [`LIST_MAX`], and this is not one of them.
    pub fn index_of(&mut self, value: u64, limit: usize) -> Option<u8> {
        // Fibonacci hashing: the multiplier is 2^64 divided by the golden ratio.
        let mut place = (value.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (u64::BITS - HASH_BITS)) as usize;
        loop {
            match self.places[place] {
                0 if self.values.len() >= limit.min(LIST_MAX) => return None,
                0 => {
                    let index = self.values.len() as u8;
                    self.values.push(value);
                    self.places[place] = index + 1;
                    return Some(index);
                }
                known if self.values[usize::from(known) - 1] == value => return Some(known - 1),
                _ => place = (place + 1) % (1 << HASH_BITS),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_keep_their_index_up_to_the_limit() {
        let mut list = List::new();
        for round in 0..2 {
            for value in 0..LIST_MAX as u64 {
                assert_eq!(list.index_of(value << 40, usize::MAX), Some(value as u8), "round {round}");
            }
        }
        assert_eq!(list.index_of(7, usize::MAX), None);
        list.clear();
        assert_eq!(list.index_of(7, 1), Some(0));
        assert_eq!(list.index_of(8, 1), None);
        assert_eq!(list.values(), [7]);
    }
}
