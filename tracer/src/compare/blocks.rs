//! A series cut into few blocks of equal length, however long it gets.

/// Most blocks; the next one merges them in pairs, so that there are at least half as many.
pub const MOST: usize = 32;

/// What a block holds.
pub trait Merge: Default {
    /// Adds what the next block holds.
    fn merge(&mut self, next: &Self);
}

/// Blocks over a coordinate that counts from 0: time or calls.
#[derive(Clone, Debug)]
pub struct Blocks<B> {
    blocks: Vec<B>,
    /// Length of a block.
    length: u64,
}

impl<B: Merge> Blocks<B> {
    /// No blocks yet; the first ones have that length, above 0.
    pub const fn new(length: u64) -> Self {
        Self { blocks: Vec::new(), length }
    }

    /// The block of a place. Places need not come in order.
    #[inline]
    pub fn at(&mut self, place: u64) -> &mut B {
        while place / self.length >= MOST as u64 {
            self.halve();
        }
        let index = (place / self.length) as usize;
        if index >= self.blocks.len() {
            self.blocks.resize_with(index + 1, B::default);
        }
        &mut self.blocks[index]
    }

    #[cold]
    fn halve(&mut self) {
        let mut merged: Vec<B> = Vec::with_capacity(MOST);
        for (index, block) in self.blocks.drain(..).enumerate() {
            if index % 2 == 0 {
                merged.push(block);
            } else if let Some(last) = merged.last_mut() {
                last.merge(&block);
            }
        }
        self.blocks = merged;
        self.length = self.length.saturating_mul(2);
    }

    /// All blocks of a series that ends at `end`: one that is less than half full goes to the one before it.
    pub fn finish(mut self, end: u64) -> Vec<B> {
        let filled = end % self.length;
        if self.blocks.len() > 1
            && filled > 0
            && filled < self.length / 2
            && self.blocks.len() as u64 == end / self.length + 1
            && let Some(rest) = self.blocks.pop()
            && let Some(last) = self.blocks.last_mut()
        {
            last.merge(&rest);
        }
        self.blocks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Merge for u64 {
        fn merge(&mut self, next: &Self) {
            *self += next;
        }
    }

    #[test]
    fn blocks_stay_few_and_lose_nothing() {
        for many in [1, 31, 32, 33, 1000, 100_000] {
            let mut blocks = Blocks::<u64>::new(1);
            (0..many).for_each(|place| *blocks.at(place) += 1);
            let blocks = blocks.finish(many);
            assert!(blocks.len() <= MOST && (blocks.len() >= MOST / 2 || many < MOST as u64), "{many}");
            assert_eq!(blocks.iter().sum::<u64>(), many);
        }
    }
}
