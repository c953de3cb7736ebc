//! One column: the same 8-byte word of every record of one kind, made small and made again.
//!
//! A column is its first value and then blocks of 64 values. Each block takes one of four forms,
//! whichever is the smallest of those that cost little to find:
//!
//! * *same*: every value equals the one before the block (unused fields, one task, one processor);
//! * *list*: indexes into the few values that the column had so far (tasks, page flags);
//! * *difference*: to the value before (time, pages in order);
//! * *replace*: only some bits differ from the value before the block (durations, pages at random, counts).
//!
//! What is left is noise, and packed to the bit. Measured on synthetic `try_to_unmap` events of 56 bytes,
//! in x86-64 instructions an event for the whole writer: one process that unmaps pages in order, 1.9 bytes
//! and 131 instructions; two processes, pages at random, with latency, 6.0 bytes and 214. Byte planes of
//! whole columns under zstd level 1 gave 5.6 bytes for the latter, but took 393 without the rest of the
//! writer; zstd level 1 on plain records 6.9 bytes, even without latency, in more than twice the time.

use multiversion::multiversion;

use super::bits::{self, BLOCK, mask, pack, packed_size};
use super::list::{LIST_MAX, List};

/// The form in the two highest bits of a block's first byte; the lower six are the width less 1.
mod form {
    pub const SAME: u8 = 0;
    pub const DIFFERENCE: u8 = 1;
    pub const LIST: u8 = 2;
    pub const REPLACE: u8 = 3;
}

/// Bytes of a value; the size of every record is a multiple.
pub const WORD: usize = 8;

/// A block that replaces this many bits or fewer does not look for a smaller form.
const WIDTH_WORTH_MORE: u32 = 4;

/// A column gives up its list when one block adds more values than this.
const LIST_NEW_MAX: usize = 16;

/// Why a column cannot be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The payload ends inside a column.
    #[error("a column ends early")]
    Short,
    /// The first byte of a block is none that this version writes.
    #[error("unknown block {0:#04x}")]
    Block(u8),
    /// Shift and width go beyond a word.
    #[error("a block of {width} bits shifted by {shift} is wider than a word")]
    Width {
        /// Bits of a number.
        width: u32,
        /// Bits below it.
        shift: u32,
    },
    /// An index beyond the list, or too long a list.
    #[error("a block's list does not fit its indexes")]
    List,
}

/// Encodes one column, block by block.
#[derive(Debug)]
pub struct Encoder {
    /// The value before the block; `None` before the first.
    previous: Option<u64>,
    /// `None` when it grew too fast.
    list: Option<Box<List>>,
    bytes: Vec<u8>,
}

impl Encoder {
    /// An empty column.
    pub fn new() -> Self {
        Self { previous: None, list: Some(Box::new(List::new())), bytes: Vec::new() }
    }

    /// What was encoded since the last [`clear`](Self::clear).
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Begins a new column in the same memory.
    pub fn clear(&mut self) {
        self.previous = None;
        self.bytes.clear();
        match &mut self.list {
            Some(list) => list.clear(),
            None => self.list = Some(Box::new(List::new())),
        }
    }

    /// Appends the first `count` values, at least 1, as a block. Only the last block of a column may have
    /// fewer than [`BLOCK`]. `numbers` is room to work in.
    pub fn block(&mut self, values: &mut [u64; BLOCK], count: usize, numbers: &mut [u64; BLOCK]) {
        encode(self, values, count, numbers);
    }

    #[inline(always)]
    fn numbers(&mut self, form: u8, numbers: &mut [u64; BLOCK], count: usize, width: u32, shift: u32) {
        self.bytes.extend_from_slice(&[form << 6 | (width - 1) as u8, shift as u8]);
        pack(numbers, count, width, &mut self.bytes);
    }

    /// Appends the block as a list when that takes fewer than `best` bits a value.
    #[inline(always)]
    fn list_block(
        &mut self,
        values: &[u64; BLOCK],
        count: usize,
        best: u32,
        indexes: &mut [u64; BLOCK],
    ) -> bool {
        let Some(list) = &mut self.list else { return false };
        let known = list.values().len();
        let limit = (known + LIST_NEW_MAX).min(LIST_MAX);
        // Not the first value, whatever that is.
        let (mut last, mut index) = (!values[0], 0);
        for (slot, &value) in indexes.iter_mut().zip(&values[..count]) {
            if last != value {
                let Some(found) = list.index_of(value, limit) else {
                    self.list = None;
                    return false;
                };
                (last, index) = (value, u64::from(found));
            }
            *slot = index;
        }
        let width = index_width(list.values().len());
        let new = list.values().len() - known;
        if width as usize * count + new * u64::BITS as usize >= best as usize * count {
            // The reader would not know the values that this block has added.
            self.list = None;
            return false;
        }
        let new = &list.values()[known..];
        // At most LIST_NEW_MAX new values.
        self.bytes.extend_from_slice(&[form::LIST << 6 | (width - 1) as u8, new.len() as u8]);
        self.bytes.extend(new.iter().flat_map(|value| value.to_le_bytes()));
        pack(indexes, count, width, &mut self.bytes);
        true
    }
}

