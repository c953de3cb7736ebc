//! What a reader on another machine must know of the kernel that was traced.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A kernel, as a trace file describes it. Everything needed to decode its events is here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// `uname -r`.
    pub release: String,
    /// `uname -v`.
    pub version: String,
    /// `uname -m`.
    pub machine: String,
    /// GNU build id from `/sys/kernel/notes`, in hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build_id: Option<String>,
    /// CRC-32 of the BTF blob and its length, as `crc32:length` in hex: tells two kernels' types apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub btf_id: Option<String>,
    /// CPUs that can be online.
    pub possible_cpus: u32,
    /// Bytes of a page.
    pub page_size: u64,
    /// Bytes of `struct page`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub struct_page_size: Option<u64>,
    /// Address of the `struct page` of pfn 0, where it could be found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vmemmap_base: Option<u64>,
    /// `enum pageflags` of this kernel: bit numbers, with the names as in the kernel (`PG_locked`).
    pub page_flags: Vec<NamedValue>,
    /// Swap types that are no swap files.
    pub swap_types: Vec<SwapType>,
    /// How the swap types were found, for people.
    pub swap_types_source: String,
    /// How a swap entry sits in a page-table entry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry_format: Option<EntryFormatRecord>,
    /// Whether the kernel counts the kprobe programs that it skips (6.7 on): with another program on the same CPU
    /// below them, for example in an interrupt.
    #[serde(default)]
    pub counts_skipped_kprobes: bool,
    /// Other enumerations used by events: `ttu_flags`, `dma_data_direction`, `migrate_mode`,
    /// `migrate_reason`, `vm_fault_reason`, `fault_flag`.
    pub enums: BTreeMap<String, Vec<NamedValue>>,
    /// Offsets that the programs used, by their name in `tracer_common::globals::Layout`.
    pub layout: BTreeMap<String, u32>,
}

/// A value with its name in the kernel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedValue {
    /// The kernel's name.
    pub name: String,
    /// A bit number, a mask or a value, as the table says.
    pub value: i64,
}

/// One special swap type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SwapType {
    /// `swp_type()`.
    pub number: u32,
    /// What it means.
    pub kind: SwapKind,
}

/// What a swap entry that is no swapped-out page can mean (include/linux/swap.h, include/linux/swapops.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SwapKind {
    /// The page had a memory failure.
    Hwpoison,
    /// Under migration, was read-only.
    MigrationRead,
    /// Under migration, was read-only and exclusive to one process (5.19 on).
    MigrationReadExclusive,
    /// Under migration, was writable.
    MigrationWrite,
    /// Device-private memory, writable.
    DeviceWrite,
    /// Device-private memory, read-only.
    DeviceRead,
    /// Device-exclusive access to a page in RAM, writable (the only kind since 6.15).
    DeviceExclusiveWrite,
    /// Device-exclusive access to a page in RAM, read-only (up to 6.14).
    DeviceExclusiveRead,
    /// A marker without a page (userfaultfd write protection, poison).
    PteMarker,
    /// Swap-in failed (6.1).
    SwapinError,
}

impl SwapKind {
    /// The name used in every output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hwpoison => "hwpoison",
            Self::MigrationRead => "migration_read",
            Self::MigrationReadExclusive => "migration_read_exclusive",
            Self::MigrationWrite => "migration_write",
            Self::DeviceWrite => "device_write",
            Self::DeviceRead => "device_read",
            Self::DeviceExclusiveWrite => "device_exclusive_write",
            Self::DeviceExclusiveRead => "device_exclusive_read",
            Self::PteMarker => "pte_marker",
            Self::SwapinError => "swapin_error",
        }
    }

    /// Whether the entry's offset is a page frame number.
    pub const fn holds_pfn(self) -> bool {
        !matches!(self, Self::PteMarker | Self::SwapinError)
    }

    /// Whether it is the entry of a page in a device's private memory.
    pub const fn is_device_private(self) -> bool {
        matches!(self, Self::DeviceWrite | Self::DeviceRead)
    }

    /// Whether it is a migration entry.
    pub const fn is_migration(self) -> bool {
        matches!(self, Self::MigrationRead | Self::MigrationReadExclusive | Self::MigrationWrite)
    }

    /// Whether it is a device-exclusive entry.
    pub const fn is_exclusive(self) -> bool {
        matches!(self, Self::DeviceExclusiveWrite | Self::DeviceExclusiveRead)
    }
}

