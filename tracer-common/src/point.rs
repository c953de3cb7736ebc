//! Probe points: the kernel functions and tracepoints that are watched.
//!
//! A point is what the programs need to know of a function whatever its name, its version and the way it
//! is attached: when they run, which events they make, and which of its arguments they read. User space finds the
//! position of each [argument](Point::arguments) in the running kernel's BTF and hands it over in
//! [`Globals`](crate::globals::Globals), so that one program serves every signature.

use crate::event::Kind;
use crate::family::Family;

/// Most arguments that one point names.
pub const MAX_ARGUMENTS: usize = 7;

/// Position of an argument that this kernel's function does not have or that cannot be reached.
pub const ARGUMENT_ABSENT: u8 = 0xff;

/// Set in a position: the argument there is a pointer, and what is wanted lies behind it.
pub const BEHIND: u8 = 0x80;

/// When a point's programs run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttachPhase {
    /// At the function's entry (or the tracepoint); there is no program for the return.
    Entry,
    /// At its entry, and for this event at its return too.
    EntryAnd(Kind),
    /// At its return. The entry is needed for the time in between, and for arguments that are gone by then.
    Return,
    /// At its return, whose events have no time: the entry is needed only for arguments that are gone by then.
    Untimed,
    /// The same, and most calls are not looked at: nothing is missed when one has no beginning.
    UntimedWhere,
    /// At both: the entry keeps what the return cannot see any more.
    Both,
    /// The same for the calls where there is something to keep; the others are as with `Return`.
    BothWhere,
    /// At its return, for the result alone.
    Result,
}

impl AttachPhase {
    /// Whether a beginning keeps more than its time and its arguments.
    pub const fn keeps(self) -> bool {
        matches!(self, Self::Both | Self::BothWhere | Self::EntryAnd(_))
    }
}

macro_rules! arguments {
    ($($argument:ident $name:literal,)*) => {
        /// What the programs call an argument, whatever its name in the running kernel.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Argument { $(
            #[doc = concat!("`", $name, "`")]
            $argument
        ),* }

        impl Argument {
            /// The name in messages.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$argument => $name),* }
            }
        }
    };
}

macro_rules! points {
    ($($(#[$doc:meta])* $point:ident: $family:ident, $phase:ident $(($at_return:ident))?,
        [$($argument:ident),*] => [$($kind:ident),*];)*) => {
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
            #[inline(always)]
            pub const fn family(self) -> Family {
                match self { $(Self::$point => Family::$family),* }
            }

            /// When its programs run.
            #[inline(always)]
            pub const fn phase(self) -> AttachPhase {
                match self { $(Self::$point => AttachPhase::$phase $((Kind::$at_return))?),* }
            }

            /// Events that it makes.
            pub const fn kinds(self) -> &'static [Kind] {
                match self { $(Self::$point => &[$(Kind::$kind),*]),* }
            }

            /// The arguments that the programs read, in the order of their [slots](Self::slot).
            pub const fn arguments(self) -> &'static [Argument] {
                match self { $(Self::$point => &[$(Argument::$argument),*]),* }
            }

            /// The argument's place in [`Globals::arguments`](crate::globals::Globals::arguments); `None` for one that
            /// the point does not list. A match on names and not a search: a program that names both gets a number.
            #[inline(always)]
            pub const fn slot(self, argument: Argument) -> Option<usize> {
                match self {
                    $(Self::$point => {
                        #[allow(dead_code, reason = "numbers the arguments")]
                        enum Slot { $($argument),* }
                        match argument {
                            $(Argument::$argument => Some(Slot::$argument as usize),)*
                            _ => None,
                        }
                    })*
                }
            }
        }

        $(const _: () = { let list: &[Argument] = &[$(Argument::$argument),*]; assert!(list.len() <= MAX_ARGUMENTS) };)*
    };
}

impl Point {
    /// The event of which each call makes one, whatever comes of it: it can be counted where the call begins, at less
    /// cost. `None` where that is not so.
    pub const fn counted_at_entry(self) -> Option<Kind> {
        match self {
            Self::TryToUnmap => Some(Kind::TryToUnmap),
            Self::TryToMigrate => Some(Kind::TryToMigrate),
            Self::PageMlock => Some(Kind::PageMlock),
            _ => None,
        }
    }
}

arguments! {
    Parent "parent",
    Child "child",
    Task "task",
    OldPid "old_pid",
    Comm "comm",
    Mm "mm",
    Start "start",
    End "end",
    Pages "pages",
    Owner "owner",
    Foliop "foliop",
    Folio "folio",
    Vma "vma",
    Address "address",
    Page "page",
    Ptep "ptep",
    OrigPte "orig_pte",
    Vmf "vmf",
    Details "details",
    OldAddr "old_addr",
    NewAddr "new_addr",
    Flags "flags",
    Arg "arg",
    Entry "entry",
    Order "order",
    Old "old",
    Succeeded "succeeded",
    Failed "failed",
    Mode "mode",
    Reason "reason",
    Args "args",
    Src "src",
    Dst "dst",
    Newflags "newflags",
    DstVma "dst_vma",
    SrcVma "src_vma",
    Dev "dev",
    Paddr "paddr",
    Size "size",
    Dir "dir",
    Attrs "attrs",
    OrigAddr "orig_addr",
    MappingSize "mapping_size",
    AllocSize "alloc_size",
    AlignMask "align_mask",
    TlbAddr "tlb_addr",
    Pool "pool",
    Offset "offset",
    Phys "phys",
    Sgl "sgl",
    SrcPfns "src_pfns",
    Npages "npages",
    Range "range",
    Notifier "notifier",
    Length "length",
}

