//! A mapping, alone in its VMA, whose pages have known content.

use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::LazyLock;

use anyhow::{Context, ensure};

use super::fact::Page;
use super::pagemap::{PageState, page_states};
use super::system::check;

/// Bytes of a page; arm64 has three sizes.
pub(super) fn page_size() -> usize {
    static SIZE: LazyLock<usize> = LazyLock::new(|| {
        // SAFETY: only reads.
        usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).expect("every kernel has pages")
    });
    *SIZE
}

/// Pages with known content. An inaccessible page on each side keeps the VMA from merging with another.
#[derive(Debug)]
pub(super) struct Memory {
    start: *mut u8,
    pages: usize,
}

fn map(
    address: *mut u8,
    length: usize,
    protection: i32,
    flags: i32,
    file: Option<&OwnedFd>,
) -> anyhow::Result<*mut u8> {
    let flags = if file.is_some() { flags } else { flags | libc::MAP_ANONYMOUS };
    let file = file.map_or(-1, AsRawFd::as_raw_fd);
    // SAFETY: a new mapping; a fixed address is only given inside a mapping of our own.
    let mapped = unsafe { libc::mmap(address.cast(), length, protection, flags, file, 0) };
    ensure!(mapped != libc::MAP_FAILED, "mmap failed: {}", std::io::Error::last_os_error());
    Ok(mapped.cast())
}

/// Address space that nobody else gets, and that cannot be touched.
fn reserve(length: usize) -> anyhow::Result<*mut u8> {
    map(std::ptr::null_mut(), length, libc::PROT_NONE, libc::MAP_PRIVATE | libc::MAP_NORESERVE, None)
}

/// Gives back a part of a reservation.
fn unmap(start: *mut u8, length: usize) -> anyhow::Result<()> {
    if length == 0 {
        return Ok(());
    }
    // SAFETY: a reservation of our own, to which nothing refers.
    let result = unsafe { libc::munmap(start.cast(), length) };
    check("munmap", result.into()).map(drop)
}

impl Memory {
    /// Maps `pages` pages of private memory without touching them; never huge ones.
    pub(super) fn map(pages: usize) -> anyhow::Result<Self> {
        Self::map_as(pages, libc::MAP_PRIVATE, None)
    }

    /// The same with memory that children share: pages of a file in shmem, not anonymous ones.
    pub(super) fn map_shared(pages: usize) -> anyhow::Result<Self> {
        Self::map_as(pages, libc::MAP_SHARED, None)
    }

    /// Maps the first pages of a file, which other mappings may share.
    pub(super) fn of_file(file: &OwnedFd, pages: usize) -> anyhow::Result<Self> {
        Self::map_as(pages, libc::MAP_SHARED, Some(file))
    }

    fn map_as(pages: usize, kind: i32, file: Option<&OwnedFd>) -> anyhow::Result<Self> {
        ensure!(pages > 0, "the number of pages must not be 0");
        let length = pages.checked_mul(page_size()).context("so many pages do not fit into memory")?;
        let guarded = reserve(length + 2 * page_size())?;
        let memory = Self::between_guards(guarded.wrapping_add(page_size()), pages, kind, file)?;
        // EINVAL from a kernel without transparent huge pages.
        let _ = memory.advise(libc::MADV_NOHUGEPAGE);
        Ok(memory)
    }

    /// Maps private memory that may be huge, at a multiple of `alignment` bytes, without touching it.
    pub(super) fn map_aligned(pages: usize, alignment: usize) -> anyhow::Result<Self> {
        ensure!(pages > 0, "the number of pages must not be 0");
        let length = pages.checked_mul(page_size()).context("so many pages do not fit into memory")?;
        let reserved = reserve(length + alignment + 2 * page_size())?;
        let start = reserved.wrapping_add(page_size());
        let start = start.wrapping_add(start.align_offset(alignment));
        let guarded = start.wrapping_sub(page_size());
        let before = guarded as usize - reserved as usize;
        unmap(reserved, before)?;
        unmap(start.wrapping_add(length + page_size()), alignment - before)?;
        Self::between_guards(start, pages, libc::MAP_PRIVATE, None)
    }