/// [`Encoder::block`]. Compiled twice, the second time for processors with AVX2, where its loops take half the
/// instructions: it runs beside the traced workload.
#[multiversion(targets("x86_64+avx+avx2+bmi1+bmi2+lzcnt+popcnt"))]
fn encode(encoder: &mut Encoder, values: &mut [u64; BLOCK], count: usize, numbers: &mut [u64; BLOCK]) {
    let previous = match encoder.previous {
        Some(previous) => previous,
        None => {
            encoder.bytes.extend_from_slice(&values[0].to_le_bytes());
            values[0]
        }
    };
    let last = values[count - 1];
    encoder.previous = Some(last);
    // What stands behind a short block must not count.
    values[count..].fill(last);
    let replaced = values.iter().fold(0, |bits, value| bits | (value ^ previous));
    let width = bit_width(replaced);
    if width == 0 {
        encoder.bytes.push(form::SAME);
        return;
    }
    if width > WIDTH_WORTH_MORE {
        if encoder.list_block(values, count, width, numbers) {
            return;
        }
        numbers[0] = zigzag(values[0].wrapping_sub(previous));
        for i in 1..BLOCK {
            numbers[i] = zigzag(values[i].wrapping_sub(values[i - 1]));
        }
        let differences = numbers.iter().fold(0, |bits, number| bits | number);
        if bit_width(differences) < width {
            let shift = differences.trailing_zeros();
            numbers.iter_mut().for_each(|number| *number >>= shift);
            encoder.numbers(form::DIFFERENCE, numbers, count, bit_width(differences), shift);
            return;
        }
    }
    let (shift, mask) = (replaced.trailing_zeros(), mask(width));
    for (number, value) in numbers.iter_mut().zip(values) {
        *number = *value >> shift & mask;
    }
    encoder.numbers(form::REPLACE, numbers, count, width, shift);
}

/// Decodes one column of `count` values (at least 1) from the start of `bytes`, which moves behind it.
///
/// `store` gets the number of the first value and the values of each block.
///
/// # Errors
/// When the bytes are no column of that many values.
pub fn decode(
    bytes: &mut &[u8],
    count: usize,
    mut store: impl FnMut(usize, &[u64]),
) -> Result<(), Malformed> {
    let mut previous = take_word(bytes)?;
    let mut list = Vec::new();
    let mut numbers = [0; BLOCK];
    for start in (0..count).step_by(BLOCK) {
        let length = (count - start).min(BLOCK);
        let first = take(bytes, 1)?[0];
        let width = u32::from(first & 0x3f) + 1;
        match first >> 6 {
            form::SAME if first == form::SAME => numbers.fill(previous),
            form::SAME => return Err(Malformed::Block(first)),
            form::LIST => {
                for _ in 0..take(bytes, 1)?[0] {
                    list.push(take_word(bytes)?);
                }
                if list.len() > LIST_MAX || width > u8::BITS {
                    return Err(Malformed::List);
                }
                take_numbers(bytes, length, width, &mut numbers)?;
                for number in &mut numbers[..length] {
                    *number = *list.get(*number as usize).ok_or(Malformed::List)?;
                }
            }
            other => {
                let shift = u32::from(take(bytes, 1)?[0]);
                if width + shift > u64::BITS {
                    return Err(Malformed::Width { width, shift });
                }
                take_numbers(bytes, length, width, &mut numbers)?;
                if other == form::DIFFERENCE {
                    let mut value = previous;
                    for number in &mut numbers {
                        value = value.wrapping_add(unzigzag(*number << shift));
                        *number = value;
                    }
                } else {
                    let kept = previous & !(mask(width) << shift);
                    numbers.iter_mut().for_each(|number| *number = kept | *number << shift);
                }
            }
        }
        previous = numbers[length - 1];
        store(start, &numbers[..length]);
    }
    Ok(())
}

fn take_numbers(
    bytes: &mut &[u8],
    count: usize,
    width: u32,
    numbers: &mut [u64; BLOCK],
) -> Result<(), Malformed> {
    bits::unpack(take(bytes, packed_size(count, width))?, count, width, numbers);
    Ok(())
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Result<&'a [u8], Malformed> {
    let (taken, rest) = bytes.split_at_checked(length).ok_or(Malformed::Short)?;
    *bytes = rest;
    Ok(taken)
}

fn take_word(bytes: &mut &[u8]) -> Result<u64, Malformed> {
    let (word, rest) = bytes.split_first_chunk().ok_or(Malformed::Short)?;
    *bytes = rest;
    Ok(u64::from_le_bytes(*word))
}

