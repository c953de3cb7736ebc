//! The payload of a frame of events: records taken apart into columns, and put together again.
//!
//! Layout, all little-endian: number of kinds (u16) and of runs (u32); for each kind its number (u16) and its
//! records (u32); two columns with an entry for each run, a stretch of records of the same kind: the place
//! of the kind in that table, and the length of the run; then for each kind, for each 8-byte word of its
//! record, one column (see [`column`](super::column)).

use super::bits::BLOCK;
use super::column::{self, Encoder};

/// Bytes of a word; the size of every record is a multiple.
pub const WORD: usize = 8;

/// Where a record has the number of its kind (`tracer_common::event::Header`).
const KIND_AT: usize = 16;

/// Bytes of one entry of the table of kinds.
const ENTRY_SIZE: usize = 6;

/// Puts the words of one record into the blocks of their columns, at one place of each.
type Store = fn(&mut [[u64; BLOCK]], &[u8], usize);

/// Copies of [`store`] for records of so many words: without its loop it takes half the instructions, and
/// it runs for every event beside the traced workload.
const STORES: [Store; 17] = [
    store::<0>,
    store::<1>,
    store::<2>,
    store::<3>,
    store::<4>,
    store::<5>,
    store::<6>,
    store::<7>,
    store::<8>,
    store::<9>,
    store::<10>,
    store::<11>,
    store::<12>,
    store::<13>,
    store::<14>,
    store::<15>,
    store::<16>,
];

fn store<const WORDS: usize>(blocks: &mut [[u64; BLOCK]], record: &[u8], at: usize) {
    let words = record.as_chunks::<WORD>().0.first_chunk::<WORDS>();
    if let (Some(blocks), Some(words)) = (blocks.first_chunk_mut::<WORDS>(), words) {
        for (block, word) in blocks.iter_mut().zip(words) {
            block[at % BLOCK] = u64::from_le_bytes(*word);
        }
    }
}

fn store_long(blocks: &mut [[u64; BLOCK]], record: &[u8], at: usize) {
    for (block, word) in blocks.iter_mut().zip(record.as_chunks::<WORD>().0) {
        block[at % BLOCK] = u64::from_le_bytes(*word);
    }
}

/// [`Kind::place`] of a kind without a record in this frame, and a handle that no kind has.
const NONE: u16 = u16::MAX;

/// The columns of the records of one kind.
#[derive(Debug)]
struct Kind {
    number: u16,
    /// Place in the frame's table of kinds.
    place: u16,
    count: u32,
    store: Store,
    /// The block of each column that is not full yet.
    blocks: Vec<[u64; BLOCK]>,
    /// The blocks before it.
    encoders: Vec<Encoder>,
}

/// A column whose values come one at a time.
#[derive(Debug)]
struct Column {
    block: [u64; BLOCK],
    encoder: Encoder,
}

impl Column {
    fn push(&mut self, at: u32, value: u64, numbers: &mut [u64; BLOCK]) {
        let at = at as usize % BLOCK;
        self.block[at] = value;
        if at == BLOCK - 1 {
            self.encoder.block(&mut self.block, BLOCK, numbers);
        }
    }
}

/// The order of the records: for each run the place of its kind and its length.
#[derive(Debug)]
struct Runs {
    count: u32,
    places: Column,
    lengths: Column,
}

/// Collects the records of one frame. Keeps its memory from frame to frame.
#[derive(Debug)]
pub struct Collector {
    kinds: Vec<Kind>,
    /// Handles in the order of their first record in this frame.
    used: Vec<u16>,
    runs: Runs,
    /// Handle of the run that goes on.
    run: u16,
    /// `count` when it began.
    run_start: u32,
    count: u32,
    numbers: [u64; BLOCK],
}

impl Collector {
    /// Without a kind.
    pub fn new() -> Self {
        let column = || Column { block: [0; BLOCK], encoder: Encoder::new() };
        Self {
            kinds: Vec::new(),
            used: Vec::new(),
            runs: Runs { count: 0, places: column(), lengths: column() },
            run: NONE,
            run_start: 0,
            count: 0,
            numbers: [0; BLOCK],
        }
    }

