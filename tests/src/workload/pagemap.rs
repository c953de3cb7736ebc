//! `/proc/PID/pagemap`: where each page of a mapping is (Documentation/admin-guide/mm/pagemap.rst).

use std::fs::{self, File};
use std::os::unix::fs::FileExt;

use anyhow::Context;

use super::memory::page_size;

const PRESENT: u64 = 1 << 63;
const SWAPPED: u64 = 1 << 62;
const WRITE_PROTECTED: u64 = 1 << 57;
const SOFT_DIRTY: u64 = 1 << 55;
const PFN_MASK: u64 = (1 << 55) - 1;
/// The type lies in the lowest bits of a swap entry's word (6.12 fs/proc/task_mmu.c, `pte_to_pagemap_entry`).
const SWAP_TYPE_MASK: u64 = (1 << 5) - 1;

/// The state of one page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PageState(u64);

impl PageState {
    /// A page-table entry points to memory.
    pub(super) const fn present(self) -> bool {
        self.0 & PRESENT != 0
    }

    /// The entry is a swap entry: of a swap device, or a migration, device-private or device-exclusive one.
    pub(super) const fn swapped(self) -> bool {
        self.0 & SWAPPED != 0
    }

    /// The type of a [swap entry](Self::swapped).
    pub(super) const fn swap_type(self) -> Option<u64> {
        if self.swapped() && !self.present() { Some(self.0 & SWAP_TYPE_MASK) } else { None }
    }

    /// The page was written to since the bits were cleared; never so without CONFIG_MEM_SOFT_DIRTY.
    pub(super) const fn soft_dirty(self) -> bool {
        self.0 & SOFT_DIRTY != 0
    }

    /// Write-protected through userfaultfd.
    pub(super) const fn write_protected(self) -> bool {
        self.0 & WRITE_PROTECTED != 0
    }

    /// Page frame number; 0 when the page is not present or the process lacks CAP_SYS_ADMIN.
    pub(super) const fn pfn(self) -> u64 {
        if self.present() { self.0 & PFN_MASK } else { 0 }
    }
}

/// The states of `count` pages from `address` on, in the calling process.
pub(super) fn page_states(address: u64, count: usize) -> anyhow::Result<Vec<PageState>> {
    let file = File::open("/proc/self/pagemap").context("cannot open /proc/self/pagemap")?;
    let mut bytes = vec![0; count * size_of::<u64>()];
    file.read_exact_at(&mut bytes, address / page_size() as u64 * size_of::<u64>() as u64)
        .context("cannot read /proc/self/pagemap")?;
    let (words, _) = bytes.as_chunks();
    Ok(words.iter().map(|word| PageState(u64::from_ne_bytes(*word))).collect())
}

/// Clears the soft-dirty bits of the calling process: those of its entries, and those of its VMAs, which make
/// every page of a new VMA look dirty.
pub(super) fn clear_soft_dirty() -> anyhow::Result<()> {
    fs::write("/proc/self/clear_refs", "4").context("cannot write /proc/self/clear_refs")
}
