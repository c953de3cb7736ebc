//! Page tables and swap entries of x86-64.

use tracer_common::globals::WalkFormat;

use super::low_bits;
use crate::kernel::{Configuration, EntryFormatRecord, PresentEntryFormat, Symbols, SystemFiles};

/// Bits 12 to 51 of a page-table entry: the physical address.
const ADDRESS: u64 = low_bits(52) & !low_bits(12);

/// Start of the direct map where it is not a variable (6.12 arch/x86/include/asm/page_64_types.h,
/// __PAGE_OFFSET_BASE_L4).
const PAGE_OFFSET: u64 = 0xffff_8880_0000_0000;

/// Physical addresses have 46 bits with four levels of page tables and 52 with five (6.12
/// arch/x86/include/asm/sparsemem.h, MAX_PHYSMEM_BITS).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct X86 {
    /// Five levels are in use.
    pub five_levels: bool,
}

impl X86 {
    /// Those of the running kernel.
    pub(super) fn of_running_kernel(system: &SystemFiles) -> Self {
        Self { five_levels: has_la57(system) }
    }

    /// The format of its entries (6.12 arch/x86/include/asm/pgtable_64.h, "Encode/decode swap entry").
    pub(super) fn entry_format(self, configuration: Option<&Configuration>) -> EntryFormatRecord {
        // Where no configuration is readable the bits are taken to exist: they are 0 if they do not.
        let configured = |option| configuration.is_none_or(|configuration| configuration.is_set(option));
        let mask = |exists: bool, bit: u32| if exists { 1 << bit } else { 0 };
        EntryFormatRecord {
            pfn_mask: low_bits(if self.five_levels { 52 - 12 } else { 46 - 12 }),
            // _PAGE_PRESENT and _PAGE_PROTNONE.
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
                pfn_mask: ADDRESS,
                high_mask: 0,
                high_shift: 0,
                // Without _PAGE_PRESENT (PROT_NONE): arch/x86/include/asm/pgtable-invert.h.
                inverted_without: 1,
                writable_mask: 1 << 1,
                soft_dirty_mask: mask(configured("MEM_SOFT_DIRTY"), 11),
                uffd_wp_mask: mask(configured("HAVE_ARCH_USERFAULTFD_WP"), 10),
            }),
        }
    }

    /// How its page tables are walked.
    ///
    /// # Errors
    /// The variable that is needed and has no visible address.
    pub(super) fn walk_format(self, symbols: &Symbols) -> Result<WalkFormat, String> {
        // A variable that the kernel does not have is a constant there.
        let variable = |name: &str| match symbols.address(name) {
            Some(address) => Ok(address),
            None if symbols.exists(name) || symbols.is_empty() => {
                Err(format!("{name} has no visible address"))
            }
            None => Ok(0),
        };
        Ok(WalkFormat {
            page_offset_symbol: variable("page_offset_base")?,
            page_offset: PAGE_OFFSET,
            physical_mask_symbol: variable("physical_mask")?,
            address_mask: ADDRESS,
            // _PAGE_PRESENT and _PAGE_PSE.
            table_mask: 1 | 1 << 7,
            table_value: 1,
            levels: if self.five_levels { 5 } else { 4 },
            inverted_without: 1,
            ..WalkFormat::NONE
        })
    }
}

/// Whether five levels are in use: the kernel shows the flag only then (6.12 arch/x86/mm/init.c and
/// arch/x86/boot/compressed/pgtable_64.c; `no5lvl` clears it).
fn has_la57(system: &SystemFiles) -> bool {
    let Ok(text) = system.text("/proc/cpuinfo") else { return false };
    text.lines()
        .find(|line| line.starts_with("flags"))
        .is_some_and(|line| line.split_ascii_whitespace().any(|flag| flag == "la57"))
}

#[cfg(test)]
mod tests {
    use super::super::tests::decode;
    use super::*;
    use crate::kernel::Paging;
    use crate::kernel::configuration::tests::configuration;

    const FOUR: Paging = Paging::X86(X86 { five_levels: false });
    const FIVE: Paging = Paging::X86(X86 { five_levels: true });

    #[test]
    fn entries() {
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
            assert_eq!(decode(FOUR, raw), (Some(number), 0x12345), "{raw:#x}");
        }
    }

    #[test]
    fn five_levels_widen_the_pfn() {
        // Offset 0x43_2112_3456, migration write of 6.12.
        let raw = 26 << 59 | !(0x43_2112_3456_u64 << 14) >> 5 & !0x1ff & !(0x1f << 59);
        assert_eq!(decode(FIVE, raw), (Some(26), 0x43_2112_3456));
        assert_eq!(decode(FOUR, raw), (Some(26), 0x3_2112_3456));
    }

    #[test]
    fn present_and_empty_entries_have_no_type() {
        for raw in [0, 0x8000_0000_1234_5067, 0x1_2345_0100] {
            assert_eq!(decode(FOUR, raw).0, None, "{raw:#x}");
        }
    }

    #[test]
    fn bits_that_are_not_configured_have_no_mask() {
        let format = FOUR.entry_format(Some(&configuration("CONFIG_MEM_SOFT_DIRTY=y")));
        assert_eq!((format.soft_dirty_mask, format.uffd_wp_mask), (2, 0));
        let format = FOUR.entry_format(None);
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
    fn hidden_symbols_leave_page_tables_unread() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "0000000000000000 D page_offset_base\n").unwrap();
        let symbols = Symbols::load(file.path()).unwrap();
        assert_eq!(FOUR.walk_format(&symbols), Err("page_offset_base has no visible address".to_owned()));
        std::fs::write(file.path(), "ffffffff82000000 D page_offset_base\n").unwrap();
        let walk = FOUR.walk_format(&Symbols::load(file.path()).unwrap()).unwrap();
        assert_eq!((walk.page_offset_symbol, walk.physical_mask_symbol), (0xffff_ffff_8200_0000, 0));
    }
}
