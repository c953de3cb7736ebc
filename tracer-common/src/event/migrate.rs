//! Migration entries, and the migrations that set them.

use super::field::bodies;

bodies! {
    /// Body of `Kind::MigrationEntrySet` and `Kind::MigrationEntryRemoved`.
    MigrationEntry in the order [address, pfn, flags, entry, order] {
        /// Address of the entry.
        address: u64 as Hex is Address,
        /// The migration entry; of a removal the **new** entry, not the one that was removed.
        entry: u64 as entry (entry_raw): Entry is HeldPage,
        /// The page that the entry points to; `?` where it cannot be looked up, and for a present entry: see
        /// `remove_migration_pte`.
        page: u64 as pfn (page): Page is Page,
        /// Flags of its folio's first page at that moment.
        ///
        /// Those of the head page.
        flags: u64 as flags (flags_raw): PageFlags is Flags,
        /// Log2 of the pages that the entry covers.
        order: u32 as Order is Order,
        /// Always 0.
        reserved: u32,
    }

    /// Body of `Kind::RemoveMigrationPte`: one VMA visited; there may have been no entry in it.
    RemoveMigrationPte {
        /// Address space visited.
        mm: u64 as Object is Mm,
        /// First address of the folio in the VMA.
        address: u64 as Hex is Address,
        /// Source of the migration.
        old_page: u64 as old_pfn (old_page): Page is Page,
        /// Its flags at the function's entry.
        old_flags: u64 as old_flags (old_flags_raw): PageFlags is Flags,
        /// Page mapped instead: the destination, or the source again after a failure.
        new_page: u64 as new_pfn (new_page): Page is NewPage,
        /// Its flags.
        new_flags: u64 as new_flags (new_flags_raw): PageFlags is NewFlags,
        /// Time in the function.
        duration: u64 as Duration,
    }

    /// Body of `Kind::MigratePages`.
    MigratePages {
        /// Pages migrated.
        succeeded: u64 as Count is Pages,
        /// Pages that could not be.
        failed: u64 as Count is Pages,
        /// `enum migrate_mode`: how much it may block.
        mode: u32 as mode (mode_raw): MigrateMode,
        /// `enum migrate_reason`.
        reason: u32 as reason (reason_raw): MigrateReason,
    }

    /// Body of `Kind::MigrateVmaSetup`.
    MigrateVmaSetup {
        /// Address space.
        mm: u64 as Object is Mm,
        /// First address.
        start: u64 as Hex is Start,
        /// Address after the last.
        end: u64 as Hex is End,
        /// Pages of the range.
        npages: u64 as Count,
        /// Pages collected: locked, and with migration entries if they were mapped.
        collected: u64 as Count is Pages,
        /// 0 or -errno.
        result: i32 as result (result_raw): Result,
        /// Of the collected pages those that are not locked at return; `?` where they cannot be looked at (before
        /// 5.17, lockdown, ranges over 256 MiB).
        unlocked: u32 as OptionalCount,
        /// The first one; `none`.
        unlocked_page: u64 as unlocked_pfn (unlocked_page): OptionalPage is Page,
        /// Time in the function.
        duration: u64 as Duration,
    }

    /// Body of `Kind::MigrateRefused`: the source page as the function returned.
    MigrateRefused {
        /// First page of the source folio.
        page: u64 as pfn (page): Page is Page,
        /// Its page flags.
        flags: u64 as flags (flags_raw): PageFlags is Flags,
        /// Mappings; migration entries are none.
        mapcount: i32 as References is Mapcount,
        /// References. With more than the kernel can explain it refuses with -EAGAIN.
        refcount: i32 as References is Refcount,
        /// -errno.
        result: i32 as result (result_raw): Result,
        /// `enum migrate_mode`.
        mode: u32 as mode (mode_raw): MigrateMode,
    }
}
