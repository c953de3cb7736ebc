//! A made-up kernel that does legal and illegal things at random and tells of them in events.

mod history;
mod kernel;

pub use history::History;

use std::collections::BTreeMap;

use rmapscope::event::Body;
use tracer_common::event::{
    CopyPageRange, DmaMapDirect, ExclusiveExit, ExclusiveMove, ExclusivePage, ExclusiveZap, FolioWalk,
    MAPPING_ERROR, MigrationEntry, RESULT_UNKNOWN, RemoveMigrationPte, RestoreExclusive, SwiotlbMap,
    SwiotlbMapSingle, SwiotlbSlotKept, SwiotlbUnmapSingle, UNKNOWN, VmaVisit,
};

use kernel::{
    FLAGS, IGNORE_MLOCK, MLOCKED, VM_FLAGS, VM_LOCKED, WRITABLE, exclusive_entry, page_of, present_entry,
    swapped_entry,
};

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Make,
    Restore,
    /// A restore of an entry that was made before the session.
    RestoreOlder,
    Fork,
    FailedFork,
    Zap,
    Move,
    Exit,
    Migrate,
    Reclaim,
    ReclaimLocked,
    Munlock,
    Map,
    Unmap,
    FailedMap,
    /// An unmap of a buffer that was mapped before the session.
    UnmapOlder,
    /// A slot that another CPU takes at once.
    KeptAndTaken,
}

/// What must not happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Illegal {
    MigrateUnlocked,
    ReclaimUnlocked,
    MigrateWithFlags,
    ForkCopies,
    ForkLeaves,
    ForkTakes,
    MakeFile,
    MakeUnlocked,
    RestoreTwice,
    MakeTwice,
    NeverEnded,
    LoseSoftDirty,
    GainWrite,
    ForgetMlock,
    SwapLocked,
    MunlockLocked,
    UnmapTwice,
    UnmapOtherSize,
    KeepSlot,
    MapOverlap,
    MapOutside,
    MapDirectly,
}

/// An illegal step and the rule that it breaks.
pub struct Fault {
    pub step: Illegal,
    pub rule: &'static str,
}

const fn fault(step: Illegal, rule: &'static str) -> Fault {
    Fault { step, rule }
}

pub const FAULTS: [Fault; 22] = [
    fault(Illegal::MigrateUnlocked, "migration-entry-locked"),
    fault(Illegal::ReclaimUnlocked, "rmap-caller-locked"),
    fault(Illegal::MigrateWithFlags, "rmap-caller-locked"),
    fault(Illegal::ForkCopies, "fork-restores-exclusive"),
    fault(Illegal::ForkLeaves, "fork-restores-exclusive"),
    fault(Illegal::ForkTakes, "fork-parent-keeps-page"),
    fault(Illegal::MakeFile, "exclusive-anon-only"),
    fault(Illegal::MakeUnlocked, "exclusive-returned-locked"),
    fault(Illegal::RestoreTwice, "exclusive-ends-once"),
    fault(Illegal::MakeTwice, "exclusive-ends-once"),
    fault(Illegal::NeverEnded, "exclusive-ends-once"),
    fault(Illegal::LoseSoftDirty, "restore-keeps-bits"),
    fault(Illegal::GainWrite, "restore-keeps-bits"),
    fault(Illegal::ForgetMlock, "restore-remlocks"),
    fault(Illegal::SwapLocked, "mlocked-stays-mapped"),
    fault(Illegal::MunlockLocked, "munlock-walk-complete"),
    fault(Illegal::UnmapTwice, "swiotlb-paired"),
    fault(Illegal::UnmapOtherSize, "swiotlb-paired"),
    fault(Illegal::KeepSlot, "swiotlb-paired"),
    fault(Illegal::MapOverlap, "swiotlb-in-pool"),
    fault(Illegal::MapOutside, "swiotlb-in-pool"),
    fault(Illegal::MapDirectly, "swiotlb-restricted-bounces"),
];

