//! Which slots of bounce memory are handed out, one bit a slot.

use rustc_hash::FxHashMap;

/// log2 of the bytes of a slot (`IO_TLB_SHIFT`, 6.12 include/linux/swiotlb.h).
const SLOT_SHIFT: u32 = 11;

/// log2 of the slots in a word of bits.
const WORD_SHIFT: u32 = 7;

/// Words from which on empty ones are dropped: 16 GiB of slots.
const MOST_WORDS: usize = 1 << 16;

/// Most words that one mapping may touch: more than the kernel hands out at a time.
const MOST_OF_ONE: u64 = 1 << 10;

/// Slots by physical address; pools do not share memory, so that one table does for all.
#[derive(Debug, Default)]
pub struct Occupancy {
    words: FxHashMap<u64, u128>,
}

/// The words that `size` bytes at `address` touch, each with the bits of their slots.
fn masks(address: u64, size: u64) -> impl Iterator<Item = (u64, u128)> {
    let first = address >> SLOT_SHIFT;
    let last = address.saturating_add(size.max(1) - 1) >> SLOT_SHIFT;
    let words = (first >> WORD_SHIFT)..=(last >> WORD_SHIFT);
    words.take(MOST_OF_ONE as usize).map(move |word| {
        let base = word << WORD_SHIFT;
        let low = first.saturating_sub(base).min(127);
        let high = (last - base).min(127);
        (word, (u128::MAX >> (127 - high)) & (u128::MAX << low))
    })
}

impl Occupancy {
    /// Whether one of these slots is handed out.
    #[inline]
    pub fn overlaps(&self, address: u64, size: u64) -> bool {
        masks(address, size).any(|(word, mask)| self.words.get(&word).is_some_and(|bits| bits & mask != 0))
    }

    /// These slots are handed out.
    #[inline]
    pub fn take(&mut self, address: u64, size: u64) {
        if self.words.len() > MOST_WORDS {
            self.words.retain(|_, bits| *bits != 0);
        }
        for (word, mask) in masks(address, size) {
            *self.words.entry(word).or_default() |= mask;
        }
    }

    /// These slots are given back.
    #[inline]
    pub fn give(&mut self, address: u64, size: u64) {
        for (word, mask) in masks(address, size) {
            if let Some(bits) = self.words.get_mut(&word) {
                *bits &= !mask;
            }
        }
    }

    /// Nothing is known any more.
    pub fn clear(&mut self) {
        self.words.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_share_slots_or_not() {
        let mut occupancy = Occupancy::default();
        let base = 0x7c00_0000;
        occupancy.take(base + 0x800, 0x1000);
        for (address, size, shared) in [
            (base, 0x800, false),
            (base, 0x801, true),
            (base + 0x17ff, 1, true),
            (base + 0x1800, 0x800, false),
            (base + 0x1000, 0, true),
        ] {
            assert_eq!(occupancy.overlaps(address, size), shared, "{address:#x} {size:#x}");
        }
        occupancy.give(base + 0x800, 0x1000);
        assert!(!occupancy.overlaps(base, 0x40000));
    }

    #[test]
    fn ranges_over_several_words() {
        let mut occupancy = Occupancy::default();
        // Slots 120 to 399.
        occupancy.take(120 << 11, 280 << 11);
        for slot in [119, 400] {
            assert!(!occupancy.overlaps(slot << 11, 2048), "{slot}");
        }
        for slot in [120, 127, 128, 256, 383, 384, 399] {
            assert!(occupancy.overlaps(slot << 11, 2048), "{slot}");
        }
        occupancy.give(120 << 11, 280 << 11);
        assert!(!occupancy.overlaps(0, 512 << 11));
        occupancy.take(u64::MAX - 5, 100);
    }
}
