//! Raw page-table entries taken apart.

use tracer_common::event::UNKNOWN;
use tracer_common::globals::{EntryFormat, Globals};

use crate::kernel::{Description, EntryFormatRecord, PresentEntryFormat, SwapKind};

/// What a raw page-table entry says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The raw entry.
    pub raw: u64,
    /// What it is.
    pub state: EntryState,
}

/// What a raw page-table entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryState {
    /// Nothing is mapped.
    None,
    /// A page is mapped.
    Present {
        /// The page frame number; `None` where it is not known how such an entry is laid out.
        pfn: Option<u64>,
    },
    /// A swap entry.
    Swap {
        /// `swp_type()`.
        number: u32,
        /// What the type means; `None` for a swap file.
        kind: Option<SwapKind>,
        /// The page frame number, for kinds that hold one.
        pfn: Option<u64>,
        /// The soft-dirty bit.
        soft_dirty: bool,
        /// The userfaultfd write-protection bit.
        uffd_wp: bool,
    },
}

impl EntryState {
    /// The name used in every output.
    pub fn name(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Present { .. } => "present",
            Self::Swap { kind: Some(kind), .. } => kind.name(),
            Self::Swap { kind: None, .. } => "swap",
        }
    }
}

/// Takes entries of one kernel apart.
#[derive(Clone, Debug)]
pub struct EntryDecoder {
    format: EntryFormat,
    soft_dirty_mask: u64,
    uffd_wp_mask: u64,
    present: Option<PresentEntryFormat>,
    kinds: Vec<Option<SwapKind>>,
}

/// Swap types are 5 bits, 6 on arm64 in 5.15 (arch/arm64/include/asm/pgtable.h).
const MOST_TYPES: u32 = 64;

impl EntryDecoder {
    /// For the kernel described; `None` where it does not know how entries are laid out.
    pub fn new(description: &Description) -> Option<Self> {
        let record = description.entry_format.as_ref()?;
        let EntryFormatRecord { soft_dirty_mask, uffd_wp_mask, present, .. } = *record;
        Some(Self {
            format: EntryFormat {
                pfn_mask: record.pfn_mask,
                present_mask: record.present_mask,
                type_shift: record.type_shift.min(63),
                type_mask: record.type_mask,
                up: record.up,
                down: record.down,
                invert: u32::from(record.invert),
                ..Globals::EMPTY.entry
            },
            soft_dirty_mask,
            uffd_wp_mask,
            present,
            kinds: (0..MOST_TYPES).map(|number| description.swap_kind(number)).collect(),
        })
    }

    /// Takes an entry apart; `None` when it could not be read.
    pub fn decode(&self, raw: u64) -> Option<Entry> {
        if raw == UNKNOWN {
            return None;
        }
        let state = match self.format.swap_type(raw) {
            None if raw == 0 => EntryState::None,
            None => EntryState::Present { pfn: self.present.map(|format| format.pfn(raw)) },
            Some(number) => {
                let kind = self.kinds.get(number as usize).copied().flatten();
                EntryState::Swap {
                    number,
                    kind,
                    pfn: kind.is_some_and(SwapKind::holds_pfn).then(|| self.format.pfn(raw)),
                    soft_dirty: raw & self.soft_dirty_mask != 0,
                    uffd_wp: raw & self.uffd_wp_mask != 0,
                }
            }
        };
        Some(Entry { raw, state })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::SwapType;
    use SwapKind::*;

    fn decoder(types: &[(u32, SwapKind)]) -> EntryDecoder {
        let swap_types = types.iter().map(|&(number, kind)| SwapType { number, kind }).collect();
        // x86-64, arch/x86/include/asm/pgtable_64.h: type in 63:59, the inverted offset in 58:9.
        let entry_format = Some(EntryFormatRecord {
            pfn_mask: (1 << 34) - 1,
            present_mask: 0x101,
            type_shift: 59,
            type_mask: 0x1f,
            up: 5,
            down: 14,
            invert: true,
            soft_dirty_mask: 2,
            uffd_wp_mask: 4,
            present: Some(PresentEntryFormat {
                pfn_mask: 0x000f_ffff_ffff_f000,
                high_mask: 0,
                high_shift: 0,
                inverted_without: 1,
                writable_mask: 2,
                soft_dirty_mask: 0x800,
                uffd_wp_mask: 0x400,
            }),
        });
        EntryDecoder::new(&Description { swap_types, entry_format, ..Description::default() }).unwrap()
    }

    fn check(decoder: &EntryDecoder, raw: u64, number: u32, kind: SwapKind) {
        for (raw, soft_dirty) in [(raw, false), (raw | 2, true)] {
            let state =
                EntryState::Swap { number, kind: Some(kind), pfn: Some(0x12345), soft_dirty, uffd_wp: false };
            assert_eq!(decoder.decode(raw), Some(Entry { raw, state }));
        }
    }

    #[test]
    fn worked_examples_of_three_kernels() {
        let old = decoder(&[(30, DeviceExclusiveWrite), (31, DeviceExclusiveRead), (27, MigrationWrite)]);
        check(&old, 0xf7ff_ffff_fdb9_7400, 30, DeviceExclusiveWrite);
        check(&old, 0xffff_ffff_fdb9_7400, 31, DeviceExclusiveRead);
        check(&old, 0xdfff_ffff_fdb9_7400, 27, MigrationWrite);
        check(&decoder(&[(28, DeviceExclusiveWrite)]), 0xe7ff_ffff_fdb9_7400, 28, DeviceExclusiveWrite);
        let new = decoder(&[
            (25, MigrationReadExclusive),
            (26, MigrationWrite),
            (27, DeviceWrite),
            (29, DeviceExclusiveWrite),
            (30, DeviceExclusiveRead),
        ]);
        check(&new, 0xefff_ffff_fdb9_7400, 29, DeviceExclusiveWrite);
        check(&new, 0xf7ff_ffff_fdb9_7400, 30, DeviceExclusiveRead);
        check(&new, 0xcfff_ffff_fdb9_7400, 25, MigrationReadExclusive);
        // Young and dirty lie above the pfn.
        check(&new, 0xd7ff_e7ff_fdb9_7400, 26, MigrationWrite);
        check(&new, 0xdfff_ffff_fdb9_7400, 27, DeviceWrite);
    }

    #[test]
    fn entries_that_are_no_special_swap_entries() {
        let decoder = decoder(&[(30, PteMarker)]);
        let state = |raw| decoder.decode(raw).map(|entry| entry.state);
        assert_eq!(state(UNKNOWN), None);
        assert_eq!(state(0), Some(EntryState::None));
        assert_eq!(state(0x8000_0000_1234_5067), Some(EntryState::Present { pfn: Some(0x12345) }));
        let inverted = 0x100 | !(0x12345 << 12) & 0x000f_ffff_ffff_f000;
        assert_eq!(state(inverted), Some(EntryState::Present { pfn: Some(0x12345) }), "PROT_NONE");
        let swapped = EntryState::Swap { number: 0, kind: None, pfn: None, soft_dirty: false, uffd_wp: true };
        assert_eq!(state(0x07ff_ffff_fdb9_7404), Some(swapped));
        assert_eq!(swapped.name(), "swap");
        let Some(EntryState::Swap { kind, pfn, .. }) = state(30 << 59) else { panic!() };
        assert_eq!((kind, pfn), (Some(PteMarker), None));
    }
}