    /// Makes records of a kind known; gives the handle for [`push`](Self::push). `record_size` is a
    /// multiple of 8.
    pub fn add_kind(&mut self, number: u16, record_size: usize) -> u16 {
        let words = record_size / WORD;
        self.kinds.push(Kind {
            number,
            place: NONE,
            count: 0,
            store: STORES.get(words).copied().unwrap_or(store_long),
            blocks: vec![[0; BLOCK]; words],
            encoders: (0..words).map(|_| Encoder::new()).collect(),
        });
        (self.kinds.len() - 1) as u16
    }

    /// Records since the last [`finish`](Self::finish).
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Takes one record, which has the size of its kind.
    #[inline]
    pub fn push(&mut self, handle: u16, record: &[u8]) {
        if handle != self.run {
            self.change_run(handle);
        }
        self.count += 1;
        let kind = &mut self.kinds[usize::from(handle)];
        (kind.store)(&mut kind.blocks, record, kind.count as usize);
        kind.count += 1;
        if kind.count as usize % BLOCK == 0 {
            for (block, encoder) in kind.blocks.iter_mut().zip(&mut kind.encoders) {
                encoder.block(block, BLOCK, &mut self.numbers);
            }
        }
    }

    fn change_run(&mut self, handle: u16) {
        self.end_run();
        let kind = &mut self.kinds[usize::from(handle)];
        if kind.place == NONE {
            kind.place = self.used.len() as u16;
            self.used.push(handle);
        }
        self.run = handle;
        self.run_start = self.count;
    }

    fn end_run(&mut self) {
        if let Some(kind) = self.kinds.get(usize::from(self.run)) {
            let length = self.count - self.run_start;
            self.runs.places.push(self.runs.count, u64::from(kind.place), &mut self.numbers);
            self.runs.lengths.push(self.runs.count, u64::from(length), &mut self.numbers);
            self.runs.count += 1;
        }
    }

    /// Appends the payload of the frame, which has at least one record, and begins the next.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        self.end_run();
        out.extend_from_slice(&(self.used.len() as u16).to_le_bytes());
        out.extend_from_slice(&self.runs.count.to_le_bytes());
        for &handle in &self.used {
            let kind = &self.kinds[usize::from(handle)];
            out.extend_from_slice(&kind.number.to_le_bytes());
            out.extend_from_slice(&kind.count.to_le_bytes());
        }
        let numbers = &mut self.numbers;
        for column in [&mut self.runs.places, &mut self.runs.lengths] {
            finish_column(&mut column.block, &mut column.encoder, self.runs.count, numbers, out);
        }
        for handle in self.used.drain(..) {
            let kind = &mut self.kinds[usize::from(handle)];
            for (block, encoder) in kind.blocks.iter_mut().zip(&mut kind.encoders) {
                finish_column(block, encoder, kind.count, numbers, out);
            }
            kind.count = 0;
            kind.place = NONE;
        }
        self.runs.count = 0;
        self.run = NONE;
        self.count = 0;
    }
}

fn finish_column(
    block: &mut [u64; BLOCK],
    encoder: &mut Encoder,
    count: u32,
    numbers: &mut [u64; BLOCK],
    out: &mut Vec<u8>,
) {
    let rest = count as usize % BLOCK;
    if rest > 0 {
        encoder.block(block, rest, numbers);
    }
    out.extend_from_slice(encoder.bytes());
    encoder.clear();
}

