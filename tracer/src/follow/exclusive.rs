//! Pages that the stream saw become device-exclusive and has not seen end.

use std::collections::{BTreeMap, VecDeque};

use rustc_hash::FxHashMap;
use tracer_common::event::{Body, ExclusiveMove, ExclusivePage, ExclusiveZap, Header, Kind};
use tracer_common::family::Family;

use crate::event::Event;
use crate::kernel::{Description, FolioHead};

/// Most entries that are followed.
const MOST: usize = 1 << 18;

/// Zaps that are remembered for entries made while one runs.
const MOST_ZAPS: usize = 64;

/// How long a zap may take. It is known when it began, not when it ended.
const ZAP_TIME: u64 = 10_000_000_000;

/// Bytes of `struct page` where the kernel's types are not known, as on every 64-bit machine with exclusive entries.
const STRUCT_PAGE: u64 = 64;

/// An entry that lives.
#[derive(Clone, Copy, Debug)]
pub struct ExclusiveEntry {
    /// Its page, as the address of its `struct page`.
    pub page: u64,
    /// The event that told so.
    pub made: Header,
    /// Whether nothing can have ended it unseen.
    pub is_certain: bool,
}

/// Entries by place and by page.
#[derive(Debug)]
pub struct ExclusivePages {
    page_size: u64,
    /// Bytes of `struct page`.
    struct_page: u64,
    head: FolioHead,
    /// Pages of the largest folio that may be made exclusive: a transparent huge page.
    folio_pages: u64,
    /// By `mm_struct` and address.
    entries: BTreeMap<(u64, u64), ExclusiveEntry>,
    places: FxHashMap<u64, (u64, u64)>,
    zaps: VecDeque<(Header, ExclusiveZap)>,
    unfollowed: u64,
    /// Entries that ended, for who asked for them.
    ended: Option<Vec<ExclusiveEntry>>,
}

impl ExclusivePages {
    /// None yet, on the kernel described.
    pub fn new(kernel: &Description) -> Self {
        Self {
            page_size: kernel.page_size.max(1),
            struct_page: kernel.struct_page_size.unwrap_or(STRUCT_PAGE),
            head: FolioHead::new(kernel),
            folio_pages: kernel.huge_pages(),
            entries: BTreeMap::new(),
            places: FxHashMap::default(),
            zaps: VecDeque::new(),
            unfollowed: 0,
            ended: None,
        }
    }

    /// Those that end are kept for [`take_ended`](Self::take_ended).
    #[must_use]
    pub fn keeping_ended(self) -> Self {
        Self { ended: Some(Vec::new()), ..self }
    }

    /// Whether events of that kind change them.
    pub const fn follows(kind: Kind) -> bool {
        matches!(
            kind,
            Kind::ExclusivePage
                | Kind::RestoreExclusive
                | Kind::ExclusiveZap
                | Kind::ExclusiveMove
                | Kind::ExclusiveExit
                | Kind::TryToUnmap
                | Kind::TryToMigrate
        )
    }

    /// Takes an event into account.
    #[inline]
    pub fn follow(&mut self, event: &Event) {
        match &event.body {
            Body::ExclusivePage(page) => self.made(&event.header, page),
            Body::RestoreExclusive(restore) => self.restored(restore.mm, restore.address, restore.page),
            Body::ExclusiveZap(zap) => self.zapped(&event.header, zap),
            Body::ExclusiveMove(moved) => self.moved(moved),
            Body::ExclusiveExit(exit) => self.exited(exit.mm),
            Body::TryToUnmap(walk) | Body::TryToMigrate(walk) => self.walked(walk.page, walk.flags),
            _ => {}
        }
    }

    /// Whether entries ended since that was asked last.
    pub fn has_ended(&self) -> bool {
        self.ended.as_ref().is_some_and(|ended| !ended.is_empty())
    }

