//! Device memory: what drivers migrate, what they ask of a range, and the ranges that they watch.

use super::field::bodies;

/// Bit of [`MigrateVma::select`] for system memory (`MIGRATE_VMA_SELECT_SYSTEM`, include/linux/migrate.h).
pub const MIGRATE_SELECT_SYSTEM: u32 = 1;

bodies! {
    /// Body of `Kind::MigrateVmaPages` and `Kind::MigrateVmaFinalize`.
    MigrateVma {
        /// Address space.
        mm: u64 as Object is Mm,
        /// First address.
        start: u64 as Hex is Start,
        /// Address after the last.
        end: u64 as Hex is End,
        /// Pages of the range.
        npages: u64 as Count,
        /// Pages that `migrate_vma_setup` collected; a huge page that moves as one counts as one.
        collected: u64 as Count is Pages,
        /// Of the pages that were there those that have a destination and are still to migrate: at the end, those that
        /// did. `?` where the entries cannot be looked at (before 5.17, lockdown, ranges over 256 MiB).
        migrated: u32 as OptionalCount,
        /// Of the addresses without a page those that got one of the device, in the same sense.
        filled: u32 as OptionalCount,
        /// What the driver let the kernel collect (`enum migrate_vma_direction`): pages of `system` memory, which go to
        /// a device; of a device, `device_private` or `device_coherent`, which go back, or to another device; `compound`
        /// says that huge pages move as one (6.19 on).
        select: u32 as source (source_raw): MigrateSource,
        /// Always 0.
        reserved: u32,
        /// Whose device memory it is (`pgmap_owner`): an address that the driver chose; 0 where it does not say.
        owner: u64 as Hex,
        /// The page of the device that the CPU touched, which is why it goes back; `none` where no fault is the cause.
        /// `?` before 6.1.
        fault_page: u64 as fault_pfn (fault_page): OptionalPage,
        /// Time in the function.
        duration: u64 as Duration,
    }

    /// Body of `Kind::MigrateDeviceRange`.
    MigrateDeviceRange {
        /// First page frame of the range; `?` of `migrate_device_pfns`, which takes any.
        start: u64 as first_pfn: Hex,
        /// Pages of the range.
        npages: u64 as Count,
        /// Pages collected: there, locked, and not mapped any more. `?` as `migrated` of `migrate_vma_pages`.
        migrating: u32 as OptionalCount,
        /// 0 or -errno.
        result: i32 as result (result_raw): Result,
        /// Time in the function.
        duration: u64 as Duration,
    }

    /// Body of `Kind::HmmRangeFault`.
    HmmRangeFault {
        /// Address space.
        mm: u64 as Object is Mm,
        /// First address.
        start: u64 as Hex is Start,
        /// Address after the last.
        end: u64 as Hex is End,
        /// What is asked of every page (`default_flags`): `fault` brings it in, `write` makes it writable; without them
        /// the page tables are only read.
        request: u64 as request (request_raw): FaultRequest,
        /// Owner of the device memory that may stay where it is (`dev_private_owner`).
        owner: u64 as Hex,
        /// 0 or -errno; -EBUSY where the range was invalidated in the meantime, after which drivers ask again.
        result: i32 as result (result_raw): Result,
        /// Always 0.
        reserved: u32,
        /// Time in the function.
        duration: u64 as Duration,
    }

    /// Body of `Kind::MmuIntervalNotifierInsert`. Nothing happens to the range, which is often all of an address space:
    /// it is no weight, and no part of a page's history.
    MmuIntervalNotifierInsert {
        /// Address of the `mmu_interval_notifier`: identifies it until it is removed.
        notifier: u64 as Object,
        /// Address space.
        mm: u64 as Object,
        /// First address.
        start: u64 as Hex,
        /// Bytes of the range.
        length: u64 as Bytes,
        /// 0 or -errno.
        result: i32 as result (result_raw): Result,
        /// Always 0.
        reserved: u32,
        /// Time in the function.
        duration: u64 as Duration,
    }

    /// Body of `Kind::MmuIntervalNotifierRemove`.
    MmuIntervalNotifierRemove {
        /// Address of the `mmu_interval_notifier`.
        notifier: u64 as Object,
        /// Address space.
        mm: u64 as Object,
        /// First address.
        start: u64 as Hex,
        /// Bytes of the range.
        length: u64 as Bytes,
    }
}
