//! Page tables and swap entries of 64-bit Arm.

use tracer_common::globals::WalkFormat;

use super::{low_bits, version};
use crate::kernel::{Configuration, EntryFormatRecord, PresentEntryFormat, Symbols, SystemFiles};

/// Its page tables, as the kernel was built and as it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arm64 {
    /// How swap entries are laid out.
    pub layout: ArmLayout,
    /// log2 of the bytes of a page.
    pub page_shift: u32,
    /// CONFIG_ARM64_PA_BITS.
    pub physical_bits: u32,
    /// CONFIG_ARM64_VA_BITS.
    pub virtual_bits: u32,
    /// Addresses of 52 bits are in use, which the CPU may lack that the kernel was built for.
    pub is_wide: bool,
}

/// Layouts of swap entries (arch/arm64/include/asm/pgtable.h, "Encode and decode a swap entry").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArmLayout {
    /// Up to 5.18: type in bits 2-7, offset from bit 8.
    SixBitType,
    /// 5.19 to 6.10: type in bits 3-7, offset from bit 8.
    ExclusiveBit,
    /// 6.11 on: type in bits 6-10, offset from bit 12, a bit for uffd-wp.
    UffdWp,
}

/// Bits of addresses where those of 52 are not in use.
const NARROW: u32 = 48;

impl Arm64 {
    /// Those of the running kernel; `None` where its configuration is not readable: the numbers of bits are nowhere else,
    /// and the highest ones of a swap entry mean one thing or another by them.
    pub(super) fn of_running_kernel(
        system: &SystemFiles,
        configuration: Option<&Configuration>,
        exclusive_bit: bool,
        page_size: u64,
    ) -> Option<Self> {
        let number = |option| configuration?.value(option)?.parse().ok();
        let virtual_bits = number("ARM64_VA_BITS")?;
        Some(Self {
            layout: layout(configuration, &system.release(), exclusive_bit),
            page_shift: page_size.trailing_zeros(),
            physical_bits: number("ARM64_PA_BITS")?,
            virtual_bits,
            is_wide: virtual_bits > NARROW && maps_above(NARROW),
        })
    }

    /// The format of its entries.
    pub(super) fn entry_format(self) -> EntryFormatRecord {
        // PTE_PROT_NONE is bit 58; since 6.11 PTE_PRESENT_INVALID is bit 11.
        let (type_shift, type_mask, up, down, present) = match self.layout {
            ArmLayout::SixBitType => (2, 0x3f, 6, 14, 58),
            ArmLayout::ExclusiveBit => (3, 0x1f, 6, 14, 58),
            ArmLayout::UffdWp => (6, 0x1f, 2, 14, 11),
        };
        let mask = |bit: u32| if self.layout == ArmLayout::UffdWp { 1 << bit } else { 0 };
        let [pfn_mask, high_mask] = self.address();
        EntryFormatRecord {
            // SWP_PFN_BITS.
            pfn_mask: low_bits(self.bits_in_use().saturating_sub(self.page_shift)),
            present_mask: 3 | 1 << present,
            type_shift,
            type_mask,
            up,
            down,
            invert: false,
            // It has none.
            soft_dirty_mask: 0,
            uffd_wp_mask: mask(3),
            // arch/arm64/include/asm/pgtable-prot.h, PTE_WRITE and PTE_UFFD_WP.
            present: Some(PresentEntryFormat {
                pfn_mask,
                high_mask,
                high_shift: self.high_shift(),
                inverted_without: 0,
                writable_mask: 1 << 51,
                soft_dirty_mask: 0,
                uffd_wp_mask: mask(58),
            }),
        }
    }

