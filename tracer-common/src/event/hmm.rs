//! Device memory: what drivers migrate, what they ask of a range, and the ranges that they watch.

use super::field::bodies;

/// Bit of [`MigrateVma::select`] for system memory (`MIGRATE_VMA_SELECT_SYSTEM`, include/linux/migrate.h).
pub const MIGRATE_SELECT_SYSTEM: u32 = 1;

/// The same of a device's private memory (`MIGRATE_VMA_SELECT_DEVICE_PRIVATE`).
pub const MIGRATE_SELECT_DEVICE_PRIVATE: u32 = 1 << 1;

/// The same of coherent memory (`MIGRATE_VMA_SELECT_DEVICE_COHERENT`).
pub const MIGRATE_SELECT_DEVICE_COHERENT: u32 = 1 << 2;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$meaning:meta])* $word:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u32)]
        pub enum $name { $($(#[$meaning])* $word),* }

        impl $name {
            /// Every one, in the order of its number.
            pub const ALL: &'static [Self] = &[$(Self::$word),*];

            /// The word for it in every output.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$word => $text),* }
            }

            /// The one with that number.
            pub const fn from_number(number: u32) -> Option<Self> {
                if (number as usize) < Self::ALL.len() { Some(Self::ALL[number as usize]) } else { None }
            }
        }
    };
}

words! {
    /// How far a page came that did not migrate.
    RefusalStep {
        /// `migrate_vma_setup` did not collect it (`migrate_vma_collect_pmd`).
        Collect = "collect",
        /// It was collected and put back (`migrate_device_unmap`).
        Unmap = "unmap",
        /// `migrate_vma_pages` left it where it was.
        Pages = "pages",
    }
}

words! {
    /// Why a page did not migrate.
    RefusalReason {
        /// The kernel's state does not say.
        Unknown = "unknown",
        /// It has more references than the kernel can explain.
        Pinned = "pinned",
        /// Somebody else has the folio's lock.
        Locked = "locked",
        /// A migration entry is in its place: another migration has it.
        Migrating = "migrating",
        /// It is still mapped after `try_to_migrate`.
        Mapped = "mapped",
        /// It is on no LRU list, so that it cannot be isolated.
        OffLru = "off_lru",
        /// It is a part of a large folio that is not taken apart.
        Large = "large",
        /// It has no `page->mapping`: neither anonymous nor a file's.
        NoMapping = "no_mapping",
        /// It is a file's; only anonymous memory goes to a device.
        NotAnonymous = "not_anonymous",
        /// It stays in the swap cache.
        SwapCache = "swap_cache",
        /// The driver gave no page to take its place.
        NoDestination = "no_destination",
        /// Its references changed after `migrate_vma_setup`.
        Raced = "raced",
    }
}

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

    /// Body of `Kind::MigrateVmaRefused`: one page, as it was when the kernel gave it up.
    MigrateVmaRefused {
        /// Address space; `?` of pages that a driver takes back wherever they are mapped.
        mm: u64 as Object is Mm,
        /// Address of the page; `?` where the page does not say (KSM), and as `mm`.
        address: u64 as Hex is Address,
        /// First page of the folio.
        page: u64 as pfn (page): Page is Page,
        /// Its page flags.
        flags: u64 as flags (flags_raw): PageFlags is Flags,
        /// As in `migrate_vma_finalize`; `?` of pages that a driver takes back.
        owner: u64 as Hex,
        /// As in `migrate_vma_finalize`.
        fault_page: u64 as fault_pfn (fault_page): OptionalPage,
        /// As in `migrate_vma_finalize`.
        select: u32 as source (source_raw): MigrateSource,
        /// How far it came: `collect` where `migrate_vma_setup` passed it over, `unmap` where it collected the page and
        /// put it back, `pages` where `migrate_vma_pages` did not replace it.
        step: u32 as step (step_raw): RefusalStep,
        /// Why, as far as the kernel's state says so; `?` where it does not.
        reason: u32 as refusal (refusal_raw): RefusalReason,
        /// Pages at the address and behind it of which that is so: of one huge page.
        pages: u32 as Count is Pages,
        /// References.
        refcount: i32 as References is Refcount,
        /// References that the kernel explains: by mappings, page or swap cache, and the migration itself. A page with more
        /// is pinned.
        expected: i32 as References,
        /// Mappings; migration entries are none.
        mapcount: i32 as References is Mapcount,
        /// Always 0.
        reserved: u32,
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
