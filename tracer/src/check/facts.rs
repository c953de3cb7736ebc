//! What a rule must know of the kernel and of the session, worked out once from the header.

use std::collections::BTreeMap;

use tracer_common::event::{Kind, UNKNOWN};
use tracer_common::point::Point;

use super::coverage::{Availability, availability};
use crate::event::{Decoder, Entry, EntryDecoder, EntryState};
use crate::kernel::{FolioHead, NamedValue, PresentEntryFormat, SwapKind};
use crate::trace_file::FileHeader;

/// `VM_LOCKED` and what else rules ask of VMAs (5.15 to 7.3, include/linux/mm.h).
pub const VM_WRITE: u64 = 0x2;
/// The VMA's pages are to stay in memory.
pub const VM_LOCKED: u64 = 0x2000;
/// The VMA has huge pages of hugetlbfs.
pub const VM_HUGETLB: u64 = 0x40_0000;
/// `VM_SPECIAL`: VM_IO, VM_DONTEXPAND, VM_PFNMAP, VM_MIXEDMAP; mlock leaves such VMAs alone.
pub const VM_SPECIAL: u64 = 0x4000 | 0x4_0000 | 0x400 | 0x1000_0000;

/// The function that makes pages exclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Maker {
    /// `make_device_exclusive_range`, 5.14 to 6.14: the page loses its mapping.
    Range,
    /// `make_device_exclusive`, 6.15 on: it keeps it.
    Single,
}

/// The kernel and the session of a stream.
#[derive(Debug)]
pub struct Facts {
    /// Turns numbers into values.
    pub decoder: Decoder,
    /// Takes page-table entries apart; `None` on machines whose entries are not known.
    entries: Option<EntryDecoder>,
    /// Bits of a present entry; `None` on machines where they are not known.
    pub present: Option<PresentEntryFormat>,
    /// Bytes of a page.
    pub page_size: u64,
    /// Pages of the largest folio that page-table entries map: those of a huge page.
    pub huge_pages: u64,
    locked: u64,
    mlocked: u64,
    head: FolioHead,
    ttu_flags: Vec<NamedValue>,
    /// Whether exclusive entries are of two types, one of them read-only (up to 6.14).
    pub has_read_type: bool,
    knows_exclusive_types: bool,
    /// The maker that is watched.
    pub maker: Option<Maker>,
    /// Whether devices may have more pools than the one whose bounds an event tells (CONFIG_SWIOTLB_DYNAMIC).
    pub has_dynamic_pools: bool,
    /// Whether tasks were left out: what they did is not in the stream.
    pub is_filtered: bool,
    /// Whether a command was traced.
    pub has_command: bool,
    availability: BTreeMap<Kind, Availability>,
}

impl Facts {
    /// Those of a stream with that header.
    pub fn new(header: &FileHeader) -> Self {
        let kernel = &header.kernel;
        let mask = |name: &str| kernel.page_flag(name).unwrap_or_default();
        let has_type = |kind| kernel.swap_types.iter().any(|entry| entry.kind == kind);
        let attached = |point: Point| {
            header.probes.iter().any(|report| report.is_of(point) && report.outcome.is_attached())
        };
        let maker = if attached(Point::MakeDeviceExclusiveRange) {
            Some(Maker::Range)
        } else {
            attached(Point::MakeDeviceExclusive).then_some(Maker::Single)
        };
        Self {
            decoder: Decoder::new(kernel),
            entries: EntryDecoder::new(kernel),
            present: kernel.entry_format.and_then(|format| format.present),
            page_size: kernel.page_size.max(1),
            huge_pages: kernel.huge_pages(),
            locked: mask("PG_locked"),
            mlocked: mask("PG_mlocked"),
            head: FolioHead::new(kernel),
            ttu_flags: kernel.enums.get("ttu_flags").cloned().unwrap_or_default(),
            has_read_type: has_type(SwapKind::DeviceExclusiveRead),
            knows_exclusive_types: has_type(SwapKind::DeviceExclusiveWrite),
            maker,
            has_dynamic_pools: kernel.layout.contains_key("pool_dynamic"),
            is_filtered: is_filtered(header),
            has_command: header.traced_command.is_some(),
            availability: Kind::ALL.iter().map(|kind| (*kind, availability(&header.probes, *kind))).collect(),
        }
    }

    /// Whether PG_locked is set; `None` when the flags could not be read.
    #[inline]
    pub fn is_locked(&self, flags: u64) -> Option<bool> {
        test(flags, self.locked)
    }

    /// Whether PG_mlocked is set; `None` when the flags could not be read.
    pub fn is_mlocked(&self, flags: u64) -> Option<bool> {
        test(flags, self.mlocked)
    }

    /// Whether the flags are those of a large folio's head; so they are taken to be where that is not known.
    #[inline]
    pub fn is_head(&self, flags: u64) -> bool {
        self.head.may_be(flags)
    }

    /// The same; `None` when it is not known.
    #[inline]
    pub fn knows_head(&self, flags: u64) -> Option<bool> {
        self.head.knows(flags)
    }

    /// The mask of TTU flags of these names; `None` when the kernel's own value of any is not known.
    pub fn ttu_mask(&self, names: &[&str]) -> Option<u32> {
        names.iter().try_fold(0, |mask, name| {
            let flag = self.ttu_flags.iter().find(|flag| flag.name == *name)?;
            Some(mask | flag.value as u32)
        })
    }

    /// A page-table entry taken apart; `None` when it was not read or such entries are not known.
    pub fn entry(&self, raw: u64) -> Option<Entry> {
        self.entries.as_ref()?.decode(raw)
    }

    /// The parts of an exclusive entry, `Some(Err)` for any other entry; `None` when that cannot be told.
    pub fn exclusive_entry(&self, raw: u64) -> Option<Result<ExclusiveEntry, Entry>> {
        if !self.knows_exclusive_types {
            return None;
        }
        let entry = self.entry(raw)?;
        Some(match entry.state {
            EntryState::Swap { kind: Some(kind), pfn, soft_dirty, uffd_wp, .. } if kind.is_exclusive() => {
                let is_writable = kind == SwapKind::DeviceExclusiveWrite;
                Ok(ExclusiveEntry { pfn, is_writable, soft_dirty, uffd_wp })
            }
            _ => Err(entry),
        })
    }

    /// Whether events of that kind are in the stream.
    pub fn availability(&self, kind: Kind) -> &Availability {
        // Every kind has been asked for.
        &self.availability[&kind]
    }

    /// Whether events of that kind are in the stream.
    pub fn has(&self, kind: Kind) -> bool {
        matches!(self.availability(kind), Availability::Attached { .. })
    }
}

/// What an exclusive entry says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExclusiveEntry {
    /// The page frame.
    pub pfn: Option<u64>,
    /// Whether it is of the writable type.
    pub is_writable: bool,
    /// The soft-dirty bit.
    pub soft_dirty: bool,
    /// The uffd-wp bit.
    pub uffd_wp: bool,
}

fn test(flags: u64, mask: u64) -> Option<bool> {
    (flags != UNKNOWN && mask != 0).then_some(flags & mask != 0)
}

/// Whether the session watched some tasks only: the options of `record`, or the traced command's processes.
fn is_filtered(header: &FileHeader) -> bool {
    let options = &header.options;
    options.narrow_tasks() || options.min_latency.is_some() || header.traced_command.is_some() && !options.all
}