    /// The entries that ended since this was asked last.
    pub fn take_ended(&mut self) -> Vec<ExclusiveEntry> {
        self.ended.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// The entry at that place.
    pub fn at(&self, mm: u64, address: u64) -> Option<&ExclusiveEntry> {
        self.entries.get(&(mm, address))
    }

    /// The place of that page's entry, and the entry.
    pub fn of_page(&self, page: u64) -> Option<((u64, u64), &ExclusiveEntry)> {
        let place = self.places.get(&page)?;
        self.entries.get(place).map(|live| (*place, live))
    }

    /// The entries of an address space, with their addresses.
    pub fn of_mm(&self, mm: u64) -> impl Iterator<Item = (u64, &ExclusiveEntry)> {
        self.entries.range((mm, 0)..=(mm, u64::MAX)).map(|((_, address), live)| (*address, live))
    }

    /// How many entries are in a range of addresses.
    pub fn in_range(&self, mm: u64, start: u64, end: u64) -> usize {
        if start < end { self.entries.range((mm, start)..(mm, end)).count() } else { 0 }
    }

    /// Entries that were too many to be followed.
    pub fn unfollowed(&self) -> u64 {
        self.unfollowed
    }

    /// Whether another task may be emptying the page table at that place: MADV_DONTNEED needs neither the page
    /// lock nor more of the address space than the maker (6.12 mm/madvise.c, madvise_need_mmap_write).
    pub fn may_be_zapped(&self, header: &Header, mm: u64, address: u64) -> bool {
        self.zaps.iter().any(|(begun, zap)| {
            zap.mm == mm
                && (zap.start..zap.end).contains(&address)
                && begun.tid != header.tid
                && header.time.saturating_sub(begun.time) < ZAP_TIME
        })
    }

    /// A page was made exclusive; what was known of its place and of the page ended.
    fn made(&mut self, header: &Header, page: &ExclusivePage) {
        let place = (page.mm, page.address);
        self.remove(place);
        if let Some(old) = self.places.get(&page.page).copied() {
            self.remove(old);
        }
        if self.entries.len() >= MOST {
            self.unfollowed += 1;
            return;
        }
        let is_certain = !self.may_be_zapped(header, page.mm, page.address);
        self.entries.insert(place, ExclusiveEntry { page: page.page, made: *header, is_certain });
        self.places.insert(page.page, place);
    }

    fn remove(&mut self, place: (u64, u64)) {
        let Some(live) = self.entries.remove(&place) else { return };
        if self.places.get(&live.page) == Some(&place) {
            self.places.remove(&live.page);
        }
        if let Some(ended) = &mut self.ended {
            ended.push(live);
        }
    }

    /// The entry at that place, or else of that page, became a present one.
    fn restored(&mut self, mm: u64, address: u64, page: u64) {
        if self.entries.is_empty() {
            return;
        }
        self.remove((mm, address));
        if let Some(place) = self.places.get(&page).copied() {
            self.remove(place);
        }
    }

    /// An unmap may have ended the entries of a page, or of all pages of the folio whose head it is; so it is taken to be
    /// where that is not known.
    #[inline]
    fn walked(&mut self, page: u64, flags: u64) {
        if self.entries.is_empty() {
            return;
        }
        let pages = if self.head.may_be(flags) { self.folio_pages } else { 1 };
        let struct_page = self.struct_page;
        for page in (0..pages).map(|index| page.wrapping_add(index.wrapping_mul(struct_page))) {
            if let Some(place) = self.places.get(&page).copied() {
                self.remove(place);
            }
        }
    }

    fn remove_range(&mut self, mm: u64, start: u64, end: u64) {
        if start >= end {
            return;
        }
        let range = (mm, start)..(mm, end);
        while let Some((place, _)) = self.entries.range(range.clone()).next() {
            let place = *place;
            self.remove(place);
        }
    }

    /// A range was zapped.
    fn zapped(&mut self, header: &Header, zap: &ExclusiveZap) {
        self.remove_range(zap.mm, zap.start, zap.end);
        if self.zaps.len() >= MOST_ZAPS {
            self.zaps.pop_front();
        }
        self.zaps.push_back((*header, *zap));
    }

    /// Entries went to other addresses; what was known there ended.
    fn moved(&mut self, moved: &ExclusiveMove) {
        let ExclusiveMove { mm, old_address, new_address, length } = *moved;
        let old_end = old_address.saturating_add(length.max(self.page_size));
        let range = (mm, old_address)..(mm, old_end);
        let entries: Vec<_> = self.entries.range(range).map(|(place, live)| (*place, *live)).collect();
        for ((_, address), live) in entries {
            self.entries.remove(&(mm, address));
            let place = (mm, new_address.wrapping_add(address - old_address));
            self.remove(place);
            self.entries.insert(place, live);
            self.places.insert(live.page, place);
        }
    }

    /// An address space is gone.
    fn exited(&mut self, mm: u64) {
        self.remove_range(mm, 0, u64::MAX);
        self.zaps.retain(|(_, zap)| zap.mm != mm);
    }

    /// Forgets what missing events of a family make doubtful, of any family for `None`: ends may be among them. Says
    /// whether that was so.
    pub fn lost(&mut self, family: Option<Family>) -> bool {
        let is_doubtful = matches!(family, None | Some(Family::Exclusive | Family::Rmap));
        if is_doubtful {
            self.forget();
        }
        is_doubtful
    }

    /// Nothing is known any more.
    pub fn forget(&mut self) {
        if let Some(ended) = &mut self.ended {
            ended.extend(self.entries.values());
        }
        self.entries.clear();
        self.places.clear();
        self.zaps.clear();
    }
}