/// `tracer_common::globals::EntryFormat`, as a trace file holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryFormatRecord {
    /// Masks the page frame number.
    pub pfn_mask: u64,
    /// Bits of which any means that the entry is present.
    pub present_mask: u64,
    /// Right shift to the swap type.
    pub type_shift: u32,
    /// Mask of the swap type after the shift.
    pub type_mask: u32,
    /// Left shift that drops the bits above the offset.
    pub up: u32,
    /// Right shift that brings the offset down.
    pub down: u32,
    /// Whether the offset is stored inverted.
    pub invert: bool,
    /// Mask of the soft-dirty bit of a swap entry; 0 where there is none.
    #[serde(default)]
    pub soft_dirty_mask: u64,
    /// Mask of the uffd-wp bit of a swap entry; 0 where there is none.
    #[serde(default)]
    pub uffd_wp_mask: u64,
    /// How a present entry is laid out, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub present: Option<PresentEntryFormat>,
}

/// How a page sits in a page-table entry that maps one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PresentEntryFormat {
    /// Masks the page frame number where it stands; its lowest bit is the shift.
    pub pfn_mask: u64,
    /// Masks its highest bits where they stand elsewhere; 0 where they do not.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub high_mask: u64,
    /// How far those are shifted up to be bits of the physical address.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub high_shift: u32,
    /// Mask of a bit without which the page frame number is stored inverted; 0 where it never is.
    #[serde(default)]
    pub inverted_without: u64,
    /// Mask of the bit that allows writing.
    pub writable_mask: u64,
    /// Mask of the soft-dirty bit; 0 where there is none.
    pub soft_dirty_mask: u64,
    /// Mask of the uffd-wp bit; 0 where there is none.
    pub uffd_wp_mask: u64,
}

impl PresentEntryFormat {
    /// The page frame number of a raw entry that maps a page.
    pub const fn pfn(&self, entry: u64) -> u64 {
        let inverted = self.inverted_without != 0 && entry & self.inverted_without == 0;
        let stored = if inverted { !entry } else { entry };
        let address = stored & self.pfn_mask | (stored & self.high_mask) << (self.high_shift & 63);
        address >> (self.pfn_mask.trailing_zeros() & 63)
    }
}

/// Whether a member says nothing.
fn is_zero<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Description {
    /// The pfn of a `struct page` address; `None` when the memory map's base is not known or the address
    /// is no page of it.
    pub fn pfn(&self, page: u64) -> Option<u64> {
        let (base, size) = (self.vmemmap_base?, self.struct_page_size?);
        let distance = page.checked_sub(base)?;
        (size != 0 && distance % size == 0).then(|| distance / size)
    }

    /// Pages of a huge page that one entry of a directory maps: a directory is a page of entries of eight bytes.
    pub fn huge_pages(&self) -> u64 {
        (self.page_size / 8).max(1)
    }

    /// The mask of a page flag; `None` when the kernel's flags are not known or have no such one.
    pub fn page_flag(&self, name: &str) -> Option<u64> {
        let bit = self.page_flags.iter().find(|flag| flag.name == name)?.value;
        (0..64).contains(&bit).then(|| 1 << bit)
    }

    /// The special swap kind of a swap type number.
    pub fn swap_kind(&self, number: u32) -> Option<SwapKind> {
        self.swap_types.iter().find(|entry| entry.number == number).map(|entry| entry.kind)
    }
}