    /// Where the physical address is in an entry, and its highest bits (6.12 arch/arm64/include/asm/pgtable-hwdef.h,
    /// PTE_ADDR_LOW and PTE_ADDR_HIGH). With pages of 64 KiB those are always an address; else only where addresses of
    /// 52 bits are in use, and otherwise how the memory is shared (PTE_MAYBE_SHARED).
    fn address(self) -> [u64; 2] {
        let from_page = |bits| low_bits(bits) & !low_bits(self.page_shift);
        match (self.physical_bits > NARROW, self.has_large_pages()) {
            (true, true) => [from_page(NARROW), 0xf << 12],
            (true, false) if self.is_wide => [from_page(50), 0x3 << 8],
            _ => [from_page(NARROW), 0],
        }
    }

    /// Bits of a physical address (6.12 arch/arm64/include/asm/pgtable-prot.h, PHYS_MASK_SHIFT; older ones with addresses of
    /// 52 bits have no memory beyond, either).
    fn bits_in_use(self) -> u32 {
        if self.is_wide || self.has_large_pages() {
            self.physical_bits
        } else {
            self.physical_bits.min(NARROW)
        }
    }

    /// PTE_ADDR_HIGH_SHIFT.
    fn high_shift(self) -> u32 {
        match self.address() {
            [_, 0] => 0,
            _ if self.has_large_pages() => 36,
            _ => 42,
        }
    }

    fn has_large_pages(self) -> bool {
        self.page_shift == 16
    }

    /// How its page tables are walked. The direct map begins at a constant and with the physical address in
    /// `memstart_addr`, which is chosen at boot (6.12 arch/arm64/include/asm/memory.h, __phys_to_virt).
    ///
    /// # Errors
    /// The variable that is needed and has no visible address.
    pub(super) fn walk_format(self, symbols: &Symbols) -> Result<WalkFormat, String> {
        const START: &str = "memstart_addr";
        let memory_start_symbol =
            symbols.address(START).ok_or_else(|| format!("{START} has no visible address"))?;
        let [address_mask, high_mask] = self.address();
        Ok(WalkFormat {
            page_offset: 1_u64.wrapping_shl(self.virtual_bits).wrapping_neg(),
            memory_start_symbol,
            address_mask,
            high_mask,
            high_shift: self.high_shift(),
            // PMD_TYPE_MASK and PMD_TYPE_TABLE.
            table_mask: 3,
            table_value: 3,
            levels: self.levels(),
            ..WalkFormat::NONE
        })
    }

    /// Levels of the page tables of processes (6.12 arch/arm64/include/asm/pgtable-hwdef.h, ARM64_HW_PGTABLE_LEVELS).
    /// Where the CPU has fewer bits than the kernel was built for, the topmost is left out (memory.h, VA_BITS_MIN).
    fn levels(self) -> u32 {
        let bits = match self.virtual_bits > NARROW && !self.is_wide {
            true if self.page_shift == 14 => NARROW - 1,
            true => NARROW,
            false => self.virtual_bits,
        };
        bits.saturating_sub(4) / (self.page_shift - 3)
    }
}

/// Whether a process can map memory above that many bits, which it must ask for (6.12 Documentation/arch/arm64/memory.rst,
/// "52-bit userspace VAs").
fn maps_above(bits: u32) -> bool {
    const SIZE: usize = 1 << 16;
    // Only for hints beyond, not at the border (6.12 arch/arm64/include/asm/processor.h, arch_get_mmap_end).
    let hint = (4_usize << bits) as *mut libc::c_void;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    // SAFETY: a mapping of our own, at a place that is free.
    let mapped = unsafe { libc::mmap(hint, SIZE, libc::PROT_NONE, flags, -1, 0) };
    if mapped == libc::MAP_FAILED {
        return false;
    }
    // SAFETY: the mapping that was just made.
    unsafe { libc::munmap(mapped, SIZE) };
    mapped as usize >= 1 << bits
}