/// Why a payload cannot be taken for a frame of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// It ends in its table of kinds, or in a plain record.
    #[error("the payload ends early")]
    Short,
    /// A kind without a size in the file's header, listed twice, or without a record.
    #[error("the table of kinds has an impossible entry for kind {0:#06x}")]
    Kind(u16),
    /// The counts of the kinds are not the frame's.
    #[error("the kinds have {found} records where the frame's header says {expected}")]
    Count {
        /// Sum over the kinds.
        found: u64,
        /// Items in the frame's header.
        expected: u32,
    },
    /// The records would take more memory than any writer's frame.
    #[error("the records would take {0} bytes")]
    TooLarge(u64),
    /// The runs do not fit the table of kinds.
    #[error("the runs of records do not fit the counts of their kinds")]
    Runs,
    /// A record whose header says another kind than its columns.
    #[error("a record of kind {0:#06x} says another kind")]
    OtherKind(u16),
    /// A column.
    #[error(transparent)]
    Column(#[from] column::Malformed),
    /// Bytes behind the last column.
    #[error("{0} bytes behind the last column")]
    Rest(usize),
}

/// What a reader knows of a kind in a file.
#[derive(Clone, Copy, Debug, Default)]
pub struct RecordLayout {
    /// Bytes of a record: a multiple of 8, at least the size of its header.
    pub size: usize,
    /// Whether this version of the program knows what the bytes mean.
    pub is_known: bool,
}

/// Records of one kind in a decoded frame.
#[derive(Debug, Default)]
struct Group {
    number: u16,
    layout: RecordLayout,
    count: u32,
    records: Vec<u8>,
    /// Where its next record begins.
    position: usize,
}

/// A stretch of records of the same kind.
#[derive(Clone, Copy, Debug)]
struct Run {
    place: u16,
    length: u32,
}

/// The records of one frame, decoded. Keeps its memory from frame to frame.
#[derive(Debug, Default)]
pub struct Records {
    groups: Vec<Group>,
    /// Groups of earlier frames, for their memory.
    spare: Vec<Group>,
    runs: Vec<Run>,
    /// Index of the next run.
    next_run: usize,
    /// Place of the present run.
    place: u16,
    /// Records left in it.
    left: u32,
}

impl Records {
    /// The next record of a known kind, in the order of the stream.
    #[inline]
    pub fn next(&mut self) -> Option<&[u8]> {
        while self.left == 0 {
            let run = self.runs.get(self.next_run)?;
            self.next_run += 1;
            let group = &mut self.groups[usize::from(run.place)];
            if group.layout.is_known {
                (self.place, self.left) = (run.place, run.length);
            }
        }
        self.left -= 1;
        let Group { layout, position, records, .. } = &mut self.groups[usize::from(self.place)];
        let start = *position;
        *position += layout.size;
        records.get(start..*position)
    }

    /// Kinds that this version does not know, with the number of their records.
    pub fn unknown(&self) -> impl Iterator<Item = (u16, u32)> {
        let unknown = self.groups.iter().filter(|group| !group.layout.is_known);
        unknown.map(|group| (group.number, group.count))
    }

    /// Decodes the payload of a frame of `count` events. `layout_of` gives what the file
    /// says of a kind; `limit` is the most bytes that all records may take.
    ///
    /// # Errors
    /// When the payload is malformed; there are no records then.
    pub fn decode(
        &mut self,
        payload: &[u8],
        count: u32,
        layout_of: impl Fn(u16) -> Option<RecordLayout>,
        limit: usize,
    ) -> Result<(), Malformed> {
        self.clear();
        let result = self.fill(payload, count, layout_of, limit);
        if result.is_err() {
            self.clear();
        }
        result
    }

    fn clear(&mut self) {
        self.spare.append(&mut self.groups);
        self.runs.clear();
        (self.next_run, self.left) = (0, 0);
    }

    /// The same for a payload of plain records, one behind the other.
    ///
    /// # Errors
    /// As [`decode`](Self::decode).
    pub fn decode_plain(
        &mut self,
        payload: &[u8],
        count: u32,
        layout_of: impl Fn(u16) -> Option<RecordLayout>,
    ) -> Result<(), Malformed> {
        self.clear();
        let result = self.fill_plain(payload, count, layout_of);
        if result.is_err() {
            self.clear();
        }
        result
    }

