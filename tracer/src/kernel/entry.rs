//! How a swap entry sits in a page-table entry.

use std::ops::RangeInclusive;

use tracer_common::globals::{EntryFormat, OFFSET_ABSENT, WalkFormat};

use super::{Configuration, EntryFormatRecord, PresentEntryFormat, Symbols, SystemFiles};

/// A machine whose entries can be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paging {
    /// x86-64. Physical addresses have 46 bits with four levels of page tables and 52 with five (6.12
    /// arch/x86/include/asm/sparsemem.h, MAX_PHYSMEM_BITS).
    X86 {
        /// Five levels are in use.
        five_levels: bool,
    },
    /// 64-bit Arm.
    Arm {
        /// Which of its layouts.
        layout: ArmLayout,
        /// CONFIG_ARM64_PA_BITS, less the bits of an offset in a page.
        pfn_bits: u32,
    },
}

/// Layouts of swap entries on 64-bit Arm (arch/arm64/include/asm/pgtable.h, "Encode and decode a swap
/// entry").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArmLayout {
    /// Up to 5.18: type in bits 2-7, offset from bit 8.
    SixBitType,
    /// 5.19 to 6.10: type in bits 3-7, offset from bit 8.
    ExclusiveBit,
    /// 6.11 on: type in bits 6-10, offset from bit 12, a bit for uffd-wp.
    UffdWp,
}

impl Paging {
    /// That of the running kernel; `None` on a machine that is neither x86-64 nor 64-bit Arm.
    /// `exclusive_bit` says whether the kernel marks exclusive anonymous pages in swap entries (5.19 on).
    pub fn of_running_kernel(
        system: &SystemFiles,
        configuration: Option<&Configuration>,
        exclusive_bit: bool,
        page_size: u64,
    ) -> Option<Self> {
        if cfg!(target_arch = "x86_64") {
            return Some(Self::X86 { five_levels: has_la57(system) });
        }
        cfg!(target_arch = "aarch64").then(|| Self::Arm {
            layout: arm_layout(configuration, &system.release(), exclusive_bit),
            pfn_bits: configuration
                .and_then(|configuration| configuration.value("ARM64_PA_BITS")?.parse().ok())
                .unwrap_or(48_u32)
                .saturating_sub(page_size.trailing_zeros()),
        })
    }

    /// The format of its entries.
    pub fn entry_format(self, configuration: Option<&Configuration>) -> EntryFormatRecord {
        // Where no configuration is readable the bits are taken to exist: they are 0 if they do not.
        let configured = |option| configuration.is_none_or(|configuration| configuration.is_set(option));
        let mask = |exists: bool, bit: u32| if exists { 1 << bit } else { 0 };
        match self {
            // 6.12 arch/x86/include/asm/pgtable_64.h, "Encode/decode swap entry"; present_mask holds
            // _PAGE_PRESENT and _PAGE_PROTNONE.
            Self::X86 { five_levels } => EntryFormatRecord {
                pfn_mask: low_bits(if five_levels { 52 - 12 } else { 46 - 12 }),
                present_mask: 1 | 1 << 8,
                type_shift: 59,
                type_mask: 0x1f,
                up: 5,
                down: 14,
                invert: true,
                soft_dirty_mask: mask(configured("MEM_SOFT_DIRTY"), 1),
                uffd_wp_mask: mask(configured("HAVE_ARCH_USERFAULTFD_WP"), 2),
                // 6.12 arch/x86/include/asm/pgtable_types.h: _PAGE_RW, _PAGE_SOFT_DIRTY, _PAGE_UFFD_WP.
                present: Some(PresentEntryFormat {
                    pfn_mask: X86_ADDRESS,
                    // Without _PAGE_PRESENT (PROT_NONE): arch/x86/include/asm/pgtable-invert.h.
                    inverted_without: 1,
                    writable_mask: 1 << 1,
                    soft_dirty_mask: mask(configured("MEM_SOFT_DIRTY"), 11),
                    uffd_wp_mask: mask(configured("HAVE_ARCH_USERFAULTFD_WP"), 10),
                }),
            },
            Self::Arm { layout, pfn_bits } => {
                // PTE_PROT_NONE is bit 58; since 6.11 PTE_PRESENT_INVALID is bit 11.
                let (type_shift, type_mask, up, down, present) = match layout {
                    ArmLayout::SixBitType => (2, 0x3f, 6, 14, 58),
                    ArmLayout::ExclusiveBit => (3, 0x1f, 6, 14, 58),
                    ArmLayout::UffdWp => (6, 0x1f, 2, 14, 11),
                };
                EntryFormatRecord {
                    pfn_mask: low_bits(pfn_bits),
                    present_mask: 3 | 1 << present,
                    type_shift,
                    type_mask,
                    up,
                    down,
                    invert: false,
                    soft_dirty_mask: 0,
                    uffd_wp_mask: mask(layout == ArmLayout::UffdWp, 3),
                    present: None,
                }
            }
        }
    }
}

