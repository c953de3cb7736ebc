//! Swap entries by their kind, and neighbours that are alike put together.

use serde::Serialize;

use super::pagemap::Word;
use super::types::TypeTable;
use crate::kernel::SwapKind;

/// What a swap entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A special entry.
    Special(SwapKind),
    /// A page that was swapped out: no special entry.
    Swap,
    /// The kernel hides it: the reader has no CAP_SYS_ADMIN.
    Hidden,
}

impl Kind {
    /// The name used in every output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Special(kind) => kind.name(),
            Self::Swap => "swap",
            Self::Hidden => "hidden",
        }
    }
}

impl Serialize for Kind {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// A swap entry as it stood when it was read, without its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Flags {
    /// Its kind.
    pub kind: Kind,
    /// Soft-dirty, the entry or its whole VMA.
    pub soft_dirty: bool,
    /// Write-protected for userfaultfd.
    pub uffd_wp: bool,
    /// Of a file or of shared memory.
    pub file: bool,
    /// What a marker marks: the kernel's bits (PTE_MARKER_*); 0 for all other kinds.
    #[serde(skip)]
    pub marker: u64,
}

/// What a marker marks besides userfaultfd write protection, which pagemap has a bit for
/// (include/linux/swapops.h, PTE_MARKER_*; 6.12 has the first).
const MARKERS: [(u64, &str); 2] = [(2, "poisoned"), (4, "guard")];

impl Flags {
    /// The names of all that is set.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        let bits =
            [(self.soft_dirty, "soft_dirty"), (self.uffd_wp, "uffd_wp"), (self.file, "file")].into_iter();
        let marker = self.marker;
        let markers = MARKERS.into_iter().map(move |(bit, name)| (marker & bit != 0, name));
        bits.chain(markers).filter(|(set, _)| *set).map(|(_, name)| name)
    }
}

/// The swap entry of one page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The page's address.
    pub address: u64,
    /// What it is.
    pub flags: Flags,
    /// The page frame it names; `None` for kinds without one.
    pub pfn: Option<u64>,
}

impl Entry {
    /// The entry in a word of pagemap; `None` when it is no swap entry.
    pub fn new(address: u64, word: Word, table: &TypeTable) -> Option<Self> {
        if !word.is_swap() {
            return None;
        }
        let (kind, offset) = match word.swap() {
            None => (Kind::Hidden, 0),
            Some((number, offset)) => (table.kind(number).map_or(Kind::Swap, Kind::Special), offset),
        };
        let holds_pfn = matches!(kind, Kind::Special(kind) if kind.holds_pfn());
        let marks = kind == Kind::Special(SwapKind::PteMarker);
        let flags = Flags {
            kind,
            soft_dirty: word.soft_dirty(),
            uffd_wp: word.uffd_wp(),
            file: word.file(),
            marker: if marks { offset } else { 0 },
        };
        // Huge pages under migration (5.19 to 6.0) and poisoned pages keep more than the pfn in the offset.
        Some(Self { address, flags, pfn: holds_pfn.then_some(offset & table.pfn_mask) })
    }
}

/// Consecutive page frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Frames {
    /// The first one.
    #[serde(serialize_with = "super::json::hex")]
    pub pfn: u64,
    /// How many.
    pub count: u64,
}

/// Neighbouring pages whose entries are alike in all but the page frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryRange {
    /// Address of the first page.
    pub start: u64,
    /// How many pages.
    pub pages: u64,
    /// What the entries are.
    pub flags: Flags,
    /// Their page frames, in the order of the addresses.
    pub frames: Vec<Frames>,
}

