//! Bounce buffers that the stream saw being handed out.

use std::collections::VecDeque;

use rustc_hash::FxHashMap;
use tracer_common::event::{Header, MAPPING_ERROR, SwiotlbMap, SwiotlbMapSingle, SwiotlbUnmapSingle};

use super::occupancy::Occupancy;

/// Most mappings that are followed.
const MOST_LIVE: usize = 1 << 18;

/// Most addresses that are remembered as given back.
const MOST_FREE: usize = 1 << 15;

/// Mappings for which the answer of `swiotlb_map` may still come. Users of `swiotlb_tbl_map_single` itself
/// (6.12 drivers/iommu/dma-iommu.c) never send one.
const MOST_UNANSWERED: usize = 64;

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

/// A mapping whose `swiotlb_map` has not returned.
#[derive(Clone, Copy, Debug)]
struct Unanswered {
    tid: u32,
    device: u64,
    original: u64,
    bounce: u64,
    time: u64,
}

/// Mappings by the physical address of the bounce buffer.
#[derive(Debug, Default)]
pub struct Mappings {
    slots: FxHashMap<u64, Slot>,
    live: usize,
    /// Bytes of these.
    bytes: u64,
    occupancy: Occupancy,
    unanswered: VecDeque<Unanswered>,
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
        self.find(header, map).map(|index| (self.unanswered[index].bounce, self.unanswered[index].time))
    }

    #[inline]
    fn find(&self, header: &Header, map: &SwiotlbMap) -> Option<usize> {
        self.unanswered.iter().rposition(|waiting| {
            waiting.tid == header.tid && waiting.original == map.original && waiting.device == map.device
        })
    }

    #[inline]
    pub(super) fn mapped(&mut self, header: &Header, map: &SwiotlbMapSingle) {
        if map.bounce == MAPPING_ERROR {
            return;
        }
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
        if self.unanswered.len() >= MOST_UNANSWERED {
            self.unanswered.pop_front();
        }
        self.unanswered.push_back(Unanswered {
            tid: header.tid,
            device: map.device,
            original: map.original,
            bounce: map.bounce,
            time: header.time,
        });
    }

    fn forget_free(&mut self, bounce: u64) {
        if let Some(Slot::Free(_)) = self.slots.get(&bounce) {
            self.slots.remove(&bounce);
        }
    }

    #[inline]
    pub(super) fn answered(&mut self, header: &Header, map: &SwiotlbMap) {
        let Some(answered) = self.find(header, map).and_then(|index| self.unanswered.remove(index)) else {
            return;
        };
        let Some(Slot::Live(mapping)) = self.slots.get_mut(&answered.bounce) else { return };
        if mapping.made.time != answered.time {
            return;
        }
        mapping.is_answered = true;
        if map.dma_address == MAPPING_ERROR {
            // The device cannot reach it: swiotlb_map() gives the slots back itself (6.12 kernel/dma/swiotlb.c).
            let size = mapping.size;
            self.slots.remove(&answered.bounce);
            self.live -= 1;
            self.bytes = self.bytes.wrapping_sub(size);
            self.occupancy.give(answered.bounce, size);
        }
    }

    #[inline]
    pub(super) fn unmapped(&mut self, header: &Header, unmap: &SwiotlbUnmapSingle) {
        match self.slots.insert(unmap.bounce, Slot::Free(*header)) {
            Some(Slot::Live(mapping)) => {
                self.live -= 1;
                self.bytes = self.bytes.wrapping_sub(mapping.size);
                self.occupancy.give(unmap.bounce, mapping.size);
            }
            Some(Slot::Free(_)) => {}
            None => {
                if self.slots.len() - self.live > MOST_FREE {
                    self.slots.retain(|_, slot| matches!(slot, Slot::Live(_)));
                }
            }
        }
    }

    pub(super) fn forget(&mut self) {
        self.slots.clear();
        self.live = 0;
        self.bytes = 0;
        self.occupancy.clear();
        self.unanswered.clear();
    }
}
