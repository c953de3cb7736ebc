//! What differs between architectures: page-table entries, swap entries, page tables.

mod arm64;
mod x86;

use std::ops::RangeInclusive;

use tracer_common::globals::{EntryFormat, Globals, OFFSET_ABSENT, WalkFormat};

use super::{Configuration, EntryFormatRecord, Symbols, SystemFiles};

pub use arm64::{Arm64, ArmLayout};
pub use x86::X86;

/// A machine whose entries can be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paging {
    /// x86-64.
    X86(X86),
    /// 64-bit Arm.
    Arm64(Arm64),
}

impl Paging {
    /// That of the running kernel; `None` on a machine that is neither x86-64 nor 64-bit Arm, or where what must be known
    /// cannot be found out. `exclusive_bit` says whether the kernel marks exclusive anonymous pages in swap entries
    /// (5.19 on).
    pub fn of_running_kernel(
        system: &SystemFiles,
        configuration: Option<&Configuration>,
        exclusive_bit: bool,
        page_size: u64,
    ) -> Option<Self> {
        if cfg!(target_arch = "x86_64") {
            return Some(Self::X86(X86::of_running_kernel(system)));
        }
        if cfg!(target_arch = "aarch64") {
            let found = Arm64::of_running_kernel(system, configuration, exclusive_bit, page_size);
            return found.map(Self::Arm64);
        }
        None
    }

    /// The format of its entries.
    pub fn entry_format(self, configuration: Option<&Configuration>) -> EntryFormatRecord {
        match self {
            Self::X86(tables) => tables.entry_format(configuration),
            Self::Arm64(tables) => tables.entry_format(),
        }
    }

    /// How the page tables of processes are walked.
    ///
    /// # Errors
    /// What is needed and not there.
    pub fn walk_format(self, symbols: &Symbols) -> Result<WalkFormat, String> {
        match self {
            Self::X86(tables) => tables.walk_format(symbols),
            Self::Arm64(tables) => tables.walk_format(symbols),
        }
    }
}

impl EntryFormatRecord {
    /// The format as the programs take it. `exclusive` are the swap types of device-exclusive entries,
    /// `head_bit` is the number of PG_head.
    pub fn for_programs(
        &self,
        exclusive: Option<RangeInclusive<u32>>,
        [head_bit, locked_bit]: [Option<u32>; 2],
        page_size: u64,
    ) -> EntryFormat {
        let (exclusive_first, exclusive_last) = exclusive.map_or((1, 0), RangeInclusive::into_inner);
        let page_shift = page_size.trailing_zeros();
        EntryFormat {
            pfn_mask: self.pfn_mask,
            present_mask: self.present_mask,
            type_shift: self.type_shift,
            type_mask: self.type_mask,
            up: self.up,
            down: self.down,
            invert: u32::from(self.invert),
            exclusive_first,
            exclusive_last,
            head_bit: head_bit.unwrap_or(OFFSET_ABSENT),
            locked_bit: locked_bit.unwrap_or(OFFSET_ABSENT),
            // A directory is a page of entries of eight bytes.
            huge_order: page_shift.saturating_sub(3),
            page_shift,
            ..Globals::EMPTY.entry
        }
    }
}

/// A mask of the lowest bits.
const fn low_bits(bits: u32) -> u64 {
    if bits >= 64 { u64::MAX } else { (1 << bits) - 1 }
}

/// Major and minor number of a release.
pub(crate) fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|letter: char| !letter.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Type and pfn of a raw entry.
    pub(super) fn decode(paging: Paging, raw: u64) -> (Option<u32>, u64) {
        let format = paging.entry_format(None).for_programs(None, [None; 2], 4096);
        (format.swap_type(raw), format.pfn(raw))
    }

    #[test]
    fn a_directory_maps_what_a_page_of_entries_does() {
        let format = Paging::X86(X86 { five_levels: false }).entry_format(None);
        for (page_size, huge) in [(4096_u64, 2 << 20), (16 << 10, 32 << 20), (64 << 10, 512 << 20)] {
            let format = format.for_programs(None, [None; 2], page_size);
            assert_eq!(page_size << format.huge_order, huge);
            assert_eq!(1 << format.page_shift, page_size);
        }
    }

    #[test]
    fn releases_have_two_numbers() {
        assert_eq!(version("6.12.117+deb12-amd64"), Some((6, 12)));
        assert_eq!(version("5.4-rc1"), Some((5, 4)));
        assert_eq!(version("unknown"), None);
    }
}
