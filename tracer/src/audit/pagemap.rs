//! `/proc/PID/pagemap`: one 64-bit word for each page of an address space
//! (Documentation/admin-guide/mm/pagemap.rst; 6.12 fs/proc/task_mmu.c, `pte_to_pagemap_entry`).

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

/// Pages that are read with one system call: 256 KiB of words.
const CHUNK: u64 = 32 << 10;

/// Bits of the swap type (MAX_SWAPFILES_SHIFT).
const TYPE_BITS: u32 = 5;

const FRAME: u64 = (1 << 55) - 1;
const SOFT_DIRTY: u64 = 1 << 55;
const UFFD_WP: u64 = 1 << 57;
const FILE: u64 = 1 << 61;
const SWAP: u64 = 1 << 62;
const PRESENT: u64 = 1 << 63;

/// What the kernel says of one page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word(pub u64);

impl Word {
    /// Whether the page-table entry is a swap entry: of a page in swap, or a special one.
    pub const fn is_swap(self) -> bool {
        self.0 & (SWAP | PRESENT) == SWAP
    }

    /// Swap type and offset of a swap entry; `None` where the kernel hides them from readers without
    /// CAP_SYS_ADMIN. (No entry has both 0: page 0 of a swap area is its header, and swap type 0 with any
    /// other meaning does not exist.)
    pub const fn swap(self) -> Option<(u32, u64)> {
        let frame = self.0 & FRAME;
        if frame == 0 { None } else { Some((frame as u32 & ((1 << TYPE_BITS) - 1), frame >> TYPE_BITS)) }
    }

    /// The entry's soft-dirty bit, or that of its whole VMA (VM_SOFTDIRTY), which the kernel adds.
    pub const fn soft_dirty(self) -> bool {
        self.0 & SOFT_DIRTY != 0
    }

    /// Write-protected for userfaultfd, by the entry's bit or by a marker.
    pub const fn uffd_wp(self) -> bool {
        self.0 & UFFD_WP != 0
    }

    /// The page belongs to a file or to shared memory.
    pub const fn file(self) -> bool {
        self.0 & FILE != 0
    }
}

/// Hands every word of the pages in `range` (addresses) to `take`, with the page's address.
///
/// # Errors
/// As from reading. An address space that ended meanwhile is no error: there is nothing more in it.
pub fn read(
    file: &File,
    range: Range<u64>,
    page_size: u64,
    buffer: &mut Vec<u8>,
    mut take: impl FnMut(u64, Word),
) -> io::Result<()> {
    const WORD: u64 = size_of::<u64>() as u64;
    let mut page = range.start / page_size;
    let end = range.end / page_size;
    while page < end {
        let wanted = (end - page).min(CHUNK);
        buffer.resize((wanted * WORD) as usize, 0);
        let length = match file.read_at(buffer, page * WORD) {
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let (words, _) = buffer[..length].as_chunks();
        if words.is_empty() {
            return Ok(());
        }
        for (index, word) in (page..).zip(words) {
            take(index * page_size, Word(u64::from_ne_bytes(*word)));
        }
        page += words.len() as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_the_kernels() {
        // pfn 0x12345, as 5.15, 6.1 and 6.12 show it (6.12 fs/proc/task_mmu.c), exclusive, migration, device.
        for (word, number) in [
            (0x4000_0000_0024_68be, 30),
            (0x4000_0000_0024_68bf, 31),
            (0x4000_0000_0024_68bd, 29),
            (0x4000_0000_0024_68b9, 25),
            (0x4000_0000_0024_68bb, 27),
        ] {
            let word = Word(word);
            assert!(word.is_swap() && !word.soft_dirty() && !word.uffd_wp() && !word.file());
            assert_eq!(word.swap(), Some((number, 0x12345)));
        }
        let word = Word(0x4000_0000_0024_68bd | 1 << 55 | 1 << 57 | 1 << 61);
        assert!(word.soft_dirty() && word.uffd_wp() && word.file());
        assert_eq!(word.swap(), Some((29, 0x12345)));
    }

    #[test]
    fn present_and_empty_pages_are_none() {
        assert!(!Word(0).is_swap() && !Word(1 << 63 | 0x12345).is_swap() && !Word(3 << 62).is_swap());
        assert_eq!(Word(1 << 62 | 1 << 55).swap(), None);
    }

    #[test]
    fn chunks_are_put_together() {
        let mut file = tempfile::tempfile().unwrap();
        let words: Vec<u8> = (0..CHUNK * 2 + 5).flat_map(u64::to_ne_bytes).collect();
        io::Write::write_all(&mut file, &words).unwrap();
        let mut seen = Vec::new();
        read(&file, 0x3000..(CHUNK * 2 + 9) << 12, 0x1000, &mut Vec::new(), |address, word| {
            assert_eq!(address, word.0 << 12);
            seen.push(word.0);
        })
        .unwrap();
        assert_eq!(seen, (3..CHUNK * 2 + 5).collect::<Vec<_>>());
    }
}