    fn fill_plain(
        &mut self,
        mut payload: &[u8],
        count: u32,
        layout_of: impl Fn(u16) -> Option<RecordLayout>,
    ) -> Result<(), Malformed> {
        let mut found = 0;
        while !payload.is_empty() {
            let kind = payload.get(KIND_AT..KIND_AT + 2).ok_or(Malformed::Short)?;
            let number = u16::from_le_bytes([kind[0], kind[1]]);
            let layout = layout_of(number).ok_or(Malformed::Kind(number))?;
            let (record, rest) = payload.split_at_checked(layout.size).ok_or(Malformed::Short)?;
            payload = rest;
            let place = match self.groups.iter().position(|group| group.number == number) {
                Some(place) => place,
                None => {
                    let mut group = self.spare.pop().unwrap_or_default();
                    (group.number, group.layout, group.count, group.position) = (number, layout, 0, 0);
                    group.records.clear();
                    self.groups.push(group);
                    self.groups.len() - 1
                }
            };
            self.groups[place].records.extend_from_slice(record);
            self.groups[place].count += 1;
            found += 1;
            match self.runs.last_mut() {
                Some(run) if usize::from(run.place) == place => run.length += 1,
                // Kinds are 16-bit numbers, so their places are.
                _ => self.runs.push(Run { place: place as u16, length: 1 }),
            }
        }
        let expected = count;
        if found == u64::from(expected) { Ok(()) } else { Err(Malformed::Count { found, expected }) }
    }

    fn fill(
        &mut self,
        payload: &[u8],
        count: u32,
        layout_of: impl Fn(u16) -> Option<RecordLayout>,
        limit: usize,
    ) -> Result<(), Malformed> {
        let mut rest = payload;
        let kinds = usize::from(u16::from_le_bytes(take(&mut rest)?));
        let runs = u32::from_le_bytes(take(&mut rest)?);
        if kinds * ENTRY_SIZE > rest.len() {
            return Err(Malformed::Short);
        }
        while self.groups.len() < kinds {
            self.groups.push(self.spare.pop().unwrap_or_default());
        }
        let (mut records, mut bytes) = (0_u64, 0_u64);
        for i in 0..kinds {
            let number = u16::from_le_bytes(take(&mut rest)?);
            let of_kind = u32::from_le_bytes(take(&mut rest)?);
            let layout = layout_of(number).ok_or(Malformed::Kind(number))?;
            if of_kind == 0 || self.groups[..i].iter().any(|other| other.number == number) {
                return Err(Malformed::Kind(number));
            }
            records += u64::from(of_kind);
            bytes += u64::from(of_kind) * layout.size as u64;
            let group = &mut self.groups[i];
            (group.number, group.layout, group.count) = (number, layout, of_kind);
        }
        if records != u64::from(count) || count == 0 {
            return Err(Malformed::Count { found: records, expected: count });
        }
        if bytes > limit as u64 {
            return Err(Malformed::TooLarge(bytes));
        }
        self.fill_runs(&mut rest, runs, count)?;
        for group in &mut self.groups {
            group.fill(&mut rest)?;
        }
        if rest.is_empty() { Ok(()) } else { Err(Malformed::Rest(rest.len())) }
    }

    fn fill_runs(&mut self, bytes: &mut &[u8], runs: u32, count: u32) -> Result<(), Malformed> {
        if runs == 0 || runs > count {
            return Err(Malformed::Runs);
        }
        let list = &mut self.runs;
        column::decode(bytes, runs as usize, |_, places| {
            // A place beyond the table stays beyond it.
            let run = |place: &u64| Run { place: u16::try_from(*place).unwrap_or(NONE), length: 0 };
            list.extend(places.iter().map(run));
        })?;
        column::decode(bytes, runs as usize, |start, lengths| {
            for (run, length) in list[start..].iter_mut().zip(lengths) {
                // A length beyond the counts stays beyond them.
                run.length = u32::try_from(*length).unwrap_or(u32::MAX);
            }
        })?;
        let mut left: Vec<u32> = self.groups.iter().map(|group| group.count).collect();
        for run in &self.runs {
            let left = left.get_mut(usize::from(run.place)).ok_or(Malformed::Runs)?;
            *left = left.checked_sub(run.length).ok_or(Malformed::Runs)?;
        }
        if left.iter().all(|left| *left == 0) { Ok(()) } else { Err(Malformed::Runs) }
    }
}

