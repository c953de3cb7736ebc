//! Walks over the mappings of a page: reclaim, migration and munlock.

use rmapscope::event::Body;
use tracer_common::event::{FolioWalk, MigrationEntry, RemoveMigrationPte, UNKNOWN, VmaVisit};

use super::kernel::{FLAGS, IGNORE_MLOCK, VM_FLAGS, VM_LOCKED, page_of, present_entry, swapped_entry};
use super::{SPACES, World};

impl World {
    pub(super) fn walk(pfn: u64, flags: u64, ttu_flags: u32) -> FolioWalk {
        FolioWalk { page: page_of(pfn), flags, mapcount: 0, ttu_flags, duration: 0 }
    }

    pub(super) fn visit(pfn: u64, vm_flags: u64, ttu_flags: u32) -> VmaVisit {
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

    pub(super) fn migrate(&mut self, random: u64, flags: u64) {
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

    pub(super) fn reclaim_locked(&mut self, random: u64) {
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

    pub(super) fn munlock(&mut self, visits: u64, found: bool, flags: u64) {
        let pfn = self.fresh_pfn();
        for index in 0..visits {
            let result = u32::from(!(found && index + 1 == visits));
            self.tell(Body::PageMlockOne(VmaVisit { result, ..Self::visit(pfn, 0, 0) }));
        }
        self.tell(Body::PageMlock(Self::walk(pfn, flags, 0)));
    }
}