    fn between_guards(
        start: *mut u8,
        pages: usize,
        kind: i32,
        file: Option<&OwnedFd>,
    ) -> anyhow::Result<Self> {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        Ok(Self { start: map(start, pages * page_size(), protection, libc::MAP_FIXED | kind, file)?, pages })
    }

    /// Maps `pages` pages and gives each its content.
    pub(super) fn filled(pages: usize) -> anyhow::Result<Self> {
        let memory = Self::map(pages)?;
        memory.fill();
        Ok(memory)
    }

    /// First user address.
    pub(super) fn address(&self) -> u64 {
        self.start as u64
    }

    /// First byte.
    pub(super) const fn start(&self) -> *mut u8 {
        self.start
    }

    /// Number of pages.
    pub(super) const fn pages(&self) -> usize {
        self.pages
    }

    /// Length in bytes.
    pub(super) fn length(&self) -> usize {
        self.pages * page_size()
    }

    fn word(&self, page: usize) -> *mut u64 {
        self.start.wrapping_add(page * page_size()).cast()
    }

    /// Writes to one page what [`fill`](Self::fill) writes.
    pub(super) fn fill_page(&self, page: usize) {
        assert!(page < self.pages, "page {page} of {}", self.pages);
        // SAFETY: an aligned word in our own writable mapping; volatile because the access itself counts.
        unsafe { self.word(page).write_volatile(content(page)) };
    }

    /// Writes to every page; never zero, which zram and swap treat in another way.
    pub(super) fn fill(&self) {
        (0..self.pages).for_each(|page| self.fill_page(page));
    }