/// Bits 12 to 51 of an x86-64 page-table entry: the physical address.
const X86_ADDRESS: u64 = low_bits(52) & !low_bits(12);

/// Start of the direct map of x86-64 where it is not a variable (6.12 arch/x86/include/asm/page_64_types.h,
/// __PAGE_OFFSET_BASE_L4).
const X86_PAGE_OFFSET: u64 = 0xffff_8880_0000_0000;

impl Paging {
    /// How the page tables of processes are walked; not at all on other machines than x86-64, and where a
    /// variable that is needed has no visible address.
    pub fn walk_format(self, symbols: &Symbols) -> WalkFormat {
        let Self::X86 { five_levels } = self else { return WalkFormat::NONE };
        // A variable that the kernel does not have is a constant there.
        let variable = |name: &str| match symbols.address(name) {
            Some(address) => Some(address),
            None if symbols.exists(name) || symbols.is_empty() => None,
            None => Some(0),
        };
        let (Some(page_offset_symbol), Some(physical_mask_symbol)) =
            (variable("page_offset_base"), variable("physical_mask"))
        else {
            return WalkFormat::NONE;
        };
        WalkFormat {
            page_offset_symbol,
            page_offset: X86_PAGE_OFFSET,
            physical_mask_symbol,
            address_mask: X86_ADDRESS,
            // _PAGE_PRESENT and _PAGE_PSE.
            present_mask: 1,
            large_mask: 1 << 7,
            levels: if five_levels { 5 } else { 4 },
            loops: 0,
        }
    }
}

impl EntryFormatRecord {
    /// The format as the programs take it. `exclusive` are the swap types of device-exclusive entries,
    /// `head_bit` is the number of PG_head, `vmemmap_symbol` the address of the variable `vmemmap_base`.
    pub fn for_programs(
        &self,
        exclusive: Option<RangeInclusive<u32>>,
        [head_bit, locked_bit]: [Option<u32>; 2],
        page_size: u64,
        vmemmap_symbol: Option<u64>,
    ) -> EntryFormat {
        let (exclusive_first, exclusive_last) = exclusive.map_or((1, 0), RangeInclusive::into_inner);
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
            huge_order: page_size.trailing_zeros().saturating_sub(3),
            vmemmap_symbol: vmemmap_symbol.unwrap_or(0),
        }
    }
}

/// A mask of the lowest bits.
const fn low_bits(bits: u32) -> u64 {
    if bits >= 64 { u64::MAX } else { (1 << bits) - 1 }
}

/// Whether five levels are in use: the kernel shows the flag only then (6.12 arch/x86/mm/init.c and
/// arch/x86/boot/compressed/pgtable_64.c; `no5lvl` clears it).
fn has_la57(system: &SystemFiles) -> bool {
    let Ok(text) = system.text("/proc/cpuinfo") else { return false };
    text.lines()
        .find(|line| line.starts_with("flags"))
        .is_some_and(|line| line.split_ascii_whitespace().any(|flag| flag == "la57"))
}

