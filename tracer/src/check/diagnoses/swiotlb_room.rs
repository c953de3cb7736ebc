//! How large a pool of bounce buffers would have had room for what failed.

use rustc_hash::FxHashMap;
use tracer_common::event::{BITS_UNKNOWN, SwiotlbMapSingle, SwiotlbPages, UNKNOWN};

use super::swiotlb_full::{LARGEST, SLOT_SHIFT};

/// Slots of a segment, the most that a mapping gets (`IO_TLB_SEGSIZE`, 6.12 include/linux/swiotlb.h).
const SEGMENT: u64 = LARGEST >> SLOT_SHIFT;

/// `for_alloc`: coherent memory comes from the pool, too, which is so for restricted pools alone
/// (6.12 kernel/dma/swiotlb.c, `rmem_swiotlb_device_init`).
const FOR_ALLOC: u32 = 2;

/// Most different buffers whose requests are added up.
const MOST: usize = 1 << 14;

/// The failure that came nearest to having the pool to itself: the most slots in use and asked for.
#[derive(Clone, Copy, Debug)]
struct Fullest {
    start: u64,
    slots: u64,
    used: u64,
    asked: u64,
    is_restricted: bool,
}

/// What failed of one device in one pool for one reason.
#[derive(Debug, Default)]
pub struct Room {
    fullest: Option<Fullest>,
    /// Most slots that one request needs for certain to find room in a new segment.
    largest: u64,
    /// Slots asked for, by the buffer: a driver asks again for the same.
    asked: FxHashMap<u64, u64>,
    /// Some were no buffers but coherent memory.
    has_nameless: bool,
}

/// What asked for room and got none.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// Address of the original buffer; none of coherent memory.
    pub original: Option<u64>,
    /// Bytes to find room for.
    pub size: u64,
    /// Most slots that it can take.
    slots: u64,
    align_mask: u64,
    pool_start: u64,
    pool_end: u64,
    used_slots: u64,
    is_restricted: bool,
}

impl Request {
    /// A mapping. A device with a `min_align_mask` keeps low bits of the original address, which is not recorded: a
    /// device without takes a slot less (6.12 kernel/dma/swiotlb.c, `swiotlb_align_offset`).
    pub fn of_mapping(map: &SwiotlbMapSingle) -> Self {
        let align_mask = u64::from(map.align_mask);
        let slot = (1 << SLOT_SHIFT) - 1;
        let bytes = if map.alloc_size == UNKNOWN {
            let offset = map.original & (align_mask | slot);
            map.size.saturating_add(offset).checked_next_multiple_of(align_mask + 1)
        } else {
            map.alloc_size.checked_add(map.original & slot)
        };
        Self {
            original: Some(map.original),
            size: if map.alloc_size == UNKNOWN { map.size } else { map.alloc_size.max(map.size) },
            slots: bytes.unwrap_or(u64::MAX).div_ceil(1 << SLOT_SHIFT),
            align_mask,
            pool_start: map.pool_start,
            pool_end: map.pool_end,
            used_slots: map.used_slots,
            is_restricted: map.pool_bits != BITS_UNKNOWN && map.pool_bits & FOR_ALLOC != 0,
        }
    }

    /// Coherent memory, which only restricted pools give. It is aligned to the power of two that holds it since 6.9
    /// (kernel/dma/swiotlb.c, `swiotlb_alloc`), and to a page before.
    pub fn of_coherent_memory(pages: &SwiotlbPages) -> Self {
        Self {
            original: None,
            size: pages.size,
            slots: pages.size.div_ceil(1 << SLOT_SHIFT),
            align_mask: pages.size.checked_next_power_of_two().map_or(u64::MAX, |size| size - 1),
            pool_start: pages.pool_start,
            pool_end: pages.pool_end,
            used_slots: pages.used_slots,
            is_restricted: true,
        }
    }

    /// Slots of the pool.
    pub fn pool_slots(&self) -> Option<u64> {
        let is_known = self.pool_start != UNKNOWN && self.pool_end != UNKNOWN;
        is_known.then(|| self.pool_end.saturating_sub(self.pool_start) >> SLOT_SHIFT)
    }

    /// Those in use.
    pub fn used_slots(&self) -> Option<u64> {
        (self.used_slots != UNKNOWN).then_some(self.used_slots)
    }

    /// Most slots that it needs for certain to find room in a new segment: the first slot of one is aligned as far as
    /// the pool is, segments having 256 KiB.
    fn in_new_segment(&self) -> u64 {
        let is_aligned = self.align_mask < LARGEST && self.pool_start & self.align_mask == 0;
        let skipped = if is_aligned { 0 } else { self.align_mask >> SLOT_SHIFT };
        self.slots.saturating_add(skipped)
    }
}

impl Room {
    /// A request that failed.
    pub fn asked(&mut self, request: &Request) {
        self.largest = self.largest.max(request.in_new_segment());
        match request.original {
            Some(original) if self.asked.len() <= MOST || self.asked.contains_key(&original) => {
                let most = self.asked.entry(original).or_default();
                *most = request.slots.max(*most);
            }
            Some(_) => {}
            // Nothing tells one that is asked for again from one more.
            None => self.has_nameless = true,
        }
        let Some((slots, used)) = request.pool_slots().zip(request.used_slots()) else { return };
        let full = Fullest {
            start: request.pool_start,
            slots,
            used,
            asked: request.slots,
            is_restricted: request.is_restricted,
        };
        let sum = |full: &Fullest| full.used.saturating_add(full.asked);
        if self.fullest.is_none_or(|old| sum(&full) > sum(&old)) {
            self.fullest = Some(full);
        }
    }

    /// Which pool it was and how full.
    pub fn pool(&self) -> String {
        let Some(full) = &self.fullest else { return String::new() };
        let restricted = if full.is_restricted { "restricted " } else { "" };
        format!(
            "; its {restricted}pool at {:#x} had {} of {} slots in use when {} were asked for",
            full.start, full.used, full.slots, full.asked
        )
    }

    /// The size that would have sufficed.
    pub fn needed(&self, is_incomplete: bool) -> String {
        const UNKNOWN_SIZE: &str = "; the size that would have sufficed is unknown";
        let Some(full) = &self.fullest else { return UNKNOWN_SIZE.into() };
        if self.largest > SEGMENT {
            return UNKNOWN_SIZE.into();
        }
        let at_least = if full.is_restricted { "" } else { "at least " };
        // A segment that nothing has been taken of serves every request; the last one may be cut short by the pool's
        // end (6.12 kernel/dma/swiotlb.c, swiotlb_init_io_tlb_pool).
        let whole = full.slots.next_multiple_of(SEGMENT);
        let alone = if whole - full.slots >= self.largest { whole } else { whole + SEGMENT };
        let alone = format!("; {at_least}{} would have had room for each alone", size(alone));
        let buffers = self.asked.len();
        if !(2..=MOST).contains(&buffers) {
            return alone;
        }
        // Each may need a segment of its own beside what is in use.
        let all = self.asked.values().fold(full.used, |sum, slots| sum.saturating_add(*slots));
        let at_least =
            if full.is_restricted && !is_incomplete && !self.has_nameless { "" } else { "at least " };
        format!(
            "{alone}, {at_least}{} for all {buffers} buffers at once",
            size(all.next_multiple_of(SEGMENT))
        )
    }
}

/// A pool of that many slots.
fn size(slots: u64) -> String {
    format!("{} KiB ({slots} slots)", slots << (SLOT_SHIFT - 10))
}
