//! Records taken apart into the columns of a frame of events.
//!
//! Layout of the payload, all little-endian: number of kinds (u16) and of runs (u32); for each kind its
//! number (u16) and its records (u32); two columns with an entry for each run, a stretch of records of the
//! same kind: the place of the kind in that table, and the length of the run; then for each kind, for each
//! 8-byte word of its record, one column (see [`column`](super::column)).

use super::bits::BLOCK;
use super::column::{Encoder, WORD};

/// Puts the words of records into the blocks of their columns, from one place of each on.
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

fn store<const WORDS: usize>(blocks: &mut [[u64; BLOCK]], records: &[u8], at: usize) {
    let Some(blocks) = blocks.first_chunk_mut::<WORDS>() else { return };
    if WORDS == 0 {
        return;
    }
    let records = records.as_chunks::<WORD>().0.chunks_exact(WORDS).filter_map(<[_]>::first_chunk::<WORDS>);
    for (at, words) in (at..BLOCK).zip(records) {
        for (block, word) in blocks.iter_mut().zip(words) {
            block[at] = u64::from_le_bytes(*word);
        }
    }
}

fn store_long(blocks: &mut [[u64; BLOCK]], records: &[u8], at: usize) {
    let records = records.as_chunks::<WORD>().0.chunks_exact(blocks.len());
    for (at, words) in (at..BLOCK).zip(records) {
        for (block, word) in blocks.iter_mut().zip(words) {
            block[at] = u64::from_le_bytes(*word);
        }
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

impl Kind {
    /// Encodes blocks that are full.
    fn end_block(&mut self, numbers: &mut [u64; BLOCK]) {
        for (block, encoder) in self.blocks.iter_mut().zip(&mut self.encoders) {
            encoder.block(block, BLOCK, numbers);
        }
    }
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

    /// Makes records of a kind known; gives the handle for [`push_run`](Self::push_run). `record_size` is a
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

    /// Takes records of `size` bytes, the size of their kind, one after the other.
    #[inline]
    pub fn push_run(&mut self, handle: u16, mut records: &[u8], size: usize) {
        if handle != self.run {
            self.change_run(handle);
        }
        let kind = &mut self.kinds[usize::from(handle)];
        while !records.is_empty() {
            let at = kind.count as usize % BLOCK;
            let (block, later) = records.split_at(records.len().min((BLOCK - at) * size));
            (kind.store)(&mut kind.blocks, block, at);
            let taken = block.len() / size;
            kind.count += taken as u32;
            self.count += taken as u32;
            if at + taken == BLOCK {
                kind.end_block(&mut self.numbers);
            }
            records = later;
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
