//! The tables in which programs count, as far as they were added to while every probe was attached
//! ([`super::window`]).

use std::io;
use std::ops::Range;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicU64, Ordering};

use rustc_hash::FxHashMap;
use tracer_common::counting::{BUCKETS, Slot};

use super::mapping::Mapping;
use crate::stat::Cell;

/// Bytes of a slot.
pub const SLOT_BYTES: usize = size_of::<Slot>();
/// Bytes of a histogram.
pub const HISTOGRAM_BYTES: usize = BUCKETS * size_of::<u64>();

/// A slot that goes on being added to is read at most so often until two readings are the same.
const MOST_READINGS: usize = 16;

/// Values of an array map, in memory that is the kernel's own.
struct Words {
    mapping: Mapping,
    count: usize,
}

impl Words {
    fn of(map: BorrowedFd<'_>, bytes: usize) -> io::Result<Self> {
        Ok(Self { mapping: Mapping::new(map, bytes)?, count: bytes / size_of::<u64>() })
    }

    /// So many words from one on; none beyond the end.
    fn get(&self, range: Range<usize>) -> &[AtomicU64] {
        if range.end > self.count {
            return &[];
        }
        let words: *mut AtomicU64 = self.mapping.start().cast();
        // SAFETY: within the mapping, which lives as long as `self`; programs change whole words.
        unsafe { std::slice::from_raw_parts(words.add(range.start), range.len()) }
    }
}

/// Slots and their histograms.
pub struct Tables {
    slots: Words,
    buckets: Option<Words>,
    count: usize,
    /// What was in them when every probe was attached.
    before: FxHashMap<usize, Cell>,
    /// What was in them when the first probe was about to be detached.
    closed: Option<FxHashMap<usize, Cell>>,
}

impl Tables {
    /// So many slots, and as many histograms where there are any.
    ///
    /// # Errors
    /// When they cannot be had in memory.
    pub fn new(slots: BorrowedFd<'_>, buckets: Option<BorrowedFd<'_>>, count: usize) -> io::Result<Self> {
        let buckets = buckets.map(|map| Words::of(map, count * HISTOGRAM_BYTES)).transpose()?;
        let slots = Words::of(slots, count * SLOT_BYTES)?;
        Ok(Self { slots, buckets, count, before: FxHashMap::default(), closed: None })
    }

    /// Every probe is attached: what was counted before does not count.
    pub fn begin(&mut self) {
        self.before = self.snapshot();
    }

    /// Probes are about to be detached: what is counted from now on does not count.
    pub fn close(&mut self) {
        self.closed = Some(self.snapshot());
    }

    /// What was counted in a slot while every probe was attached; `None` when nothing was.
    pub fn cell(&self, slot: usize) -> Option<Cell> {
        let now = match &self.closed {
            Some(closed) => closed.get(&slot).cloned(),
            None => self.read(slot),
        }?;
        let since = self.before.get(&slot).map_or_else(|| now.clone(), |before| now.since(before));
        (since.count > 0).then_some(since)
    }

    /// How many events were counted in a slot before or after that.
    pub fn outside(&self, slot: usize) -> u64 {
        let all = self.read(slot).map_or(0, |cell| cell.count);
        all - self.cell(slot).map_or(0, |cell| cell.count)
    }

    /// The key of a slot; 0 where it has none.
    pub fn key(&self, slot: usize) -> u64 {
        self.words(slot)[0]
    }

    fn snapshot(&self) -> FxHashMap<usize, Cell> {
        (0..self.count).filter_map(|slot| Some((slot, self.read_settled(slot)?))).collect()
    }

    /// A slot of which count, sum and histogram are of the same moment, unless it is added to all the while.
    fn read_settled(&self, slot: usize) -> Option<Cell> {
        let mut cell = self.read(slot)?;
        for _ in 0..MOST_READINGS {
            let again = self.read(slot)?;
            if again == cell {
                break;
            }
            cell = again;
        }
        Some(cell)
    }

    fn read(&self, slot: usize) -> Option<Cell> {
        let [_, count, sum, measured] = self.words(slot);
        if count == 0 {
            return None;
        }
        let buckets = self.buckets.as_ref().filter(|_| measured > 0).map(|words| {
            let mut buckets = Box::new([0; BUCKETS]);
            let shared = words.get(slot * BUCKETS..(slot + 1) * BUCKETS);
            buckets
                .iter_mut()
                .zip(shared)
                .for_each(|(count, shared)| *count = shared.load(Ordering::Relaxed));
            buckets
        });
        Some(Cell { count, sum, measured, buckets })
    }

    fn words(&self, slot: usize) -> [u64; SLOT_BYTES / size_of::<u64>()] {
        let mut words = [0; SLOT_BYTES / size_of::<u64>()];
        let first = slot * words.len();
        let shared = self.slots.get(first..first + words.len());
        words.iter_mut().zip(shared).for_each(|(word, shared)| *word = shared.load(Ordering::Relaxed));
        words
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::AsFd;
    use std::os::unix::fs::FileExt;

    use super::*;

    const COUNT: usize = 3;

    /// The programs' end: key, events, sum and events with a value of a slot.
    fn count(file: &File, slot: usize, words: [u64; 4]) {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        file.write_all_at(&bytes, (slot * SLOT_BYTES) as u64).expect("written");
    }

    fn tables() -> (File, Tables) {
        let file = tempfile::tempfile().expect("a file");
        file.set_len((COUNT * SLOT_BYTES) as u64).expect("its size");
        let tables = Tables::new(file.as_fd(), None, COUNT).expect("memory");
        (file, tables)
    }

    fn cell(count: u64, sum: u64) -> Option<Cell> {
        Some(Cell { count, sum, measured: count, buckets: None })
    }

    #[test]
    fn only_what_comes_while_every_probe_is_attached_counts() {
        let (file, mut tables) = tables();
        count(&file, 0, [7, 10, 100, 10]);
        count(&file, 1, [8, 5, 50, 5]);
        assert_eq!(tables.cell(0), cell(10, 100));
        tables.begin();
        assert_eq!((tables.cell(0), tables.cell(1)), (None, None));
        count(&file, 0, [7, 12, 130, 12]);
        count(&file, 2, [9, 1, 4, 1]);
        assert_eq!((tables.cell(0), tables.cell(1), tables.cell(2)), (cell(2, 30), None, cell(1, 4)));
        tables.close();
        count(&file, 0, [7, 20, 200, 20]);
        count(&file, 1, [8, 6, 60, 6]);
        assert_eq!((tables.cell(0), tables.cell(1), tables.cell(2)), (cell(2, 30), None, cell(1, 4)));
        assert_eq!([0, 1, 2].map(|slot| tables.outside(slot)), [18, 6, 0]);
        assert_eq!([0, 1, 2].map(|slot| tables.key(slot)), [7, 8, 9]);
    }

    #[test]
    fn there_is_nothing_beyond_the_end() {
        let (_file, tables) = tables();
        assert_eq!((tables.cell(COUNT), tables.key(COUNT), tables.outside(COUNT)), (None, 0, 0));
    }
}
