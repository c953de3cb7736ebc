//! Device-exclusive pages of the made-up kernel.

use rmapscope::event::Body;
use tracer_common::event::{
    CopyPageRange, ExclusiveExit, ExclusiveMove, ExclusivePage, ExclusiveZap, RESULT_UNKNOWN,
    RestoreExclusive, UNKNOWN,
};

use super::kernel::{self, FLAGS, VM_FLAGS, VM_LOCKED, WRITABLE, exclusive_entry, page_of, present_entry};
use super::{SPACES, World};

/// An address space's page that is exclusive.
#[derive(Clone, Copy)]
pub(super) struct Exclusive {
    pub(super) pfn: u64,
    pub(super) writable: bool,
    pub(super) soft_dirty: bool,
}

impl World {
    pub(super) fn pick(&self, random: u64) -> Option<((u64, u64), Exclusive)> {
        let count = self.exclusive.len() as u64;
        if count == 0 {
            return None;
        }
        self.exclusive.iter().nth((random % count) as usize).map(|(place, page)| (*place, *page))
    }

    pub(super) fn made(&mut self, place: (u64, u64), page: Exclusive) -> ExclusivePage {
        self.exclusive.insert(place, page);
        ExclusivePage {
            mm: Self::mm(place.0),
            address: place.1,
            page: page_of(page.pfn),
            flags: FLAGS,
            mapping_bits: 1,
            mapcount: 0,
            refcount: 2,
            reserved: 0,
        }
    }

    pub(super) fn make(&mut self, random: u64) -> (u64, u64) {
        let place = (random % SPACES, 0x7f00_0000_0000 + (random >> 8) % 16 * 4096);
        if self.exclusive.contains_key(&place) {
            // GUP faults the page in first.
            self.restore(place, 0);
        }
        let (writable, soft_dirty) = (random >> 16 & 3 != 0, random >> 20 & 1 == 1);
        let pfn = self.fresh_pfn();
        let page = self.made(place, Exclusive { pfn, writable, soft_dirty });
        self.tell(Body::ExclusivePage(page));
        place
    }

    pub(super) fn restored(&mut self, place: (u64, u64), page: Exclusive, vm_flags: u64) -> RestoreExclusive {
        let soft_dirty = u64::from(page.soft_dirty);
        let written =
            if page.writable { WRITABLE | kernel::SOFT_DIRTY } else { soft_dirty * kernel::SOFT_DIRTY };
        RestoreExclusive {
            mm: Self::mm(place.0),
            address: place.1,
            page: page_of(page.pfn),
            flags: FLAGS,
            vm_flags: VM_FLAGS | vm_flags,
            old_entry: exclusive_entry(page.pfn, page.writable) | (soft_dirty * kernel::SWAP_SOFT_DIRTY),
            new_entry: present_entry(page.pfn) | written,
            mapcount: 1,
            in_fork: 0,
            mlocks: u32::from(vm_flags & VM_LOCKED != 0),
            reserved: 0,
            duration: 0,
        }
    }

    pub(super) fn restore(&mut self, place: (u64, u64), vm_flags: u64) {
        if let Some(page) = self.exclusive.remove(&place) {
            let restored = self.restored(place, page, vm_flags);
            self.tell(Body::RestoreExclusive(restored));
        }
    }

    pub(super) fn copied(space: u64, restored: u32) -> CopyPageRange {
        CopyPageRange {
            source_mm: Self::mm(space),
            destination_mm: 0xffff_8880_0501_0000,
            source_vma: 1,
            destination_vma: 2,
            start: 0x7f00_0000_0000,
            end: 0x7f00_0010_0000,
            vm_flags: VM_FLAGS,
            result: 0,
            inner_result: RESULT_UNKNOWN,
            restored,
            exclusive_left: 0,
            exclusive_copied: 0,
            compared: restored,
            taken: 0,
            unscanned: 0,
            first_left: 0,
            first_left_flags: UNKNOWN,
            first_copied: 0,
            first_taken: 0,
            duration: 0,
        }
    }

    pub(super) fn fork(&mut self, space: u64, fails: bool) {
        let mut places: Vec<_> = self.exclusive.keys().copied().filter(|place| place.0 == space).collect();
        let left = if fails { places.len() / 2 } else { 0 };
        places.truncate(places.len() - left);
        places.iter().for_each(|place| self.restore(*place, 0));
        let mut copy = Self::copied(space, places.len() as u32);
        if left > 0 {
            (copy.result, copy.exclusive_left) = (-12, left as u32);
        }
        self.tell(Body::CopyPageRange(copy));
    }

    pub(super) fn zap(&mut self, space: u64, start: u64, end: u64) {
        self.exclusive.retain(|place, _| place.0 != space || !(start..end).contains(&place.1));
        self.tell(Body::ExclusiveZap(ExclusiveZap { mm: Self::mm(space), start, end }));
    }

    pub(super) fn exit(&mut self, space: u64) {
        self.zap(space, 0, 0x7fff_ffff_f000);
        self.tell(Body::ExclusiveExit(ExclusiveExit { mm: Self::mm(space) }));
    }

    pub(super) fn move_to(&mut self, place: (u64, u64)) {
        let new_address = place.1 + 0x1000_0000;
        if self.exclusive.contains_key(&(place.0, new_address)) {
            self.zap(place.0, new_address, new_address + 4096);
        }
        let Some(page) = self.exclusive.remove(&place) else { return };
        self.exclusive.insert((place.0, new_address), page);
        let (mm, old_address) = (Self::mm(place.0), place.1);
        self.tell(Body::ExclusiveMove(ExclusiveMove { mm, old_address, new_address, length: 4096 }));
        self.tell(Body::ExclusiveZap(ExclusiveZap { mm, start: old_address, end: old_address + 4096 }));
    }
}