impl Group {
    fn fill(&mut self, bytes: &mut &[u8]) -> Result<(), Malformed> {
        let size = self.layout.size;
        self.position = 0;
        self.records.resize(self.count as usize * size, 0);
        for word in 0..size / WORD {
            let records = &mut self.records;
            column::decode(bytes, self.count as usize, |start, values| {
                for (record, value) in records[start * size..].chunks_exact_mut(size).zip(values) {
                    record[word * WORD..][..WORD].copy_from_slice(&value.to_le_bytes());
                }
            })?;
        }
        let kind = self.number.to_le_bytes();
        let same = self.records.chunks_exact(size).all(|record| record[KIND_AT..KIND_AT + 2] == kind);
        if same { Ok(()) } else { Err(Malformed::OtherKind(self.number)) }
    }
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], Malformed> {
    let (taken, rest) = bytes.split_first_chunk().ok_or(Malformed::Short)?;
    *bytes = rest;
    Ok(*taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: u16 = 3;

    fn record(time: u64, task: u32, exit_code: u32) -> Vec<u8> {
        let mut record = time.to_le_bytes().to_vec();
        record.extend_from_slice(&task.to_le_bytes());
        record.extend_from_slice(&task.to_le_bytes());
        record.extend_from_slice(&KIND.to_le_bytes());
        record.extend_from_slice(&1_u16.to_le_bytes());
        record.extend_from_slice(&(-1_i32).to_le_bytes());
        record.extend_from_slice(&u64::from(exit_code).to_le_bytes());
        record
    }

    /// The worked example of docs/trace-file.md.
    #[test]
    fn the_example_of_the_document() {
        let expected = "01 00 01 00 00 00 03 00 05 00 00 00
            00 00 00 00 00 00 00 00 00
            05 00 00 00 00 00 00 00 00
            e8 03 00 00 00 00 00 00 46 03 80 65 46 26 03
            46 00 00 00 46 00 00 00 80 02 46 00 00 00 46 00 00 00 47 00 00 00 47 00 00 00 12
            03 00 01 00 ff ff ff ff 00
            00 00 00 00 00 00 00 00 c0 08 12";
        let records = [
            record(1000, 70, 0),
            record(1300, 71, 256),
            record(1400, 70, 0),
            record(1600, 70, 0),
            record(1800, 71, 256),
        ];
        let mut collector = Collector::new();
        let handle = collector.add_kind(KIND, 32);
        for record in &records {
            collector.push(handle, record);
        }
        let mut payload = Vec::new();
        collector.finish(&mut payload);
        let words: Vec<u8> =
            expected.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect();
        assert_eq!(payload, words);

        let layout = RecordLayout { size: 32, is_known: true };
        let mut decoded = Records::default();
        decoded.decode(&payload, 5, |kind| (kind == KIND).then_some(layout), 1000).unwrap();
        for record in &records {
            assert_eq!(decoded.next(), Some(record.as_slice()));
        }
        assert_eq!(decoded.next(), None);
    }

    #[test]
    fn a_record_longer_than_any_of_today() {
        let long: Vec<u8> = (0..17 * 8).collect();
        let kind = u16::from_le_bytes([long[KIND_AT], long[KIND_AT + 1]]);
        let mut collector = Collector::new();
        let handle = collector.add_kind(kind, long.len());
        collector.push(handle, &long);
        let mut payload = Vec::new();
        collector.finish(&mut payload);
        let layout = RecordLayout { size: long.len(), is_known: true };
        let mut decoded = Records::default();
        decoded.decode(&payload, 1, |_| Some(layout), 1000).unwrap();
        assert_eq!(decoded.next(), Some(long.as_slice()));
    }
}
