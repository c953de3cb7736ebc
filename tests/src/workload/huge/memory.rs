//! Memory of huge pages, and what the kernel says of them.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;

use anyhow::{Context, bail, ensure};
use clap::Args;

use super::super::contiguous::huge_page_size;
use super::super::fact::Facts;
use super::super::memory::{Memory, page_size};
use super::super::system::{compact_memory_elsewhere, drop_page_cache};

/// Pages of a huge one.
pub(super) fn pages_of_one() -> usize {
    huge_page_size() / page_size()
}

/// Compaction does not always find enough pages that can move at the first try.
const TRIES: usize = 5;

const COMPOUND_HEAD: u64 = 1 << 15;
const COMPOUND_TAIL: u64 = 1 << 16;
const MLOCKED: u64 = 1 << 33;

/// How many huge pages, and how they are mapped.
#[derive(Args, Clone, Copy, Debug)]
pub(super) struct Form {
    /// Huge pages of 2 MiB
    #[arg(long, default_value_t = 2)]
    pub(super) folios: usize,
    /// Map them page by page, and not by one entry each
    #[arg(long)]
    pub(super) pte: bool,
}

impl Form {
    /// Number of huge pages.
    pub(super) const fn count(self) -> u64 {
        self.folios as u64
    }

    /// Entries that map the huge pages in one process. Each of them becomes a migration entry, a huge one a huge one.
    pub(super) fn entries(self) -> u64 {
        self.count() * if self.pte { pages_of_one() as u64 } else { 1 }
    }

    /// Maps and fills the memory, and states the first page of each huge one.
    ///
    /// # Errors
    /// When the kernel gives small pages.
    pub(super) fn filled(self, facts: &mut Facts) -> anyhow::Result<HugeMemory> {
        let memory = HugeMemory::filled(self.folios)?;
        if self.pte {
            memory.map_by_page()?;
        }
        let pages = memory.memory.page_list()?;
        facts.pages(memory.firsts().map(|first| pages[first]).collect())?;
        Ok(memory)
    }
}

/// A mapping that is all huge pages at first.
#[derive(Debug)]
pub(super) struct HugeMemory {
    /// The mapping.
    pub(super) memory: Memory,
}

impl HugeMemory {
    /// A mapping of huge pages. Where no memory is left in one piece, it is made: the page cache gives its pages up,
    /// and those that are left move together. Another process moves them: what this one does is counted.
    fn filled(folios: usize) -> anyhow::Result<Self> {
        let _faults = FaultsWithoutCompaction::begin()?;
        let mut huge = 0;
        for _ in 0..TRIES {
            let memory = Memory::map_aligned(folios * pages_of_one(), huge_page_size())?;
            memory.advise(libc::MADV_HUGEPAGE).context("this kernel has no transparent huge pages")?;
            memory.fill();
            // From now on khugepaged must not make one page of many. What is huge stays so.
            memory.advise(libc::MADV_NOHUGEPAGE)?;
            let memory = Self { memory };
            huge = memory.mapped_as_one()?;
            if huge == folios {
                return Ok(memory);
            }
            drop(memory);
            drop_page_cache()?;
            compact_memory_elsewhere()?;
        }
        bail!("the kernel gave {huge} huge pages of {folios}; too little memory is in one piece")
    }

    /// Has each huge page mapped page by page, in the one VMA that there was: taking away the write permission of one
    /// page splits the VMA and the entry, giving it back joins the VMAs again.
    fn map_by_page(&self) -> anyhow::Result<()> {
        for first in self.firsts() {
            self.memory.protect_part(first + 1, 1, libc::PROT_READ)?;
            self.memory.protect_part(first + 1, 1, libc::PROT_READ | libc::PROT_WRITE)?;
        }
        let (one, parts) = (self.mapped_as_one()?, self.large()?);
        ensure!(
            one == 0 && parts == self.memory.pages(),
            "{one} huge entries are left, {parts} pages of huge ones"
        );
        ensure!(self.vmas()? == 1, "the parts of the VMA were not joined again");
        Ok(())
    }

    /// The first page of each huge page.
    pub(super) fn firsts(&self) -> impl Iterator<Item = usize> + use<> {
        (0..self.memory.pages()).step_by(pages_of_one())
    }

    /// The address of each huge page.
    pub(super) fn addresses(&self) -> Vec<u64> {
        self.firsts().map(|page| self.memory.address() + (page * page_size()) as u64).collect()
    }

    /// Huge pages that are mapped by one entry (AnonHugePages in smaps).
    pub(super) fn mapped_as_one(&self) -> anyhow::Result<usize> {
        let smaps = fs::read_to_string("/proc/self/smaps").context("cannot read /proc/self/smaps")?;
        let range = self.memory.address()..self.memory.address() + self.memory.length() as u64;
        Ok(huge_bytes(&smaps, &range)? / huge_page_size())
    }

