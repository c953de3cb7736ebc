//! Pages that the stream saw become device-exclusive and has not seen end.

use std::collections::{BTreeMap, VecDeque};

use rustc_hash::FxHashMap;
use tracer_common::event::{ExclusiveMove, ExclusivePage, ExclusiveZap, Header};

/// Most entries that are followed.
const MOST: usize = 1 << 18;

/// Zaps that are remembered for entries made while one runs.
const MOST_ZAPS: usize = 64;

/// How long a zap may take. It is known when it began, not when it ended.
const ZAP_TIME: u64 = 10_000_000_000;

/// Bytes of a page on the machines that have device-exclusive entries.
const PAGE_SIZE: u64 = 4096;

/// Pages of the largest folio that may be made exclusive: a transparent huge page.
const FOLIO_PAGES: u64 = 512;

/// One entry.
#[derive(Clone, Copy, Debug)]
pub struct Live {
    /// Its page, as the address of its `struct page`.
    pub page: u64,
    /// The event that told so.
    pub made: Header,
    /// Whether nothing can have ended it unseen.
    pub is_certain: bool,
}

/// Entries by place and by page.
#[derive(Debug, Default)]
pub struct ExclusivePages {
    /// By `mm_struct` and address.
    entries: BTreeMap<(u64, u64), Live>,
    places: FxHashMap<u64, (u64, u64)>,
    zaps: VecDeque<(Header, ExclusiveZap)>,
    unfollowed: u64,
    /// Entries that ended, for who asked for them.
    ended: Option<Vec<Live>>,
}

impl ExclusivePages {
    /// None yet; those that end are kept for [`take_ended`](Self::take_ended).
    pub fn keeping_ended() -> Self {
        Self { ended: Some(Vec::new()), ..Self::default() }
    }

    /// Whether entries ended since that was asked last.
    pub fn has_ended(&self) -> bool {
        self.ended.as_ref().is_some_and(|ended| !ended.is_empty())
    }

    /// The entries that ended since this was asked last.
    pub fn take_ended(&mut self) -> Vec<Live> {
        self.ended.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// The entry at that place.
    pub fn at(&self, mm: u64, address: u64) -> Option<&Live> {
        self.entries.get(&(mm, address))
    }

    /// The place of that page's entry, and the entry.
    pub fn of_page(&self, page: u64) -> Option<((u64, u64), &Live)> {
        let place = self.places.get(&page)?;
        self.entries.get(place).map(|live| (*place, live))
    }

    /// The entries of an address space, with their addresses.
    pub fn of_mm(&self, mm: u64) -> impl Iterator<Item = (u64, &Live)> {
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
    pub fn made(&mut self, header: &Header, page: &ExclusivePage) {
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
        self.entries.insert(place, Live { page: page.page, made: *header, is_certain });
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
    pub fn ended(&mut self, mm: u64, address: u64, page: u64) {
        if self.entries.is_empty() {
            return;
        }
        self.remove((mm, address));
        if let Some(place) = self.places.get(&page).copied() {
            self.remove(place);
        }
    }

    /// An unmap may have ended the entries of a page, or of all pages of the folio whose head it is.
    #[inline]
    pub fn walked(&mut self, page: u64, is_head: bool) {
        if self.entries.is_empty() {
            return;
        }
        // An unmap ends the entries of every page of a folio; `struct page` has 64 bytes where entries exist.
        let pages = if is_head { FOLIO_PAGES } else { 1 };
        for page in (0..pages).map(|index| page.wrapping_add(index * 64)) {
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
    pub fn zapped(&mut self, header: &Header, zap: &ExclusiveZap) {
        self.remove_range(zap.mm, zap.start, zap.end);
        if self.zaps.len() >= MOST_ZAPS {
            self.zaps.pop_front();
        }
        self.zaps.push_back((*header, *zap));
    }

    /// Entries went to other addresses; what was known there ended.
    pub fn moved(&mut self, moved: &ExclusiveMove) {
        let ExclusiveMove { mm, old_address, new_address, length } = *moved;
        let old_end = old_address.saturating_add(length.max(PAGE_SIZE));
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
    pub fn exited(&mut self, mm: u64) {
        self.remove_range(mm, 0, u64::MAX);
        self.zaps.retain(|(_, zap)| zap.mm != mm);
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
