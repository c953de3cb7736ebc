//! Page tables, read without their locks: whoever asks knows what keeps them.

use core::ptr::{read_volatile, write_volatile};

use crate::calibrate::{address_mask, page_offset, vmemmap_base};
use crate::entry::{self, page_shift};
use crate::globals::global;
use crate::memory::{Memory, Probed};

/// Entries that are read at once: a table of pages of 4 KiB, a part of a larger one.
pub const ENTRIES: u64 = 512;

/// Bytes that [`ENTRIES`] cover.
#[inline(always)]
pub fn covers() -> u64 {
    ENTRIES << page_shift()
}

/// log2 of the bytes that an entry covers, at a height above the table of pages: each table is a page of entries of
/// eight bytes (6.12 arch/x86/include/asm/pgtable_64_types.h, PMD_SHIFT to PGDIR_SHIFT; arch/arm64/include/asm/
/// pgtable-hwdef.h, ARM64_HW_PGTABLE_LEVEL_SHIFT). Where fewer bits of an address are left the top is smaller.
#[inline(always)]
fn shift(height: u32) -> u32 {
    (page_shift() + height * (page_shift() - 3)) & 63
}

/// The number of an address's entry in the table at that height.
#[inline(always)]
fn index(address: u64, height: u32) -> u64 {
    address >> shift(height) & ((1 << (page_shift() - 3)) - 1)
}

/// A walk through the page tables of one address space.
///
/// Where the result of a walk decides what a program does next, it is best kept in a map: the verifier forgets what
/// it knew of a value that lies there, and has one path to follow where it had one for each way through the walk.
#[repr(C)]
pub struct Walk {
    /// The top directory; 0 where it is not known.
    top: u64,
    /// Start of the direct map.
    page_offset: u64,
    /// Masks the address in an entry.
    address_mask: u64,
    /// Kernel address of the table of pages in charge of an address; 0 where there is none: a hole, or a huge page.
    table: u64,
    /// Bytes around the address for which that is so.
    covers: u64,
    /// 1 when a directory or the table could not be read.
    failed: u64,
    /// The raw entry of the address.
    entry: u64,
    /// The raw entry of a directory that no table is behind.
    leaf: u64,
}

/// Whether page tables can be walked on this kernel.
#[inline(always)]
pub fn walks() -> bool {
    global!(walk.levels) != 0 && page_offset() != 0 && address_mask() != 0
}

/// Whether ranges of them can be searched for exclusive entries, on a kernel that has such, and pages be compared.
#[inline(always)]
pub fn scans() -> bool {
    global!(entry.exclusive_first) <= global!(entry.exclusive_last)
        && global!(walk.loops) != 0
        && vmemmap_base() != 0
        && walks()
}

/// A word of a walk, read and written where it is.
macro_rules! word {
    ($walk:ident.$field:ident) => {
        // SAFETY: a field of a whole walk.
        unsafe { read_volatile(&raw const $walk.$field) }
    };
    ($walk:ident.$field:ident = $value:expr) => {
        // SAFETY: a field of a whole walk.
        unsafe { write_volatile(&raw mut $walk.$field, $value) }
    };
}

impl Walk {
    /// Of no address space yet.
    pub const NONE: Self =
        Self { top: 0, page_offset: 0, address_mask: 0, table: 0, covers: 0, failed: 0, entry: 0, leaf: 0 };

    /// Starts in an address space.
    #[inline(always)]
    pub fn start(&mut self, mm: u64) {
        let top = Probed::load::<u64>(mm, global!(layout.mm_pgd)).unwrap_or(0);
        word!(self.top = top);
        word!(self.page_offset = page_offset());
        word!(self.address_mask = address_mask());
    }

    /// Walks to the table of pages. Level by level and not in a loop: the shifts stay constants.
    #[inline(always)]
    pub fn find(&mut self, address: u64) {
        let top = word!(self.top);
        word!(self.table = top);
        word!(self.failed = u64::from(top == 0));
        if global!(walk.levels) == 5 {
            self.descend(address, 4);
        }
        if global!(walk.levels) >= 4 {
            self.descend(address, 3);
        }
        if global!(walk.levels) >= 3 {
            self.descend(address, 2);
        }
        self.descend(address, 1);
    }

    /// From a directory to the table below it.
    #[inline(always)]
    fn descend(&mut self, address: u64, height: u32) {
        let directory = word!(self.table);
        if directory == 0 {
            return;
        }
        word!(self.table = 0);
        word!(self.covers = 1 << shift(height));
        let Some(entry) = Probed::load::<u64>(directory + index(address, height) * 8, 0) else {
            word!(self.failed = 1);
            return;
        };
        if entry & u64::from(global!(walk.table_mask)) == u64::from(global!(walk.table_value)) {
            let (page_offset, address_mask) = (word!(self.page_offset), word!(self.address_mask));
            word!(self.table = page_offset.wrapping_add(entry::address(entry, address_mask)));
        } else {
            word!(self.leaf = entry);
        }
    }

    /// Reads the raw entry of an address: 0 where no table is in charge of it.
    #[inline(always)]
    pub fn look_up(&mut self, address: u64) {
        word!(self.entry = 0);
        self.find(address);
        let table = word!(self.table);
        if table == 0 {
            return;
        }
        match Probed::load::<u64>(table + index(address, 0) * 8, 0) {
            Some(entry) => word!(self.entry = entry),
            None => word!(self.failed = 1),
        }
    }

    /// The table that was found; 0 for none.
    #[inline(always)]
    pub fn table(&self) -> u64 {
        word!(self.table)
    }

    /// Where the part of it begins that is read at once for an address; 0 where there is none.
    #[inline(always)]
    pub fn part(&self, address: u64) -> u64 {
        let table = word!(self.table);
        if table == 0 { 0 } else { table + (index(address, 0) & !(ENTRIES - 1)) * 8 }
    }

    /// Bytes around the address for which the last answer holds.
    #[inline(always)]
    pub fn covers(&self) -> u64 {
        word!(self.covers)
    }

    /// Whether something could not be read.
    #[inline(always)]
    pub fn has_failed(&self) -> bool {
        word!(self.failed) != 0
    }

    /// Where no table is in charge of the address: the raw entry of a directory, of a huge page or of a hole.
    #[inline(always)]
    pub fn leaf(&self) -> u64 {
        word!(self.leaf)
    }

    /// The entry that was looked up.
    #[inline(always)]
    pub fn entry(&self) -> u64 {
        word!(self.entry)
    }
}
