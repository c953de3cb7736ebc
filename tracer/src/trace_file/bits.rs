//! Numbers of a few bits each, side by side without gaps.
//!
//! Number `i` of width `w` takes the bits `i * w` to `(i + 1) * w` of the byte string, where bit `b` is bit
//! `b % 8` (from the lowest) of byte `b / 8`.

/// Most numbers packed at once.
pub const BLOCK: usize = 64;

/// Bytes that `count` numbers of `width` bits take.
pub const fn packed_size(count: usize, width: u32) -> usize {
    (count * width as usize).div_ceil(8)
}

/// A mask of the lowest `width` bits, 1 to 64.
pub const fn mask(width: u32) -> u64 {
    u64::MAX >> (u64::BITS - width)
}

/// Appends the first `count` numbers with `width` bits each (1 to 64). No number may have a bit beyond
/// them. `numbers` is used up.
#[inline(always)]
pub fn pack(numbers: &mut [u64; BLOCK], count: usize, width: u32, out: &mut Vec<u8>) {
    let start = out.len();
    let end = start + packed_size(count, width);
    numbers[count..].fill(0);
    // Two neighbours become one number of twice the width for as long as that fits a word: these loops
    // have no carried state, so the compiler makes vector code of them.
    let (mut length, mut width) = (BLOCK, width);
    while width <= u64::BITS / 2 && length > 1 {
        length /= 2;
        for i in 0..length {
            numbers[i] = numbers[2 * i] | numbers[2 * i + 1] << width;
        }
        width *= 2;
    }
    out.resize(start + (length * width as usize).div_ceil(u64::BITS as usize) * 8, 0);
    let mut words = out[start..].as_chunks_mut().0.iter_mut();
    let (mut word, mut filled) = (0, 0);
    for &number in &numbers[..length] {
        word |= number << filled;
        filled += width;
        if filled >= u64::BITS {
            if let Some(place) = words.next() {
                *place = word.to_le_bytes();
            }
            filled -= u64::BITS;
            // The bits of the number that did not fit: none when it ended with the word.
            word = if filled == 0 { 0 } else { number >> (width - filled) };
        }
    }
    if let Some(place) = words.next() {
        *place = word.to_le_bytes();
    }
    out.truncate(end);
}

/// Reads `count` numbers (at most [`BLOCK`]) of `width` bits (1 to 64) from exactly
/// [`packed_size`] bytes.
pub fn unpack(bytes: &[u8], count: usize, width: u32, numbers: &mut [u64; BLOCK]) {
    // Room for a read of 16 bytes at the last number.
    let mut padded = [0; BLOCK * 8 + 16];
    padded[..bytes.len()].copy_from_slice(bytes);
    let mask = mask(width);
    for (i, number) in numbers.iter_mut().enumerate().take(count) {
        let bit = i * width as usize;
        let shift = bit % 8;
        // Seven bits before it and 57 of the number fit a word.
        *number = if width <= u64::BITS - 7 {
            u64::from_le_bytes(array(&padded, bit / 8)) >> shift & mask
        } else {
            (u128::from_le_bytes(array(&padded, bit / 8)) >> shift) as u64 & mask
        };
    }
}

fn array<const N: usize>(bytes: &[u8], offset: usize) -> [u8; N] {
    bytes[offset..offset + N].try_into().expect("the slice has the length of the array")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn three_numbers_of_five_bits() {
        let mut numbers = [0; BLOCK];
        numbers[..3].copy_from_slice(&[1, 2, 31]);
        let mut out = Vec::new();
        pack(&mut numbers, 3, 5, &mut out);
        assert_eq!(out, [0b0100_0001, 0b0111_1100]);
    }

    proptest! {
        #[test]
        fn every_width_comes_back(
            numbers in proptest::array::uniform32(any::<u64>()), count in 1..=32_usize, width in 1..=64_u32,
        ) {
            let mut block = [0; BLOCK];
            for (slot, number) in block.iter_mut().zip(numbers).take(count) {
                *slot = number & mask(width);
            }
            let expected = block;
            let mut out = vec![0xaa];
            pack(&mut block, count, width, &mut out);
            prop_assert_eq!(out.len(), 1 + packed_size(count, width));
            let mut back = [0; BLOCK];
            unpack(&out[1..], count, width, &mut back);
            prop_assert_eq!(back, expected);
        }
    }

    #[test]
    fn whole_blocks_of_every_width() {
        for width in 1..=64 {
            let expected: [u64; BLOCK] =
                std::array::from_fn(|i| (i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) & mask(width));
            let mut out = Vec::new();
            pack(&mut expected.clone(), BLOCK, width, &mut out);
            let mut back = [0; BLOCK];
            unpack(&out, BLOCK, width, &mut back);
            assert_eq!(back, expected, "width {width}");
        }
    }
}
