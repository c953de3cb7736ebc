//! Probe points: the kernel functions and tracepoints that are watched.
//!
//! A point is what the programs need to know of a function whatever its name, its version and the way it
//! is attached: which of its arguments mean what. User space finds the position of each
//! [argument](Point::arguments) in the running kernel's BTF and hands it over in
//! [`Globals`](crate::globals::Globals), so that one program serves every signature.

use crate::family::Family;

/// Most arguments that one point names.
pub const MAX_ARGUMENTS: usize = 7;

/// Position of an argument that this kernel's function does not have or that cannot be reached.
pub const ARGUMENT_ABSENT: u8 = 0xff;

/// Set in a position: the argument there is a pointer, and what is wanted lies behind it.
pub const BEHIND: u8 = 0x80;

macro_rules! points {
    ($($(#[$doc:meta])* $point:ident: $family:ident, [$($argument:literal),*];)*) => {
        /// A probe point. Its number indexes the hit counters and the argument positions.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Point { $($(#[$doc])* $point),* }

        impl Point {
            /// Every point, in the order of its number.
            pub const ALL: &'static [Self] = &[$(Self::$point),*];

            /// Number of points; sizes the hit counters.
            pub const COUNT: usize = Self::ALL.len();

            /// The family that the point serves.
            pub const fn family(self) -> Family {
                match self { $(Self::$point => Family::$family),* }
            }

            /// What the programs call the arguments; the index in this list is the argument's slot in
            /// [`Globals::arguments`](crate::globals::Globals::arguments).
            pub const fn arguments(self) -> &'static [&'static str] {
                match self { $(Self::$point => &[$($argument),*]),* }
            }
        }

        $(const _: () = { let list: &[&str] = &[$($argument),*]; assert!(list.len() <= MAX_ARGUMENTS) };)*
    };
}

points! {
    /// Tracepoint `sched:sched_process_fork`.
    ProcessFork: Process, ["parent", "child"];
    /// Tracepoint `sched:sched_process_exec`.
    ProcessExec: Process, ["task", "old_pid"];
    /// Tracepoint `sched:sched_process_exit`.
    ProcessExit: Process, ["task"];
    /// Tracepoint `task:task_rename`.
    ProcessRename: Process, ["task", "comm"];

    /// `make_device_exclusive_range` (5.14 to 6.14).
    MakeDeviceExclusiveRange: Exclusive, ["mm", "start", "end", "pages", "owner"];
    /// `make_device_exclusive` (6.15 on).
    MakeDeviceExclusive: Exclusive, ["mm", "start", "owner", "foliop"];
    /// `page_make_device_exclusive_one`.
    PageMakeDeviceExclusiveOne: Exclusive, ["folio", "vma", "address"];
    /// `restore_exclusive_pte`.
    RestoreExclusivePte: Exclusive, ["vma", "page", "address", "ptep", "orig_pte", "folio"];
    /// `do_swap_page`.
    DoSwapPage: Exclusive, ["vmf"];
    /// `unmap_page_range`, `__zap_vma_range` since 7.1.
    UnmapPageRange: Exclusive, ["vma", "addr", "end", "details"];
    /// `move_page_tables`; its arguments are members of one structure since 6.16.
    MovePageTables: Exclusive, ["vma", "old_addr", "new_addr"];
    /// `exit_mmap`.
    ExitMmap: Exclusive, ["mm"];

    /// `try_to_unmap`.
    TryToUnmap: Rmap, ["folio", "flags"];
    /// `try_to_migrate`.
    TryToMigrate: Rmap, ["folio", "flags"];
    /// `try_to_unmap_one`.
    TryToUnmapOne: Rmap, ["folio", "vma", "address", "arg"];
    /// `try_to_migrate_one`.
    TryToMigrateOne: Rmap, ["folio", "vma", "address", "arg"];

    /// Tracepoint `migrate:set_migration_pte`.
    SetMigrationPte: Migrate, ["addr", "pte", "order"];
    /// Tracepoint `migrate:remove_migration_pte`.
    MigrationPteRemoved: Migrate, ["addr", "pte", "order"];
    /// Tracepoint `thp:set_migration_pmd`.
    SetMigrationPmd: Migrate, ["addr", "pmd"];
    /// Tracepoint `thp:remove_migration_pmd`.
    MigrationPmdRemoved: Migrate, ["addr", "pmd"];
    /// The function `remove_migration_pte`. `old` is the source page (5.15), the source folio (6.1), or a
    /// structure whose first member it is (6.12, `struct rmap_walk_arg`).
    RemoveMigrationPte: Migrate, ["folio", "vma", "address", "old"];
    /// Tracepoint `migrate:mm_migrate_pages`.
    MigratePages: Migrate, ["succeeded", "failed", "mode", "reason"];
    /// `migrate_vma_setup`.
    MigrateVmaSetup: Migrate, ["args"];
    /// `move_to_new_folio`, `move_to_new_page` before 5.18.
    MoveToNewFolio: Migrate, ["src", "mode"];

    /// `page_mlock` (5.14 to 5.17).
    PageMlock: Mlock, ["page"];
    /// `page_mlock_one` (5.14 to 5.17).
    PageMlockOne: Mlock, ["page", "vma", "address"];
    /// `mlock_folio`, or `mlock_vma_page` before 5.18.
    MlockFolio: Mlock, ["folio"];
    /// `munlock_folio`, `munlock_page`, or `munlock_vma_page` before 5.18.
    MunlockFolio: Mlock, ["folio"];
    /// `mlock_fixup`; the flags are behind a pointer since 7.3.
    MlockFixup: Mlock, ["vma", "start", "end", "newflags"];

    /// `copy_page_range`.
    CopyPageRange: Fork, ["dst_vma", "src_vma"];
    /// `copy_pte_range`, where it is a function of its own.
    CopyPteRange: Fork, [];

    /// `swiotlb_map`.
    SwiotlbMap: Swiotlb, ["dev", "paddr", "size", "dir", "attrs"];
    /// `swiotlb_tbl_map_single`; the attributes are behind a pointer since 7.3.
    SwiotlbTblMapSingle: Swiotlb, ["dev", "orig_addr", "mapping_size", "alloc_size", "dir", "attrs", "align_mask"];
    /// `swiotlb_tbl_unmap_single`, `__swiotlb_tbl_unmap_single` since 6.11.
    SwiotlbTblUnmapSingle: Swiotlb, ["dev", "tlb_addr", "mapping_size", "dir", "attrs", "pool"];
    /// `swiotlb_sync_single_for_cpu`, with two underscores since 6.11.
    SwiotlbSyncSingleForCpu: Swiotlb, ["dev", "tlb_addr", "size", "dir"];
    /// `swiotlb_sync_single_for_device`, with two underscores since 6.11.
    SwiotlbSyncSingleForDevice: Swiotlb, ["dev", "tlb_addr", "size", "dir"];
    /// `swiotlb_alloc` (CONFIG_DMA_RESTRICTED_POOL).
    SwiotlbAlloc: Swiotlb, ["dev", "size"];
    /// `swiotlb_free` (CONFIG_DMA_RESTRICTED_POOL).
    SwiotlbFree: Swiotlb, ["dev", "page", "size"];
    /// `dma_map_phys` (6.18 on) or `dma_map_page_attrs`.
    DmaMapPage: Swiotlb, ["dev", "page", "offset", "size", "dir", "attrs", "phys"];
    /// `dma_direct_map_sg`.
    DmaDirectMapSg: Swiotlb, ["dev", "sgl", "dir"];
}