    fn vmas(&self) -> anyhow::Result<usize> {
        let maps = fs::read_to_string("/proc/self/maps").context("cannot read /proc/self/maps")?;
        let range = self.memory.address()..self.memory.address() + self.memory.length() as u64;
        Ok(maps.lines().filter_map(beginning).filter(|begin| range.contains(begin)).count())
    }

    /// Present pages that are a part of a larger one.
    pub(super) fn large(&self) -> anyhow::Result<usize> {
        let flags = self.flags(0..self.memory.pages())?;
        Ok(flags.into_iter().filter(|flags| flags & (COMPOUND_HEAD | COMPOUND_TAIL) != 0).count())
    }

    /// Huge pages that the kernel has marked as locked into memory.
    pub(super) fn mlocked(&self) -> anyhow::Result<usize> {
        Ok(self.flags(self.firsts())?.into_iter().filter(|flags| flags & MLOCKED != 0).count())
    }

    /// `/proc/kpageflags` of some pages (Documentation/admin-guide/mm/pagemap.rst); 0 for those not present.
    fn flags(&self, pages: impl Iterator<Item = usize>) -> anyhow::Result<Vec<u64>> {
        let list = self.memory.page_list()?;
        let file = File::open("/proc/kpageflags").context("cannot open /proc/kpageflags")?;
        let read = |page: usize| {
            let mut word = [0; size_of::<u64>()];
            let Some(offset) =
                list[page].pfn.checked_mul(size_of::<u64>() as u64).filter(|offset| *offset > 0)
            else {
                return Ok(0);
            };
            file.read_exact_at(&mut word, offset).context("cannot read /proc/kpageflags")?;
            Ok(u64::from_ne_bytes(word))
        };
        pages.map(read).collect()
    }
}

/// While it lives, a fault that finds no huge page gives a small one, and does not move other pages together itself.
#[derive(Debug)]
struct FaultsWithoutCompaction {
    before: String,
}

impl FaultsWithoutCompaction {
    const FILE: &str = "/sys/kernel/mm/transparent_hugepage/defrag";

    fn begin() -> anyhow::Result<Self> {
        let choices = fs::read_to_string(Self::FILE).with_context(|| {
            format!("cannot read {} (this kernel has no transparent huge pages)", Self::FILE)
        })?;
        let before = chosen(&choices).with_context(|| format!("{} says {choices}", Self::FILE))?.to_owned();
        fs::write(Self::FILE, "never").with_context(|| format!("cannot write {}", Self::FILE))?;
        Ok(Self { before })
    }
}

impl Drop for FaultsWithoutCompaction {
    fn drop(&mut self) {
        // What was read there can be written there; if not, the file stays as it is, and nothing else depends on it.
        let _ = fs::write(Self::FILE, &self.before);
    }
}

/// The word in brackets of `always defer [madvise] never`.
fn chosen(choices: &str) -> Option<&str> {
    Some(choices.split_once('[')?.1.split_once(']')?.0)
}

/// The first address of a line of maps or smaps that begins a VMA.
fn beginning(line: &str) -> Option<u64> {
    let (begin, _) = line.split_once('-')?;
    u64::from_str_radix(begin, 16).ok()
}

/// The sum of AnonHugePages of the VMAs that begin in the range, in bytes.
fn huge_bytes(smaps: &str, range: &std::ops::Range<u64>) -> anyhow::Result<usize> {
    let (mut inside, mut sum) = (false, 0);
    for line in smaps.lines() {
        if let Some(begin) = beginning(line) {
            inside = range.contains(&begin);
        } else if let Some(size) = line.strip_prefix("AnonHugePages:").filter(|_| inside) {
            let kilobytes = size.trim().strip_suffix(" kB").and_then(|number| number.parse::<usize>().ok());
            sum += kilobytes.with_context(|| format!("not a size: {line}"))? << 10;
        }
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choice_in_brackets() {
        assert_eq!(chosen("always defer defer+madvise [madvise] never\n"), Some("madvise"));
        assert_eq!(chosen("always never\n"), None);
    }

    #[test]
    fn huge_pages_of_a_range() {
        let smaps = "\
7f0000000000-7f0000400000 rw-p 00000000 00:00 0 \nAnonHugePages:      4096 kB\nVmFlags: rd wr\n\
7f0000400000-7f0000600000 r--p 00000000 00:00 0 \nAnonHugePages:      2048 kB\nVmFlags: rd\n\
7f0000600000-7f0000800000 rw-p 00000000 00:00 0 \nAnonHugePages:      2048 kB\nVmFlags: rd wr\n";
        assert_eq!(huge_bytes(smaps, &(0x7f00_0000_0000..0x7f00_0060_0000)).unwrap(), 6 << 20);
        assert_eq!(huge_bytes(smaps, &(0x7f00_0080_0000..0x7f00_00a0_0000)).unwrap(), 0);
        assert!(
            huge_bytes("7f0000000000-7f0000400000 rw-p\nAnonHugePages: many kB\n", &(0..u64::MAX)).is_err()
        );
    }
}
