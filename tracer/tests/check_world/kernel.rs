//! The made-up kernel's constants, as its header tells them: like 6.12 on x86-64.

use rmapscope::kernel::{Description, EntryFormatRecord, NamedValue, PresentEntryFormat, SwapKind, SwapType};

const VMEMMAP: u64 = 0xffff_ea00_0000_0000;
/// PG_locked, PG_uptodate, PG_swapbacked.
pub const FLAGS: u64 = 1 | 1 << 3 | 1 << 17;
pub const MLOCKED: u64 = 1 << 19;
pub const VM_FLAGS: u64 = 0x33;
pub const VM_LOCKED: u64 = 0x2000;
pub const IGNORE_MLOCK: u32 = 8;
pub const WRITABLE: u64 = 2;
pub const SOFT_DIRTY: u64 = 1 << 11;
pub const SWAP_SOFT_DIRTY: u64 = 2;

pub const fn page_of(pfn: u64) -> u64 {
    VMEMMAP + pfn * 64
}

pub const fn exclusive_entry(pfn: u64, writable: bool) -> u64 {
    let number: u64 = if writable { 29 } else { 30 };
    number << 59 | (!pfn << 14) >> 5 & !0x1ff
}

pub const fn present_entry(pfn: u64) -> u64 {
    pfn << 12 | 0x25
}

pub const fn swapped_entry() -> u64 {
    (!7 << 14) >> 5 & !0x1ff
}

fn named(values: &[(&str, i64)]) -> Vec<NamedValue> {
    values.iter().map(|&(name, value)| NamedValue { name: name.to_owned(), value }).collect()
}

pub fn description() -> Description {
    let types = [(29, SwapKind::DeviceExclusiveWrite), (30, SwapKind::DeviceExclusiveRead)];
    let ttu_flags = named(&[
        ("TTU_SPLIT_HUGE_PMD", 4),
        ("TTU_IGNORE_MLOCK", IGNORE_MLOCK.into()),
        ("TTU_SYNC", 16),
        ("TTU_BATCH_FLUSH", 64),
        ("TTU_RMAP_LOCKED", 128),
    ]);
    Description {
        release: "6.12.0-test".to_owned(),
        machine: "x86_64".to_owned(),
        page_size: 4096,
        struct_page_size: Some(64),
        vmemmap_base: Some(VMEMMAP),
        page_flags: named(&[("PG_locked", 0), ("PG_head", 6), ("PG_swapbacked", 17), ("PG_mlocked", 19)]),
        swap_types: types.into_iter().map(|(number, kind)| SwapType { number, kind }).collect(),
        entry_format: Some(EntryFormatRecord {
            pfn_mask: (1 << 34) - 1,
            present_mask: 0x101,
            type_shift: 59,
            type_mask: 0x1f,
            up: 5,
            down: 14,
            invert: true,
            soft_dirty_mask: SWAP_SOFT_DIRTY,
            uffd_wp_mask: 4,
            present: Some(PresentEntryFormat {
                pfn_mask: 0x000f_ffff_ffff_f000,
                high_mask: 0,
                high_shift: 0,
                inverted_without: 1,
                writable_mask: WRITABLE,
                soft_dirty_mask: SOFT_DIRTY,
                uffd_wp_mask: 1 << 10,
            }),
        }),
        enums: [("ttu_flags".to_owned(), ttu_flags)].into(),
        ..Description::default()
    }
}
