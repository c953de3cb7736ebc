//! Bounce buffers that the stream saw being handed out.

use rustc_hash::FxHashMap;
use tracer_common::event::{Body, Header, SwiotlbMap, SwiotlbMapSingle};
use tracer_common::family::Family;

use super::occupancy::Occupancy;
use crate::event::Event;
use crate::follow::bounces::{Bounces, Change};

/// Most mappings that are followed.
const MOST_LIVE: usize = 1 << 18;

/// Most addresses that are remembered as given back.
const MOST_FREE: usize = 1 << 15;

/// One bounce buffer.
#[derive(Clone, Copy, Debug)]
pub struct Mapping {
    /// `struct device`.
    pub device: u64,
    /// Bytes.
    pub size: u64,
    /// `enum dma_data_direction`.
    pub direction: u32,
    /// Whether `swiotlb_map` gave it to its caller.
    pub is_answered: bool,
    /// The event that told so.
    pub made: Header,
}

/// What is known of an address.
#[derive(Clone, Copy, Debug)]
enum Slot {
    Live(Mapping),
    /// Given back by that event.
    Free(Header),
}

/// Mappings by the physical address of the bounce buffer.
#[derive(Debug, Default)]
pub struct Mappings {
    slots: FxHashMap<u64, Slot>,
    live: usize,
    /// Bytes of these.
    bytes: u64,
    occupancy: Occupancy,
    bounces: Bounces,
    unfollowed: u64,
}

impl Mappings {
    /// The mapping that begins at that address.
    #[inline]
    pub fn at(&self, bounce: u64) -> Option<&Mapping> {
        match self.slots.get(&bounce) {
            Some(Slot::Live(mapping)) => Some(mapping),
            _ => None,
        }
    }

    /// The unmap after which that address has not been handed out again.
    pub fn unmapped_by(&self, bounce: u64) -> Option<&Header> {
        match self.slots.get(&bounce) {
            Some(Slot::Free(header)) => Some(header),
            _ => None,
        }
    }

    /// Whether one of these slots is handed out.
    #[inline]
    pub fn overlaps(&self, bounce: u64, size: u64) -> bool {
        self.occupancy.overlaps(bounce, size)
    }

    /// The mapping that has some of these slots, with its address; of several the lowest.
    pub fn holder(&self, bounce: u64, size: u64) -> Option<(u64, Mapping)> {
        let slot = |address: u64| address >> 11;
        let end = |address: u64, size: u64| slot(address.saturating_add(size.max(1) - 1));
        let live = self.live().filter(|(address, mapping)| {
            slot(*address) <= end(bounce, size) && slot(bounce) <= end(*address, mapping.size)
        });
        live.min_by_key(|(address, _)| *address).map(|(address, mapping)| (address, *mapping))
    }

    /// Every mapping with its address, in no order.
    pub fn live(&self) -> impl Iterator<Item = (u64, &Mapping)> {
        self.slots.iter().filter_map(|(address, slot)| match slot {
            Slot::Live(mapping) => Some((*address, mapping)),
            Slot::Free(_) => None,
        })
    }

    /// Bytes of all mappings.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Mappings that were too many to be followed.
    pub fn unfollowed(&self) -> u64 {
        self.unfollowed
    }

    /// Address and time of the mapping that this answer of `swiotlb_map` is about.
    pub fn answered_by(&self, header: &Header, map: &SwiotlbMap) -> Option<(u64, u64)> {
        self.bounces.answered_by(header, map)
    }

    /// Takes an event into account.
    #[inline]
    pub(super) fn follow(&mut self, event: &Event) {
        match (self.bounces.follow(event), &event.body) {
            (Some(Change::Begin(_)), Body::SwiotlbMapSingle(map)) => self.mapped(&event.header, map),
            (Some(Change::Answered(bounce)), _) => self.answered(bounce),
            (Some(Change::End(bounce)), Body::SwiotlbUnmapSingle(_)) => self.unmapped(&event.header, bounce),
            (Some(Change::End(bounce)), _) => self.taken_back(bounce),
            (Some(Change::Begin(_)) | None, _) => {}
        }
    }

    #[inline]
    fn mapped(&mut self, header: &Header, map: &SwiotlbMapSingle) {
        if self.live >= MOST_LIVE {
            self.unfollowed += 1;
            self.forget_free(map.bounce);
            return;
        }
        let mapping = Mapping {
            device: map.device,
            size: map.size,
            direction: map.direction,
            is_answered: false,
            made: *header,
        };
        match self.slots.insert(map.bounce, Slot::Live(mapping)) {
            Some(Slot::Live(old)) => self.bytes = self.bytes.wrapping_sub(old.size),
            Some(Slot::Free(_)) | None => self.live += 1,
        }
        self.bytes = self.bytes.wrapping_add(map.size);
        self.occupancy.take(map.bounce, map.size);
    }

    fn forget_free(&mut self, bounce: u64) {
        if let Some(Slot::Free(_)) = self.slots.get(&bounce) {
            self.slots.remove(&bounce);
        }
    }

    #[inline]
    fn answered(&mut self, bounce: u64) {
        if let Some(Slot::Live(mapping)) = self.slots.get_mut(&bounce) {
            mapping.is_answered = true;
        }
    }

    /// `swiotlb_map` gave the slots back itself: no driver ever had them.
    fn taken_back(&mut self, bounce: u64) {
        if let Some(Slot::Live(mapping)) = self.slots.get(&bounce) {
            let size = mapping.size;
            self.slots.remove(&bounce);
            self.live -= 1;
            self.bytes = self.bytes.wrapping_sub(size);
            self.occupancy.give(bounce, size);
        }
    }

    #[inline]
    fn unmapped(&mut self, header: &Header, bounce: u64) {
        match self.slots.insert(bounce, Slot::Free(*header)) {
            Some(Slot::Live(mapping)) => {
                self.live -= 1;
                self.bytes = self.bytes.wrapping_sub(mapping.size);
                self.occupancy.give(bounce, mapping.size);
            }
            Some(Slot::Free(_)) => {}
            None => {
                if self.slots.len() - self.live > MOST_FREE {
                    self.slots.retain(|_, slot| matches!(slot, Slot::Live(_)));
                }
            }
        }
    }

    pub(super) fn lost(&mut self, family: Option<Family>) {
        if self.bounces.lost(family) {
            self.slots.clear();
            self.live = 0;
            self.bytes = 0;
            self.occupancy.clear();
        }
    }
}