/// The layout of swap entries. That of 6.11 came in the series that made uffd-wp possible there, which
/// the configuration shows; without one the release has to do.
fn layout(configuration: Option<&Configuration>, release: &str, exclusive_bit: bool) -> ArmLayout {
    let uffd_wp = match configuration {
        Some(configuration) if configuration.is_set("USERFAULTFD") => {
            configuration.is_set("HAVE_ARCH_USERFAULTFD_WP")
        }
        _ => version(release) >= Some((6, 11)),
    };
    match (uffd_wp, exclusive_bit) {
        (true, _) => ArmLayout::UffdWp,
        (false, true) => ArmLayout::ExclusiveBit,
        (false, false) => ArmLayout::SixBitType,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::decode;
    use super::*;
    use crate::kernel::Paging;
    use crate::kernel::configuration::tests::configuration;

    /// Debian's kernel, on a CPU with or without addresses of 52 bits.
    fn debian(page_shift: u32, is_wide: bool) -> Arm64 {
        Arm64 { layout: ArmLayout::UffdWp, page_shift, physical_bits: 52, virtual_bits: 52, is_wide }
    }

    #[test]
    fn swap_entries() {
        let pfn = 0x12345_u64;
        let entries = [
            (ArmLayout::SixBitType, 30 << 2 | pfn << 8),
            (ArmLayout::ExclusiveBit, 30 << 3 | pfn << 8),
            (ArmLayout::UffdWp, 30 << 6 | pfn << 12 | 1 << 3),
        ];
        for (layout, raw) in entries {
            let tables = Arm64 { layout, physical_bits: 48, ..debian(12, false) };
            assert_eq!(decode(Paging::Arm64(tables), raw), (Some(30), pfn), "{layout:?}");
        }
        for raw in [0, 1, 3, 1 << 11 | 0x40] {
            assert_eq!(decode(Paging::Arm64(debian(12, false)), raw).0, None, "{raw:#x}");
        }
    }

    #[test]
    fn the_frame_of_a_swap_entry_ends_where_young_and_dirty_begin() {
        let narrow = [(12, 48, 36), (12, 52, 36), (14, 48, 34), (14, 52, 34), (16, 48, 32), (16, 52, 36)];
        let wide = [(12, 52, 40), (14, 52, 38), (16, 52, 36)];
        let all = narrow.map(|one| (one, false)).into_iter().chain(wide.map(|one| (one, true)));
        for ((page_shift, physical_bits, bits), is_wide) in all {
            let tables = Arm64 { physical_bits, ..debian(page_shift, is_wide) };
            let raw = 30 << 6 | u64::MAX << 12;
            let (number, pfn) = decode(Paging::Arm64(tables), raw & !(1 << 11));
            assert_eq!((number, pfn), (Some(30), (1 << bits) - 1), "{tables:?}");
        }
        // migration_write of 6.12 with addresses of 48 bits, young and dirty.
        assert_eq!(decode(Paging::Arm64(debian(12, false)), 0x3_0000_4395_c680), (Some(26), 0x4395c));
    }

    #[test]
    fn present_entries() {
        // A user page at 0x1_2345_0000, writable: PTE_WRITE, PTE_NG, PTE_AF, PTE_SHARED, PTE_USER, valid.
        let entry = |address: u64| address | 1 << 51 | 1 << 11 | 1 << 10 | 3 << 8 | 1 << 6 | 3;
        for page_shift in [12, 14, 16] {
            for tables in
                [debian(page_shift, false), Arm64 { physical_bits: 48, ..debian(page_shift, false) }]
            {
                let present = tables.entry_format().present.unwrap();
                assert_eq!(present.pfn(entry(0x1_2345_0000)), 0x1_2345_0000 >> page_shift, "{tables:?}");
                assert_ne!(entry(0) & present.writable_mask, 0);
                // Without PTE_VALID (PROT_NONE) the address stays as it is.
                assert_eq!(present.pfn(entry(0x1_2345_0000) & !1), 0x1_2345_0000 >> page_shift);
            }
        }
    }

    #[test]
    fn the_highest_bits_of_an_address_are_elsewhere() {
        // 0xd_0000_4321_0000: bits 51 and 50 go to 9 and 8 with pages of 4 and 16 KiB, 51 to 48 to 15 to 12 with 64.
        let physical = 0xd_0000_4321_0000_u64;
        let low = physical & ((1 << 50) - 1) | physical >> 50 << 8 | 3;
        for page_shift in [12, 14] {
            let pfn = |is_wide| debian(page_shift, is_wide).entry_format().present.unwrap().pfn(low);
            assert_eq!(pfn(true), physical >> page_shift);
            assert_eq!(pfn(false), (physical & ((1 << 48) - 1)) >> page_shift);
        }
        let large = physical & ((1 << 48) - 1) | physical >> 48 << 12 | 3;
        let present = debian(16, false).entry_format().present.unwrap();
        assert_eq!(present.pfn(large), physical >> 16);
    }

    #[test]
    fn levels_are_those_of_the_bits_in_use() {
        let levels = |page_shift, virtual_bits, is_wide| {
            Arm64 { virtual_bits, ..debian(page_shift, is_wide) }.levels()
        };
        assert_eq!([levels(12, 39, false), levels(12, 48, false)], [3, 4]);
        assert_eq!([levels(12, 52, false), levels(12, 52, true)], [4, 5]);
        assert_eq!([levels(14, 36, false), levels(14, 47, false), levels(14, 48, false)], [2, 3, 4]);
        assert_eq!([levels(14, 52, false), levels(14, 52, true)], [3, 4]);
        assert_eq!([levels(16, 42, false), levels(16, 48, false), levels(16, 52, true)], [2, 3, 3]);
    }

    #[test]
    fn the_direct_map_begins_where_addresses_of_the_kernel_do() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "ffff800081000000 D memstart_addr\n").unwrap();
        let symbols = Symbols::load(file.path()).unwrap();
        let walk = debian(12, false).walk_format(&symbols).unwrap();
        assert_eq!(walk.page_offset, 0xfff0_0000_0000_0000);
        assert_eq!((walk.memory_start_symbol, walk.address_mask), (0xffff_8000_8100_0000, 0xffff_ffff_f000));
        let error = debian(12, false).walk_format(&Symbols::none()).unwrap_err();
        assert_eq!(error, "memstart_addr has no visible address");
    }

    #[test]
    fn without_a_configuration_nothing_is_assumed() {
        let system = SystemFiles::below(tempfile::tempdir().unwrap().path());
        let of = |text: &str| Arm64::of_running_kernel(&system, Some(&configuration(text)), true, 4096);
        assert_eq!(Arm64::of_running_kernel(&system, None, true, 4096), None);
        assert_eq!(of("CONFIG_ARM64_VA_BITS=48"), None);
        assert_eq!(
            of("CONFIG_ARM64_VA_BITS=48\nCONFIG_ARM64_PA_BITS=48\nCONFIG_USERFAULTFD=y"),
            Some(Arm64 {
                layout: ArmLayout::ExclusiveBit,
                physical_bits: 48,
                virtual_bits: 48,
                ..debian(12, false)
            })
        );
    }

    #[test]
    fn layouts_are_told_apart() {
        let new = configuration("CONFIG_USERFAULTFD=y\nCONFIG_HAVE_ARCH_USERFAULTFD_WP=y");
        let old = configuration("CONFIG_USERFAULTFD=y");
        assert_eq!(layout(Some(&new), "5.14.0", true), ArmLayout::UffdWp);
        assert_eq!(layout(Some(&old), "6.12.0", true), ArmLayout::ExclusiveBit);
        assert_eq!(layout(None, "6.12.3-arm64", true), ArmLayout::UffdWp);
        assert_eq!(layout(None, "6.1.0", true), ArmLayout::ExclusiveBit);
        assert_eq!(layout(None, "5.15.0", false), ArmLayout::SixBitType);
    }
}