/// Bits that are left of a number when the zeros above and below `bits` are cut off.
const fn bit_width(bits: u64) -> u32 {
    if bits == 0 { 0 } else { u64::BITS - bits.leading_zeros() - bits.trailing_zeros() }
}

/// Bits of an index into that many values, at least 1.
const fn index_width(values: usize) -> u32 {
    if values <= 2 { 1 } else { usize::BITS - (values - 1).leading_zeros() }
}

/// Small for differences of both signs: 0, -1, 1, -2 become 0, 1, 2, 3.
const fn zigzag(difference: u64) -> u64 {
    (difference << 1) ^ ((difference as i64 >> 63) as u64)
}

const fn unzigzag(number: u64) -> u64 {
    (number >> 1) ^ (number & 1).wrapping_neg()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encoded(values: &[u64]) -> Vec<u8> {
        let mut encoder = Encoder::new();
        for chunk in values.chunks(BLOCK) {
            let mut block = [0; BLOCK];
            block[..chunk.len()].copy_from_slice(chunk);
            encoder.block(&mut block, chunk.len(), &mut [0; BLOCK]);
        }
        encoder.bytes().to_vec()
    }

    fn decoded(mut bytes: &[u8], count: usize) -> Result<(Vec<u64>, usize), Malformed> {
        let mut values = Vec::new();
        decode(&mut bytes, count, |_, block| values.extend_from_slice(block))?;
        Ok((values, bytes.len()))
    }

    #[test]
    fn the_four_forms() {
        let first = 0x1122_3344_5566_7788_u64;
        let word = first.to_le_bytes();
        assert_eq!(encoded(&[first; 3]), [&word[..], &[0x00]].concat());
        // Differences 0, 64, 64, -64: zigzag 0, 128, 128, 127; two bits after no shift would be 8.
        assert_eq!(encoded(&[first, first + 64, first + 128])[8..], [0x40, 7, 0b110]);
        // Bits 4 and 5 differ and the differences are wider.
        assert_eq!(encoded(&[0x100, 0x130, 0x100, 0x120])[8..], [0xc1, 4, 0b10_00_11_00]);
        // Two values far apart, often enough.
        let (one, two) = (0x0000_1092_0000_1092_u64, 0x0000_141e_0000_141e_u64);
        let expected =
            [&one.to_le_bytes()[..], &[0x80, 2], &one.to_le_bytes(), &two.to_le_bytes(), &[0b0110]].concat();
        assert_eq!(encoded(&[one, two, two, one, one]), expected);
    }

    /// Values as columns have them: steps, few values, noise in some bits, and anything.
    fn column() -> impl Strategy<Value = Vec<u64>> {
        let step =
            (any::<u64>(), prop::collection::vec(-5000..100_000_i64, 1..300)).prop_map(|(start, steps)| {
                steps
                    .iter()
                    .scan(start, |at, step| {
                        *at = at.wrapping_add_signed(*step);
                        Some(*at)
                    })
                    .collect()
            });
        let few = prop::collection::vec(any::<u64>(), 1..140)
            .prop_flat_map(|values| prop::collection::vec(prop::sample::select(values), 1..600));
        let noise = (any::<u64>(), any::<u64>(), prop::collection::vec(any::<u64>(), 1..300))
            .prop_map(|(base, mask, noise)| noise.iter().map(|noise| base ^ (noise & mask)).collect());
        let any = prop::collection::vec(any::<u64>(), 1..200);
        let piece = prop_oneof![step, few, noise, any];
        prop::collection::vec(piece, 1..3).prop_map(|pieces: Vec<Vec<u64>>| pieces.concat())
    }

    proptest! {
        #[test]
        fn every_column_comes_back(values in column()) {
            let bytes = encoded(&values);
            prop_assert_eq!(decoded(&bytes, values.len()).unwrap(), (values, 0));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), count in 1..300_usize) {
            let _ = decoded(&bytes, count);
        }
    }

    #[test]
    fn malformed_columns() {
        let word = [0; 8];
        let with = |rest: &[u8]| decoded(&[&word[..], rest].concat(), 2);
        assert_eq!(decoded(&word[..7], 1), Err(Malformed::Short));
        assert_eq!(with(&[]), Err(Malformed::Short));
        assert_eq!(with(&[0x05]), Err(Malformed::Block(0x05)));
        assert_eq!(with(&[0xff, 1]), Err(Malformed::Width { width: 64, shift: 1 }));
        assert_eq!(with(&[0x80, 0, 0]), Err(Malformed::List));
        assert_eq!(with(&[0x89, 0, 0, 0, 0]), Err(Malformed::List));
        assert_eq!(with(&[0x40, 0]), Err(Malformed::Short));
    }
}
