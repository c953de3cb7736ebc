//! Illegal steps.

use rmapscope::event::Body;
use tracer_common::event::{DmaMapDirect, ExclusiveExit, VmaVisit};

use super::exclusive::Exclusive;
use super::kernel::{self, FLAGS, IGNORE_MLOCK, VM_LOCKED, WRITABLE, present_entry, swapped_entry};
use super::swiotlb::{Buffer, DEVICE, POOL_START, SLOT};
use super::{Illegal, SPACES, World};

impl World {
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
