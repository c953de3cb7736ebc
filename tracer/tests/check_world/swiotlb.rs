//! Bounce buffers of the made-up kernel.

use rmapscope::event::Body;
use tracer_common::event::{
    MAPPING_ERROR, SwiotlbMap, SwiotlbMapSingle, SwiotlbSlotKept, SwiotlbUnmapSingle, UNKNOWN,
};

use super::World;

pub(super) const POOL_START: u64 = 0x7c00_0000;
const POOL_SLOTS: u64 = 1 << 15;
pub(super) const SLOT: u64 = 2048;
pub(super) const DEVICE: u64 = 0xffff_8880_0200_10c8;

/// A buffer that is handed out.
#[derive(Clone, Copy)]
pub(super) struct Buffer {
    pub(super) size: u64,
    pub(super) direction: u32,
}

impl World {
    /// A place for a buffer in the pool that nobody has.
    pub(super) fn room(&self, random: u64) -> (u64, Buffer) {
        let buffer = Buffer { size: 512 << ((random >> 40) % 8), direction: (random >> 50) as u32 % 3 };
        let mut slot = random % POOL_SLOTS;
        loop {
            let bounce = POOL_START + slot * SLOT;
            let end = bounce + buffer.size;
            let is_free = self.buffers.iter().chain(&self.leaked).all(|(other, taken)| {
                end <= other & !(SLOT - 1) || bounce >= (other + taken.size).next_multiple_of(SLOT)
            });
            if is_free && end <= POOL_START + POOL_SLOTS * SLOT {
                return (bounce, buffer);
            }
            slot = (slot + 97) % POOL_SLOTS;
        }
    }

    pub(super) fn single(bounce: u64, buffer: Buffer) -> SwiotlbMapSingle {
        SwiotlbMapSingle {
            device: DEVICE,
            pool: 1,
            pool_start: POOL_START,
            pool_end: POOL_START + POOL_SLOTS * SLOT,
            original: bounce ^ 0x1000_0000,
            bounce,
            size: buffer.size,
            alloc_size: UNKNOWN,
            attributes: 0,
            direction: buffer.direction,
            pool_bits: 1,
            used_slots: UNKNOWN,
            align_mask: 0,
            reserved: 0,
            duration: 0,
        }
    }

    pub(super) fn answer(bounce: u64, buffer: Buffer, dma_address: u64) -> Body {
        Body::SwiotlbMap(SwiotlbMap {
            device: DEVICE,
            original: bounce ^ 0x1000_0000,
            size: buffer.size,
            dma_address,
            attributes: 0,
            direction: buffer.direction,
            reserved: 0,
            duration: 0,
        })
    }

    pub(super) fn map(&mut self, random: u64) -> u64 {
        let (bounce, buffer) = self.room(random);
        self.buffers.insert(bounce, buffer);
        self.tell(Body::SwiotlbMapSingle(Self::single(bounce, buffer)));
        self.tell(Self::answer(bounce, buffer, bounce));
        bounce
    }

    pub(super) fn given_back(bounce: u64, buffer: Buffer) -> SwiotlbUnmapSingle {
        SwiotlbUnmapSingle {
            device: DEVICE,
            pool: 1,
            bounce,
            size: buffer.size,
            slot_original: bounce ^ 0x1000_0000,
            slot_size: buffer.size,
            attributes: 0x20,
            direction: buffer.direction,
            reserved: 0,
        }
    }

    pub(super) fn unmap(&mut self, bounce: u64) {
        if let Some(buffer) = self.buffers.remove(&bounce) {
            self.tell(Body::SwiotlbUnmapSingle(Self::given_back(bounce, buffer)));
        }
    }

    pub(super) fn kept(bounce: u64) -> Body {
        let slot_original = bounce ^ 0x1000_0000;
        Body::SwiotlbSlotKept(SwiotlbSlotKept {
            device: DEVICE,
            pool: 1,
            bounce,
            slot_original,
            slot_size: 512,
        })
    }

    pub(super) fn failed_map(&mut self, random: u64) {
        let (bounce, buffer) = self.room(random);
        if random >> 60 & 1 == 0 {
            self.tell(Body::SwiotlbMapSingle(SwiotlbMapSingle {
                used_slots: 12,
                ..Self::single(MAPPING_ERROR, buffer)
            }));
            return;
        }
        // The device cannot reach it.
        self.tell(Body::SwiotlbMapSingle(Self::single(bounce, buffer)));
        if random >> 61 & 1 == 0 {
            self.tell(Self::answer(bounce, buffer, MAPPING_ERROR));
            return;
        }
        // Another CPU has its slots before that is reported.
        let other = Buffer { size: 512, direction: 2 };
        self.history.tell(200, Body::SwiotlbMapSingle(Self::single(bounce, other)));
        self.tell(Self::answer(bounce, buffer, MAPPING_ERROR));
        self.history.tell(200, Self::answer(bounce, other, bounce));
        self.buffers.insert(bounce, other);
    }

    pub(super) fn kept_and_taken(&mut self, random: u64) {
        let bounce = self.map(random);
        let Some(buffer) = self.buffers.get(&bounce).copied() else { return };
        self.unmap(bounce);
        let taken = [
            (200, Body::SwiotlbMapSingle(Self::single(bounce, buffer))),
            (200, Self::answer(bounce, buffer, bounce)),
        ];
        let kept = (100, Self::kept(bounce));
        let told = match random >> 32 & 1 {
            0 => [kept, taken[0], taken[1]],
            _ => [taken[0], kept, taken[1]],
        };
        told.into_iter().for_each(|(tid, body)| self.history.tell(tid, body));
        self.buffers.insert(bounce, buffer);
    }
}