points! {
    /// Tracepoint `sched:sched_process_fork`.
    ProcessFork: Process, Entry, [Parent, Child] => [ProcessFork];
    /// Tracepoint `sched:sched_process_exec`.
    ProcessExec: Process, Entry, [Task, OldPid] => [ProcessExec];
    /// Tracepoint `sched:sched_process_exit`.
    ProcessExit: Process, Entry, [Task] => [ProcessExit];
    /// Tracepoint `task:task_rename`.
    ProcessRename: Process, Entry, [Task, Comm] => [ProcessRename];

    /// `make_device_exclusive_range` (5.14 to 6.14).
    MakeDeviceExclusiveRange: Exclusive, Return, [Mm, Start, End, Pages, Owner] => [MakeDeviceExclusive, ExclusivePage];
    /// `make_device_exclusive` (6.15 on).
    MakeDeviceExclusive: Exclusive, Return, [Mm, Start, Owner, Foliop] => [MakeDeviceExclusive, ExclusivePage];
    /// `page_make_device_exclusive_one`.
    PageMakeDeviceExclusiveOne: Exclusive, Return, [Folio, Vma, Address] => [ExclusiveVma];
    /// `restore_exclusive_pte`.
    RestoreExclusivePte: Exclusive, Both, [Vma, Page, Address, Ptep, OrigPte, Folio] => [RestoreExclusive];
    /// `do_swap_page`.
    DoSwapPage: Exclusive, Return, [Vmf] => [ExclusiveFault];
    /// `unmap_page_range`, `__zap_vma_range` since 7.1.
    UnmapPageRange: Exclusive, Entry, [Vma, Start, End, Details] => [ExclusiveZap];
    /// `move_page_tables`; its arguments are members of one structure since 6.16.
    MovePageTables: Exclusive, Both, [Vma, OldAddr, NewAddr] => [ExclusiveMove];
    /// `exit_mmap`.
    ExitMmap: Exclusive, Untimed, [Mm] => [ExclusiveExit];

    /// `try_to_unmap`.
    TryToUnmap: Rmap, Return, [Folio, Flags] => [TryToUnmap];
    /// `try_to_migrate`.
    TryToMigrate: Rmap, Return, [Folio, Flags] => [TryToMigrate];
    /// `try_to_unmap_one`.
    TryToUnmapOne: Rmap, BothWhere, [Folio, Vma, Address, Arg] => [TryToUnmapOne];
    /// `try_to_migrate_one`.
    TryToMigrateOne: Rmap, Return, [Folio, Vma, Address, Arg] => [TryToMigrateOne];

    /// Tracepoint `migrate:set_migration_pte`.
    SetMigrationPte: Migrate, Entry, [Address, Entry, Order] => [MigrationEntrySet];
    /// Tracepoint `migrate:remove_migration_pte`.
    MigrationPteRemoved: Migrate, Entry, [Address, Entry, Order] => [MigrationEntryRemoved];
    /// Tracepoint `thp:set_migration_pmd`.
    SetMigrationPmd: Migrate, Entry, [Address, Entry] => [MigrationEntrySet];
    /// Tracepoint `thp:remove_migration_pmd`.
    MigrationPmdRemoved: Migrate, Entry, [Address, Entry] => [MigrationEntryRemoved];
    /// The function `remove_migration_pte`. `old` is the source page (5.15), the source folio (6.1), or a
    /// structure whose first member it is (6.12, `struct rmap_walk_arg`).
    RemoveMigrationPte: Migrate, Both, [Folio, Vma, Address, Old] => [RemoveMigrationPte];
    /// Tracepoint `migrate:mm_migrate_pages`.
    MigratePages: Migrate, Entry, [Succeeded, Failed, Mode, Reason] => [MigratePages];
    /// `migrate_vma_setup`.
    MigrateVmaSetup: Migrate, Both, [Args] => [MigrateVmaSetup, MigrateVmaRefused];
    /// `move_to_new_folio`, `move_to_new_page` before 5.18.
    MoveToNewFolio: Migrate, Untimed, [Src, Mode] => [MigrateRefused];

    /// `page_mlock` (5.14 to 5.17).
    PageMlock: Mlock, Return, [Folio] => [PageMlock];
    /// `page_mlock_one` (5.14 to 5.17).
    PageMlockOne: Mlock, Return, [Folio, Vma, Address] => [PageMlockOne];
    /// `mlock_folio`, or `mlock_vma_page` before 5.18.
    MlockFolio: Mlock, Entry, [Folio] => [MlockFolio];
    /// `munlock_folio`, `munlock_page`, or `munlock_vma_page` before 5.18.
    MunlockFolio: Mlock, Entry, [Folio] => [MunlockFolio];
    /// `mlock_fixup`; the flags are behind a pointer since 7.3.
    MlockFixup: Mlock, Both, [Vma, Start, End, Newflags] => [MlockFixup];

    /// `copy_page_range`.
    CopyPageRange: Fork, Both, [DstVma, SrcVma] => [CopyPageRange];
    /// `copy_pte_range`, where it is a function of its own.
    CopyPteRange: Fork, Result, [] => [];

    /// `swiotlb_map`.
    SwiotlbMap: Swiotlb, Return, [Dev, Paddr, Size, Dir, Attrs] => [SwiotlbMap];
    /// `swiotlb_tbl_map_single`; the attributes are behind a pointer since 7.3.
    SwiotlbTblMapSingle: Swiotlb, Return, [Dev, OrigAddr, MappingSize, AllocSize, Dir, Attrs, AlignMask] => [SwiotlbMapSingle];
    /// `swiotlb_tbl_unmap_single`, `__swiotlb_tbl_unmap_single` since 6.11.
    SwiotlbTblUnmapSingle: Swiotlb, EntryAnd(SwiotlbSlotKept), [Dev, TlbAddr, MappingSize, Dir, Attrs, Pool] => [SwiotlbUnmapSingle, SwiotlbSlotKept];
    /// `swiotlb_sync_single_for_cpu`, with two underscores since 6.11.
    SwiotlbSyncSingleForCpu: Swiotlb, Entry, [Dev, TlbAddr, Size, Dir] => [SwiotlbSyncForCpu];
    /// `swiotlb_sync_single_for_device`, with two underscores since 6.11.
    SwiotlbSyncSingleForDevice: Swiotlb, Entry, [Dev, TlbAddr, Size, Dir] => [SwiotlbSyncForDevice];
    /// `swiotlb_alloc` (CONFIG_DMA_RESTRICTED_POOL).
    SwiotlbAlloc: Swiotlb, Return, [Dev, Size] => [SwiotlbAlloc];
    /// `swiotlb_free` (CONFIG_DMA_RESTRICTED_POOL).
    SwiotlbFree: Swiotlb, Return, [Dev, Page, Size] => [SwiotlbFree];
    /// `dma_map_phys` (6.18 on) or `dma_map_page_attrs`.
    DmaMapPage: Swiotlb, UntimedWhere, [Dev, Page, Offset, Size, Dir, Attrs, Phys] => [DmaMapDirect];
    /// `dma_direct_map_sg`.
    DmaDirectMapSg: Swiotlb, UntimedWhere, [Dev, Sgl, Dir] => [DmaMapDirect];

    /// `migrate_vma_pages`.
    MigrateVmaPages: Hmm, Return, [Args] => [MigrateVmaPages, MigrateVmaRefused];
    /// `migrate_vma_finalize`.
    MigrateVmaFinalize: Hmm, Return, [Args] => [MigrateVmaFinalize];
    /// `migrate_device_range` (6.1 on).
    MigrateDeviceRange: Hmm, Both, [SrcPfns, Start, Npages] => [MigrateDeviceRange, MigrateVmaRefused];
    /// `migrate_device_pfns` (not in 6.12, in 6.18).
    MigrateDevicePfns: Hmm, Both, [SrcPfns, Npages] => [MigrateDeviceRange, MigrateVmaRefused];
    /// `hmm_range_fault`.
    HmmRangeFault: Hmm, Return, [Range] => [HmmRangeFault];
    /// `mmu_interval_notifier_insert`.
    MmuIntervalNotifierInsert: Hmm, Return, [Notifier, Mm, Start, Length] => [MmuIntervalNotifierInsert];
    /// `mmu_interval_notifier_insert_locked`.
    MmuIntervalNotifierInsertLocked: Hmm, Return, [Notifier, Mm, Start, Length] => [MmuIntervalNotifierInsert];
    /// `mmu_interval_notifier_remove`.
    MmuIntervalNotifierRemove: Hmm, Entry, [Notifier] => [MmuIntervalNotifierRemove];
    /// `lru_add_drain`: inside `migrate_vma_setup` what it does when it has collected.
    LruAddDrain: Hmm, Entry, [] => [MigrateVmaRefused];
    /// `folio_putback_lru`: inside `migrate_vma_setup` of each page that it puts back.
    FolioPutbackLru: Hmm, Entry, [Folio] => [MigrateVmaRefused];
    /// `remove_migration_ptes`: inside `migrate_vma_setup` of each page that it gives up.
    RemoveMigrationPtes: Hmm, Entry, [Src, Dst] => [MigrateVmaRefused];
}