    /// Reads every page; an error when one has other content than [`fill`](Self::fill) gave it.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        self.check_pages(0..self.pages)
    }

    /// The same for some pages.
    pub(super) fn check_pages(&self, pages: impl IntoIterator<Item = usize>) -> anyhow::Result<()> {
        for page in pages {
            ensure!(page < self.pages, "page {page} of {}", self.pages);
            // SAFETY: an aligned word in our own readable mapping.
            let found = unsafe { self.word(page).read_volatile() };
            let expected = content(page);
            ensure!(found == expected, "page {page} has {found:#x} instead of {expected:#x}");
        }
        Ok(())
    }

    /// Looks at a copy of it as [`check`](Self::check) does at its pages.
    pub(super) fn check_copy(&self, copy: &[u8]) -> anyhow::Result<()> {
        for (page, bytes) in copy.chunks_exact(copy.len() / self.pages).enumerate() {
            let found = u64::from_ne_bytes(bytes[..8].try_into()?);
            let expected = content(page);
            ensure!(found == expected, "the copy of page {page} has {found:#x} instead of {expected:#x}");
        }
        Ok(())
    }

    /// `madvise(2)` for all of it.
    pub(super) fn advise(&self, advice: i32) -> anyhow::Result<()> {
        self.advise_part(0, self.pages, advice)
    }

    /// `madvise(2)` for some of its pages.
    pub(super) fn advise_part(&self, first: usize, pages: usize, advice: i32) -> anyhow::Result<()> {
        let (start, length) = self.part(first, pages)?;
        // SAFETY: our own mapping; no advice used here invalidates memory that Rust knows of.
        let result = unsafe { libc::madvise(start.cast(), length, advice) };
        check("madvise", result.into()).map(drop)
    }

    pub(super) fn part(&self, first: usize, pages: usize) -> anyhow::Result<(*mut u8, usize)> {
        ensure!(first + pages <= self.pages, "pages {first} to {} of {}", first + pages, self.pages);
        Ok((self.start.wrapping_add(first * page_size()), pages * page_size()))
    }

    /// `mlock(2)` of all of it.
    pub(super) fn lock(&self) -> anyhow::Result<()> {
        self.lock_part(0, self.pages)
    }

    /// `mlock(2)` of some of its pages.
    pub(super) fn lock_part(&self, first: usize, pages: usize) -> anyhow::Result<()> {
        let (start, length) = self.part(first, pages)?;
        // SAFETY: our own mapping.
        let result = unsafe { libc::mlock(start.cast(), length) };
        check("mlock", result.into()).map(drop)
    }

    /// `munlock(2)` of all of it.
    pub(super) fn unlock(&self) -> anyhow::Result<()> {
        // SAFETY: our own mapping.
        let result = unsafe { libc::munlock(self.start.cast(), self.length()) };
        check("munlock", result.into()).map(drop)
    }

    /// `mprotect(2)` of all of it.
    pub(super) fn protect(&self, protection: i32) -> anyhow::Result<()> {
        self.protect_part(0, self.pages, protection)
    }

    /// `mprotect(2)` of some of its pages.
    pub(super) fn protect_part(&self, first: usize, pages: usize, protection: i32) -> anyhow::Result<()> {
        let (start, length) = self.part(first, pages)?;
        // SAFETY: our own mapping, reached only through raw pointers.
        let result = unsafe { libc::mprotect(start.cast(), length, protection) };
        check("mprotect", result.into()).map(drop)
    }

    /// `munmap(2)` of its last pages: it is shorter then.
    pub(super) fn cut(&mut self, pages: usize) -> anyhow::Result<()> {
        ensure!(pages < self.pages, "the memory would have no page left");
        let (start, length) = self.part(self.pages - pages, pages)?;
        unmap(start, length)?;
        self.pages -= pages;
        Ok(())
    }

    /// `mremap(2)` to another address.
    pub(super) fn move_away(&mut self) -> anyhow::Result<()> {
        let mut target = Self::map(self.pages)?;
        let flags = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED;
        let length = self.length();
        // SAFETY: both mappings are our own and do not overlap; the target is untouched and unused.
        let moved = unsafe { libc::mremap(self.start.cast(), length, length, flags, target.start) };
        ensure!(moved != libc::MAP_FAILED, "mremap failed: {}", std::io::Error::last_os_error());
        // What is dropped now is the old address range: a hole between its two guard pages.
        std::mem::swap(self, &mut target);
        Ok(())
    }

    /// Address and page frame of every page, as they are now.
    pub(super) fn page_list(&self) -> anyhow::Result<Vec<Page>> {
        let states = page_states(self.address(), self.pages)?;
        let addresses = (self.address()..).step_by(page_size());
        Ok(addresses.zip(states).map(|(address, state)| Page { address, pfn: state.pfn() }).collect())
    }

    /// Number of pages whose entry is a swap entry of any kind.
    pub(super) fn swapped(&self) -> anyhow::Result<usize> {
        self.count(|state| state.swapped() && !state.present())
    }

    /// The highest type of all swap entries. In memory without markers that is the device-exclusive one where there is
    /// one: its number comes after those of swap devices and of migration (6.12 include/linux/swap.h).
    pub(super) fn highest_swap_type(&self) -> anyhow::Result<Option<u64>> {
        let states = page_states(self.address(), self.pages)?;
        Ok(states.into_iter().filter_map(PageState::swap_type).max())
    }

    /// Number of pages whose state is as asked for.
    pub(super) fn count(&self, is: impl Fn(PageState) -> bool) -> anyhow::Result<usize> {
        let states = page_states(self.address(), self.pages)?;
        Ok(states.into_iter().filter(|state| is(*state)).count())
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: our own mapping with its guard pages, which nobody can use any more.
        let result = unsafe {
            libc::munmap(self.start.wrapping_sub(page_size()).cast(), self.length() + 2 * page_size())
        };
        debug_assert_eq!(result, 0, "munmap of a range of our own cannot fail");
    }
}

const fn content(page: usize) -> u64 {
    0x5ca1_ab1e_0000_0001 + page as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_survives_moving_and_protecting() {
        let mut memory = Memory::filled(16).unwrap();
        let before = memory.address();
        memory.move_away().unwrap();
        assert_ne!(memory.address(), before);
        memory.protect(libc::PROT_READ).unwrap();
        memory.check().unwrap();
        assert_eq!(memory.swapped().unwrap(), 0);
        assert_eq!(memory.page_list().unwrap().len(), 16);
    }

    #[test]
    fn no_pages_is_an_error() {
        assert!(Memory::map(0).is_err());
        assert!(Memory::map(usize::MAX).is_err());
    }
}