/// Puts neighbours together that are alike. `entries` are in the order of their addresses; `is_border` says
/// whether a VMA begins at an address.
pub fn merge(entries: &[Entry], page_size: u64, is_border: impl Fn(u64) -> bool) -> Vec<EntryRange> {
    let mut ranges: Vec<EntryRange> = Vec::new();
    for entry in entries {
        let range = match ranges.last_mut() {
            Some(last)
                if last.start + last.pages * page_size == entry.address
                    && last.flags == entry.flags
                    && !is_border(entry.address) =>
            {
                last
            }
            _ => {
                let new =
                    EntryRange { start: entry.address, pages: 0, flags: entry.flags, frames: Vec::new() };
                ranges.push(new);
                let last = ranges.len() - 1;
                &mut ranges[last]
            }
        };
        range.pages += 1;
        if let Some(pfn) = entry.pfn {
            match range.frames.last_mut() {
                Some(frames) if frames.pfn.checked_add(frames.count) == Some(pfn) => frames.count += 1,
                _ => range.frames.push(Frames { pfn, count: 1 }),
            }
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::types::tests::table;
    use super::*;

    const PAGE: u64 = 4096;

    #[test]
    fn kinds_depend_on_the_table() {
        let word = Word(0x4000_0000_0024_68be);
        let kind = |table: &TypeTable| Entry::new(0, word, table).unwrap().flags.kind;
        // Type 30 of 5.15, of 6.12 with device-private memory and without.
        assert_eq!(kind(&table(25, true)), Kind::Special(SwapKind::DeviceExclusiveWrite));
        assert_eq!(kind(&table(23, true)), Kind::Special(SwapKind::DeviceExclusiveRead));
        assert_eq!(kind(&table(27, false)), Kind::Special(SwapKind::MigrationWrite));
        assert_eq!(kind(&TypeTable { types: Vec::new(), ..table(27, false) }), Kind::Swap);
    }

    #[test]
    fn markers_have_no_page_frame() {
        let table = table(27, false);
        let entry = Entry::new(PAGE, Word(1 << 62 | 1 << 57 | 1 << 5 | 31), &table).unwrap();
        assert_eq!((entry.flags.kind, entry.pfn), (Kind::Special(SwapKind::PteMarker), None));
        assert_eq!(entry.flags.names().collect::<Vec<_>>(), ["uffd_wp"]);
        let poisoned = Entry::new(PAGE, Word(1 << 62 | 2 << 5 | 31), &table).unwrap();
        assert_eq!(poisoned.flags.names().collect::<Vec<_>>(), ["poisoned"]);
    }

    #[test]
    fn hidden_entries_are_said_to_be_hidden() {
        let entry = Entry::new(PAGE, Word(1 << 62), &table(27, false)).unwrap();
        assert_eq!((entry.flags.kind, entry.pfn), (Kind::Hidden, None));
        assert_eq!(Entry::new(PAGE, Word(0), &table(27, false)), None);
    }

    #[test]
    fn young_and_dirty_are_masked_off() {
        // 6.12: offset bits 34 and 35 of a migration entry; the kernel drops them itself, 5.19 to 6.0 do not
        // for huge pages.
        let word = Word(1 << 62 | 0xc_0001_2345 << 5 | 30);
        assert_eq!(Entry::new(PAGE, word, &table(27, false)).unwrap().pfn, Some(0x12345));
    }

    /// Entries at increasing addresses, some of them neighbours.
    fn entries() -> impl Strategy<Value = Vec<Entry>> {
        let kinds = prop_oneof![
            Just(Kind::Special(SwapKind::MigrationRead)),
            Just(Kind::Special(SwapKind::DeviceExclusiveWrite)),
            Just(Kind::Special(SwapKind::PteMarker)),
            Just(Kind::Hidden),
        ];
        let entry = (kinds, any::<bool>(), 1..3_u64, 0..4_u64);
        proptest::collection::vec(entry, 0..60).prop_map(|list| {
            let mut address = PAGE;
            let mut entries = Vec::new();
            for (kind, soft_dirty, step, pfn) in list {
                address += step * PAGE;
                let holds_pfn = matches!(kind, Kind::Special(kind) if kind.holds_pfn());
                entries.push(Entry {
                    address,
                    flags: Flags { kind, soft_dirty, uffd_wp: false, file: false, marker: 0 },
                    pfn: holds_pfn.then_some(pfn),
                });
            }
            entries
        })
    }

    proptest! {
        #[test]
        fn ranges_hold_the_same_entries(entries in entries(), border in 2..60_u64) {
            let border = border * PAGE;
            let ranges = merge(&entries, PAGE, |address| address == border);
            let mut apart = Vec::new();
            for range in &ranges {
                let mut pfns = range.frames.iter().flat_map(|frames| frames.pfn..frames.pfn + frames.count);
                for page in 0..range.pages {
                    let address = range.start + page * PAGE;
                    apart.push(Entry { address, flags: range.flags, pfn: pfns.next() });
                }
                prop_assert!(pfns.next().is_none());
            }
            prop_assert_eq!(apart, entries);
            for pair in ranges.windows(2) {
                let end = pair[0].start + pair[0].pages * PAGE;
                prop_assert!(end <= pair[1].start);
                prop_assert!(end < pair[1].start || pair[0].flags != pair[1].flags || end == border);
            }
        }
    }
}