/// The layout of an Arm kernel. That of 6.11 came in the series that made uffd-wp possible there, which
/// the configuration shows; without one the release has to do.
fn arm_layout(configuration: Option<&Configuration>, release: &str, exclusive_bit: bool) -> ArmLayout {
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

/// Major and minor number of a release.
pub(crate) fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|letter: char| !letter.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::super::configuration::tests::configuration;
    use super::*;

    /// Type and pfn of a raw entry.
    fn decode(paging: Paging, raw: u64) -> (Option<u32>, u64) {
        let format = paging.entry_format(None).for_programs(None, [None; 2], 4096, None);
        (format.swap_type(raw), format.pfn(raw))
    }

    #[test]
    fn x86_entries() {
        // pfn 0x12345, encoded with the macros of 5.15, 6.1 and 6.12; the same with soft-dirty set.
        let entries: [(u64, u32); 10] = [
            (0xf7ff_ffff_fdb9_7400, 30),
            (0xffff_ffff_fdb9_7400, 31),
            (0xdfff_ffff_fdb9_7400, 27),
            (0xefff_ffff_fdb9_7400, 29),
            (0xe7ff_ffff_fdb9_7400, 28),
            (0xcfff_ffff_fdb9_7400, 25),
            // Young and dirty: offset bits 34 and 35.
            (0xd7ff_e7ff_fdb9_7400, 26),
            (0xf7ff_ffff_fdb9_7402, 30),
            (0xd7ff_e7ff_fdb9_7402, 26),
            (0xe7ff_ffff_fdb9_7404, 28),
        ];
        for (raw, number) in entries {
            let found = decode(Paging::X86 { five_levels: false }, raw);
            assert_eq!(found, (Some(number), 0x12345), "{raw:#x}");
        }
    }

    #[test]
    fn five_levels_widen_the_pfn() {
        // Offset 0x43_2112_3456, migration write of 6.12.
        let raw = 26 << 59 | !(0x43_2112_3456_u64 << 14) >> 5 & !0x1ff & !(0x1f << 59);
        assert_eq!(decode(Paging::X86 { five_levels: true }, raw), (Some(26), 0x43_2112_3456));
        assert_eq!(decode(Paging::X86 { five_levels: false }, raw), (Some(26), 0x3_2112_3456));
    }

    #[test]
    fn present_and_empty_entries_have_no_type() {
        let paging = Paging::X86 { five_levels: false };
        for raw in [0, 0x8000_0000_1234_5067, 0x1_2345_0100] {
            assert_eq!(decode(paging, raw).0, None, "{raw:#x}");
        }
        let arm = Paging::Arm { layout: ArmLayout::UffdWp, pfn_bits: 36 };
        for raw in [0, 1, 3, 1 << 11 | 0x40] {
            assert_eq!(decode(arm, raw).0, None, "{raw:#x}");
        }
    }

    #[test]
    fn arm_entries() {
        let pfn = 0x12345_u64;
        let entries = [
            (ArmLayout::SixBitType, 30 << 2 | pfn << 8),
            (ArmLayout::ExclusiveBit, 30 << 3 | pfn << 8),
            (ArmLayout::UffdWp, 30 << 6 | pfn << 12 | 1 << 3),
        ];
        for (layout, raw) in entries {
            assert_eq!(decode(Paging::Arm { layout, pfn_bits: 36 }, raw), (Some(30), pfn), "{layout:?}");
        }
    }

    #[test]
    fn arm_layouts_are_told_apart() {
        let new = configuration("CONFIG_USERFAULTFD=y\nCONFIG_HAVE_ARCH_USERFAULTFD_WP=y");
        let old = configuration("CONFIG_USERFAULTFD=y");
        let layout = arm_layout;
        assert_eq!(layout(Some(&new), "5.14.0", true), ArmLayout::UffdWp);
        assert_eq!(layout(Some(&old), "6.12.0", true), ArmLayout::ExclusiveBit);
        assert_eq!(layout(None, "6.12.3-arm64", true), ArmLayout::UffdWp);
        assert_eq!(layout(None, "6.1.0", true), ArmLayout::ExclusiveBit);
        assert_eq!(layout(None, "5.15.0", false), ArmLayout::SixBitType);
    }

    #[test]
    fn bits_that_are_not_configured_have_no_mask() {
        let paging = Paging::X86 { five_levels: false };
        let format = paging.entry_format(Some(&configuration("CONFIG_MEM_SOFT_DIRTY=y")));
        assert_eq!((format.soft_dirty_mask, format.uffd_wp_mask), (2, 0));
        let format = paging.entry_format(None);
        assert_eq!((format.soft_dirty_mask, format.uffd_wp_mask), (2, 4));
    }

    #[test]
    fn five_levels_show_in_the_flags() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("proc")).unwrap();
        let system = SystemFiles::below(root.path());
        assert!(!has_la57(&system));
        for (flags, expected) in [("fpu la57 vme", true), ("fpu la570", false)] {
            let text = format!("model name\t: la57\nflags\t\t: {flags}\n");
            std::fs::write(root.path().join("proc/cpuinfo"), text).unwrap();
            assert_eq!(has_la57(&system), expected);
        }
    }

    #[test]
    fn releases_have_two_numbers() {
        assert_eq!(version("6.12.117+deb12-amd64"), Some((6, 12)));
        assert_eq!(version("5.4-rc1"), Some((5, 4)));
        assert_eq!(version("unknown"), None);
    }
}
