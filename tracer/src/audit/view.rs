//! What is printed: ranges of entries with everything known of them, and sums.

use std::collections::BTreeMap;
use std::fs::File;

use serde::Serialize;

use super::entry::{Entry, EntryRange, Kind, merge};
use super::page_lock::{self, Locked};
use super::process::{Process, Snapshot};
use super::vma::Vma;

/// Neighbouring pages with like entries.
#[derive(Clone, Debug)]
pub struct View<'a> {
    /// Whose they are.
    pub process: &'a Process,
    /// The VMA they are in.
    pub vma: Option<&'a Vma>,
    /// The pages.
    pub range: EntryRange,
    /// First address behind them.
    pub end: u64,
    /// How many of the pages were locked; `None` where that cannot be read or there are no pages.
    pub locked: Option<Locked>,
}

/// Entries of a snapshot, put together to ranges. `page_flags` is an open `/proc/kpageflags`.
pub fn views<'a>(
    snapshot: &'a Snapshot,
    entries: &[Entry],
    page_size: u64,
    page_flags: Option<&File>,
) -> Vec<View<'a>> {
    let vmas = &snapshot.vmas;
    let is_border = |address| vmas.binary_search_by_key(&address, |vma| vma.start).is_ok();
    merge(entries, page_size, is_border)
        .into_iter()
        .map(|range| {
            let behind = vmas.partition_point(|vma| vma.start <= range.start);
            let vma = behind.checked_sub(1).map(|index| &vmas[index]).filter(|vma| range.start < vma.end);
            let locked = page_flags
                .filter(|_| !range.frames.is_empty())
                .map(|file| page_lock::count(file, &range.frames));
            let end = range.start + range.pages * page_size;
            View { process: &snapshot.process, vma, range, end, locked }
        })
        .collect()
}

/// What was seen in all processes together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Processes that were looked at.
    pub processes: u64,
    /// Of these, with entries other than those of pages in swap.
    pub with_entries: u64,
    /// Entries by kind, pages in swap included.
    pub counts: BTreeMap<Kind, u64>,
    /// Processes that ended meanwhile.
    pub vanished: u64,
    /// Processes that the kernel does not let us look at.
    pub denied: u64,
    /// Kernel threads and zombies.
    pub without_memory: u64,
}

impl Totals {
    /// Adds a process.
    pub fn add(&mut self, snapshot: &Snapshot) {
        self.processes += 1;
        self.with_entries += u64::from(snapshot.total() > 0);
        for (kind, count) in &snapshot.counts {
            *self.counts.entry(*kind).or_default() += count;
        }
    }

    /// How many entries of a kind.
    pub fn count(&self, kind: Kind) -> u64 {
        self.counts.get(&kind).copied().unwrap_or(0)
    }
}

/// Whether a range stood at the first look, came or went since the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// Was there at the first look.
    Stands,
    /// Is there, and was not at the look before.
    Came,
    /// Was there at the look before.
    Went,
}