const POOL_START: u64 = 0x7c00_0000;
const POOL_SLOTS: u64 = 1 << 15;
const SLOT: u64 = 2048;
const DEVICE: u64 = 0xffff_8880_0200_10c8;
const SPACES: u64 = 3;

/// A buffer that is handed out.
#[derive(Clone, Copy)]
struct Buffer {
    size: u64,
    direction: u32,
}

/// An address space's page that is exclusive.
#[derive(Clone, Copy)]
struct Exclusive {
    pfn: u64,
    writable: bool,
    soft_dirty: bool,
}

/// The kernel.
#[derive(Default)]
pub struct World {
    history: History,
    /// By address space and address.
    exclusive: BTreeMap<(u64, u64), Exclusive>,
    next_pfn: u64,
    buffers: BTreeMap<u64, Buffer>,
    leaked: BTreeMap<u64, Buffer>,
}

impl World {
    pub fn history(self) -> History {
        self.history
    }

    fn tell(&mut self, body: Body) {
        self.history.tell(100, body);
    }

    /// A space's `mm_struct`; one that ended is used again.
    fn mm(space: u64) -> u64 {
        0xffff_8880_0401_0000 + space * 0x1000
    }

    fn fresh_pfn(&mut self) -> u64 {
        self.next_pfn += 1;
        0x10000 + self.next_pfn
    }

    fn pick(&self, random: u64) -> Option<((u64, u64), Exclusive)> {
        let count = self.exclusive.len() as u64;
        if count == 0 {
            return None;
        }
        self.exclusive.iter().nth((random % count) as usize).map(|(place, page)| (*place, *page))
    }

    fn made(&mut self, place: (u64, u64), page: Exclusive) -> ExclusivePage {
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

    fn make(&mut self, random: u64) -> (u64, u64) {
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

    fn restored(&mut self, place: (u64, u64), page: Exclusive, vm_flags: u64) -> RestoreExclusive {
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

    fn restore(&mut self, place: (u64, u64), vm_flags: u64) {
        if let Some(page) = self.exclusive.remove(&place) {
            let restored = self.restored(place, page, vm_flags);
            self.tell(Body::RestoreExclusive(restored));
        }
    }

    fn copied(space: u64, restored: u32) -> CopyPageRange {
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

    fn fork(&mut self, space: u64, fails: bool) {
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

    fn zap(&mut self, space: u64, start: u64, end: u64) {
        self.exclusive.retain(|place, _| place.0 != space || !(start..end).contains(&place.1));
        self.tell(Body::ExclusiveZap(ExclusiveZap { mm: Self::mm(space), start, end }));
    }

    fn exit(&mut self, space: u64) {
        self.zap(space, 0, 0x7fff_ffff_f000);
        self.tell(Body::ExclusiveExit(ExclusiveExit { mm: Self::mm(space) }));
    }

    fn move_to(&mut self, place: (u64, u64)) {
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

    fn walk(pfn: u64, flags: u64, ttu_flags: u32) -> FolioWalk {
        FolioWalk { page: page_of(pfn), flags, mapcount: 0, ttu_flags, duration: 0 }
    }

    fn visit(pfn: u64, vm_flags: u64, ttu_flags: u32) -> VmaVisit {
        VmaVisit {
            page: page_of(pfn),
            flags: FLAGS,
            mm: Self::mm(0),
            address: 0x7f12_0000_0000,
            vm_flags: VM_FLAGS | vm_flags,
            ttu_flags,
            result: 1,
            mapcount: 1,
            reserved: 0,
            entry_before: UNKNOWN,
            entry_after: UNKNOWN,
            duration: 0,
        }
    }

    fn migrate(&mut self, random: u64, flags: u64) {
        let (old, new) = (self.fresh_pfn(), self.fresh_pfn());
        let (address, mm) = (0x7f12_0000_0000, Self::mm(random % SPACES));
        let entry = MigrationEntry { address, entry: 0, page: page_of(old), flags, order: 0, reserved: 0 };
        self.tell(Body::MigrationEntrySet(entry));
        self.tell(Body::TryToMigrate(Self::walk(old, FLAGS, 0)));
        let removed = MigrationEntry { entry: present_entry(new), page: UNKNOWN, flags: UNKNOWN, ..entry };
        self.tell(Body::MigrationEntryRemoved(removed));
        self.tell(Body::RemoveMigrationPte(RemoveMigrationPte {
            mm,
            address,
            old_page: page_of(old),
            old_flags: FLAGS,
            new_page: page_of(new),
            new_flags: FLAGS,
            duration: 0,
        }));
    }

    fn reclaim_locked(&mut self, random: u64) {
        let pfn = self.fresh_pfn();
        let (before, swapped) = (present_entry(pfn), swapped_entry());
        let (ttu_flags, after) = match random % 3 {
            0 => (0x40, before),
            1 => (0x40, 0),
            _ => (IGNORE_MLOCK, swapped),
        };
        let visit =
            VmaVisit { entry_before: before, entry_after: after, ..Self::visit(pfn, VM_LOCKED, ttu_flags) };
        self.tell(Body::TryToUnmapOne(visit));
        self.tell(Body::TryToUnmap(Self::walk(pfn, FLAGS, ttu_flags)));
    }

    fn munlock(&mut self, visits: u64, found: bool, flags: u64) {
        let pfn = self.fresh_pfn();
        for index in 0..visits {
            let result = u32::from(!(found && index + 1 == visits));
            self.tell(Body::PageMlockOne(VmaVisit { result, ..Self::visit(pfn, 0, 0) }));
        }
        self.tell(Body::PageMlock(Self::walk(pfn, flags, 0)));
    }

    /// A place for a buffer in the pool that nobody has.
    fn room(&self, random: u64) -> (u64, Buffer) {
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

    fn single(bounce: u64, buffer: Buffer) -> SwiotlbMapSingle {
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

    fn answer(bounce: u64, buffer: Buffer, dma_address: u64) -> Body {
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

    fn map(&mut self, random: u64) -> u64 {
        let (bounce, buffer) = self.room(random);
        self.buffers.insert(bounce, buffer);
        self.tell(Body::SwiotlbMapSingle(Self::single(bounce, buffer)));
        self.tell(Self::answer(bounce, buffer, bounce));
        bounce
    }

    fn given_back(bounce: u64, buffer: Buffer) -> SwiotlbUnmapSingle {
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

    fn unmap(&mut self, bounce: u64) {
        if let Some(buffer) = self.buffers.remove(&bounce) {
            self.tell(Body::SwiotlbUnmapSingle(Self::given_back(bounce, buffer)));
        }
    }

    fn kept(bounce: u64) -> Body {
        let slot_original = bounce ^ 0x1000_0000;
        Body::SwiotlbSlotKept(SwiotlbSlotKept {
            device: DEVICE,
            pool: 1,
            bounce,
            slot_original,
            slot_size: 512,
        })
    }

    fn failed_map(&mut self, random: u64) {
        let (bounce, buffer) = self.room(random);
        if random >> 60 & 1 == 0 {
            self.tell(Body::SwiotlbMapSingle(SwiotlbMapSingle {
                used_slots: 12,
                ..Self::single(MAPPING_ERROR, buffer)
            }));
            return;
        }
        // The device cannot reach it; its slots are another's before that is told.
        self.tell(Body::SwiotlbMapSingle(Self::single(bounce, buffer)));
        let other = Buffer { size: 512, direction: 2 };
        self.history.tell(200, Body::SwiotlbMapSingle(Self::single(bounce, other)));
        self.tell(Self::answer(bounce, buffer, MAPPING_ERROR));
        self.history.tell(200, Self::answer(bounce, other, bounce));
        self.buffers.insert(bounce, other);
    }

    fn kept_and_taken(&mut self, random: u64) {
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

    /// Does something legal; `random` chooses what with.
    pub fn legal(&mut self, step: Step, random: u64) {
        let space = random % SPACES;
        match step {
            Step::Make => drop(self.make(random)),
            Step::Restore => {
                if let Some((place, _)) = self.pick(random) {
                    self.restore(place, [0, VM_LOCKED][(random >> 33 & 1) as usize]);
                }
            }
            Step::RestoreOlder => {
                let pfn = self.fresh_pfn();
                let page = Exclusive { pfn, writable: false, soft_dirty: true };
                let restored = self.restored((space, 0x7e00_0000_0000), page, 0);
                self.tell(Body::RestoreExclusive(restored));
            }
            Step::Fork => self.fork(space, false),
            Step::FailedFork => self.fork(space, true),
            Step::Zap => {
                let start = 0x7f00_0000_0000 + (random >> 8) % 16 * 4096;
                self.zap(space, start, start + (1 + (random >> 16) % 4) * 4096);
            }
            Step::Move => {
                if let Some((place, _)) = self.pick(random) {
                    self.move_to(place);
                }
            }
            Step::Exit => self.exit(space),
            Step::Migrate => self.migrate(random, FLAGS),
            Step::Reclaim => {
                let pfn = self.fresh_pfn();
                self.tell(Body::TryToUnmap(Self::walk(pfn, FLAGS, 0x40)));
            }
            Step::ReclaimLocked => self.reclaim_locked(random),
            Step::Munlock => {
                let found = random >> 9 & 1 == 1;
                self.munlock(1 + random % 4, found, if found { FLAGS | MLOCKED } else { FLAGS });
            }
            Step::Map => drop(self.map(random)),
            Step::Unmap => {
                let count = self.buffers.len() as u64;
                let bounce =
                    (count > 0).then(|| self.buffers.keys().nth((random % count) as usize)).flatten();
                if let Some(bounce) = bounce.copied() {
                    self.unmap(bounce);
                }
            }
            Step::FailedMap => self.failed_map(random),
            Step::UnmapOlder => {
                let (bounce, buffer) = self.room(random);
                // In a part of memory that this session's buffers never have.
                let bounce = bounce + 0x1000_0000;
                if self.history.is_first_of(bounce) {
                    self.tell(Body::SwiotlbUnmapSingle(Self::given_back(bounce, buffer)));
                }
            }
            Step::KeptAndTaken => self.kept_and_taken(random),
        }
    }

    /// Does something illegal, once.
    pub fn illegal(&mut self, step: Illegal, random: u64) {
        let unlocked = FLAGS & !1;
        match step {
            Illegal::MigrateUnlocked => self.migrate(random, unlocked),
            Illegal::ReclaimUnlocked => {
                let pfn = self.fresh_pfn();
                self.tell(Body::TryToUnmap(Self::walk(pfn, unlocked, 0)));
            }
            Illegal::MigrateWithFlags => {
                let pfn = self.fresh_pfn();
                self.tell(Body::TryToMigrate(Self::walk(pfn, FLAGS, IGNORE_MLOCK)));
            }
            Illegal::ForkCopies | Illegal::ForkLeaves | Illegal::ForkTakes => {
                self.fork(random % SPACES, false);
                let mut copy = Self::copied(random % SPACES, 1);
                match step {
                    Illegal::ForkCopies => copy.exclusive_copied = 1,
                    Illegal::ForkLeaves => copy.exclusive_left = 1,
                    _ => copy.taken = 1,
                }
                self.tell(Body::CopyPageRange(copy));
            }
            Illegal::MakeFile | Illegal::MakeUnlocked => {
                let pfn = self.fresh_pfn();
                let page = Exclusive { pfn, writable: true, soft_dirty: false };
                let mut page = self.made((random % SPACES, 0x7d00_0000_0000), page);
                match step {
                    Illegal::MakeFile => page.mapping_bits = 0,
                    _ => page.flags = unlocked,
                }
                self.tell(Body::ExclusivePage(page));
            }
            Illegal::RestoreTwice | Illegal::LoseSoftDirty | Illegal::GainWrite | Illegal::ForgetMlock => {
                let place = self.make(random);
                let Some(page) = self.exclusive.remove(&place) else { return };
                let page = Exclusive { soft_dirty: true, writable: false, ..page };
                let mut restored = self.restored(place, page, VM_LOCKED);
                match step {
                    Illegal::RestoreTwice => {
                        self.tell(Body::RestoreExclusive(restored));
                        restored.old_entry = restored.new_entry;
                    }
                    Illegal::LoseSoftDirty => restored.new_entry &= !kernel::SOFT_DIRTY,
                    Illegal::GainWrite => restored.new_entry |= WRITABLE,
                    _ => restored.mlocks = 0,
                }
                self.tell(Body::RestoreExclusive(restored));
            }
            Illegal::MakeTwice => {
                let place = self.make(random);
                let Some(page) = self.exclusive.get(&place).copied() else { return };
                let page = self.made(place, page);
                self.tell(Body::ExclusivePage(page));
            }
            Illegal::NeverEnded => {
                let space = random % SPACES;
                self.exit(space);
                let place = self.make(space);
                self.exclusive.remove(&place);
                self.tell(Body::ExclusiveExit(ExclusiveExit { mm: Self::mm(space) }));
            }
            Illegal::SwapLocked => {
                let pfn = self.fresh_pfn();
                let (entry_before, entry_after) = (present_entry(pfn), swapped_entry());
                let visit = VmaVisit { entry_before, entry_after, ..Self::visit(pfn, VM_LOCKED, 0x40) };
                self.tell(Body::TryToUnmapOne(visit));
            }
            Illegal::MunlockLocked => self.munlock(1 + random % 4, true, FLAGS),
            Illegal::UnmapTwice => {
                let bounce = self.map(random);
                let Some(buffer) = self.buffers.get(&bounce).copied() else { return };
                self.unmap(bounce);
                self.tell(Body::SwiotlbUnmapSingle(Self::given_back(bounce, buffer)));
            }
            Illegal::UnmapOtherSize => {
                let bounce = self.map(random);
                let Some(buffer) = self.buffers.remove(&bounce) else { return };
                let other = Buffer { size: buffer.size + 1, ..buffer };
                self.tell(Body::SwiotlbUnmapSingle(Self::given_back(bounce, other)));
            }
            Illegal::KeepSlot => {
                let bounce = self.map(random);
                let Some(buffer) = self.buffers.get(&bounce).copied() else { return };
                self.unmap(bounce);
                self.tell(Self::kept(bounce));
                // Nobody gets a slot that was never given back.
                self.leaked.insert(bounce, buffer);
            }
            Illegal::MapOverlap => {
                let bounce = self.map(random);
                let other = Buffer { size: 512, direction: 1 };
                let inside = bounce + 256;
                self.tell(Body::SwiotlbMapSingle(Self::single(inside, other)));
                self.tell(Self::answer(inside, other, inside));
                self.tell(Body::SwiotlbUnmapSingle(Self::given_back(inside, other)));
            }
            Illegal::MapOutside => {
                let buffer = Buffer { size: 512, direction: 1 };
                let bounce = POOL_START - SLOT;
                self.tell(Body::SwiotlbMapSingle(Self::single(bounce, buffer)));
                self.tell(Self::answer(bounce, buffer, bounce));
            }
            Illegal::MapDirectly => self.tell(Body::DmaMapDirect(DmaMapDirect {
                device: DEVICE,
                pool: 1,
                original: 0x1000,
                dma_address: 0x1000,
                size: 512,
                direction: 1,
                pool_bits: 1,
            })),
        }
    }
}
