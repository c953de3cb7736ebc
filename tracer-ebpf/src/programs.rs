//! The programs: for each point one for each way and phase to attach, named `{method}_{point}`.
//!
//! User space's catalogue says which of them a point needs. `fentry`/`fexit` and `kprobe`/`kretprobe` are two
//! ways to the same handler; `tp` and `raw_tp` are the two for tracepoints. Copies of a program end in `_2` and
//! `_3`; kprobes have none, the kernel does not preempt them.

use aya_ebpf::macros::{btf_tracepoint, fentry, fexit, kprobe, kretprobe, raw_tracepoint};
use aya_ebpf::programs::{
    BtfTracePointContext, FEntryContext, FExitContext, ProbeContext, RawTracePointContext, RetProbeContext,
};
use tracer_common::copies::Phase;
use tracer_common::event::Kind;
use tracer_common::point::Point;

use crate::call::{Pairs, on_begin, on_entry, on_return};
use crate::context::Context;
use crate::copies::has_work;
use crate::emit::is_asked;
use crate::globals::global;
use crate::pairing::EntryState;
use crate::probes::{dma, exclusive, fork, migrate, mlock, process, rmap, swiotlb};

/// A beginning that keeps nothing but its time.
#[inline(always)]
fn nothing<C: Context>(_context: &C, _begun: &mut EntryState) {}

/// A program and its copies ([`crate::copies`]): `work` of each. It takes handlers in closures of its own: what several
/// programs call the compiler makes a function of, and the verifier takes no arguments of such a function for more
/// than numbers.
macro_rules! in_copies {
    ($attribute:ident, $context:ident, $point:ident, $phase:ident: $name:ident => $work:expr) => {
        in_copies!(@copy $attribute, $context, $point, $phase, 1: $name => $work);
        in_copies!(@copy $attribute, $context, $point, $phase, 2: ${concat($name, _2)} => $work);
        in_copies!(@copy $attribute, $context, $point, $phase, 3: ${concat($name, _3)} => $work);
    };
    (@copy $attribute:ident, $context:ident, $point:ident, $phase:ident, $copy:literal: $name:ident => $work:expr) => {
        #[$attribute]
        pub fn $name(context: $context) -> u32 {
            if has_work(&context, Point::$point, Phase::$phase, $copy) {
                ($work)(&context, $copy);
            }
            0
        }
    };
}

/// A function whose record is made at its entry.
macro_rules! at_entry {
    ($point:ident: $fentry:ident, $kprobe:ident => $handler:expr) => {
        in_copies!(fentry, FEntryContext, $point, Entry: $fentry => |context: &FEntryContext, copy| {
            on_entry(context, Point::$point, copy, |call| ($handler)(call))
        });

        #[kprobe]
        pub fn $kprobe(context: ProbeContext) -> u32 {
            on_entry(&context, Point::$point, 1, $handler);
            0
        }
    };
}

/// A function whose record is made at its return. With `where` only beginnings that fit are noted, unless all
/// are needed.
macro_rules! at_return {
    ($point:ident, $pairs:ident, $keep:path, where $wanted:path: $fentry:ident, $fexit:ident, $kprobe:ident, $kretprobe:ident => $handler:expr) => {
        in_copies!(fentry, FEntryContext, $point, Entry: $fentry => |context: &FEntryContext, _copy| {
            if global!(options.latency) != 0 || $wanted(context) {
                on_begin(context, Point::$point, |context, begun| $keep(context, begun));
            }
        });

        at_return!(@rest $point, $pairs, $keep: $fexit, $kprobe, $kretprobe => $handler);
    };
    ($point:ident, $pairs:ident, $keep:path: $fentry:ident, $fexit:ident, $kprobe:ident, $kretprobe:ident => $handler:expr) => {
        in_copies!(fentry, FEntryContext, $point, Entry: $fentry => |context: &FEntryContext, _copy| {
            on_begin(context, Point::$point, |context, begun| $keep(context, begun))
        });

        at_return!(@rest $point, $pairs, $keep: $fexit, $kprobe, $kretprobe => $handler);
    };
    (@rest $point:ident, $pairs:ident, $keep:path: $fexit:ident, $kprobe:ident, $kretprobe:ident => $handler:expr) => {
        in_copies!(fexit, FExitContext, $point, Return: $fexit => |context: &FExitContext, copy| {
            on_return(context, Point::$point, Pairs::$pairs, copy, |call| ($handler)(call))
        });

        #[kprobe]
        pub fn $kprobe(context: ProbeContext) -> u32 {
            on_begin(&context, Point::$point, $keep);
            0
        }

        #[kretprobe]
        pub fn $kretprobe(context: RetProbeContext) -> u32 {
            on_return(&context, Point::$point, Pairs::$pairs, 1, $handler);
            0
        }
    };
}

/// A function whose record is made at its entry, and another at its return where that is asked for.
macro_rules! at_entry_and_return {
    ($point:ident, $kind:ident, $keep:path: $fentry:ident, $fexit:ident, $kprobe:ident, $kretprobe:ident => $handler:expr, $return_handler:expr) => {
        in_copies!(fentry, FEntryContext, $point, Entry: $fentry => |context: &FEntryContext, copy| {
            on_entry(context, Point::$point, copy, |call| ($handler)(call));
            if is_asked(Kind::$kind) {
                on_begin(context, Point::$point, |context, begun| $keep(context, begun));
            }
        });

        in_copies!(fexit, FExitContext, $point, Return: $fexit => |context: &FExitContext, copy| {
            on_return(context, Point::$point, Pairs::Always, copy, |call| ($return_handler)(call))
        });

        #[kprobe]
        pub fn $kprobe(context: ProbeContext) -> u32 {
            on_entry(&context, Point::$point, 1, $handler);
            if is_asked(Kind::$kind) {
                on_begin(&context, Point::$point, $keep);
            }
            0
        }

        #[kretprobe]
        pub fn $kretprobe(context: RetProbeContext) -> u32 {
            on_return(&context, Point::$point, Pairs::Always, 1, $return_handler);
            0
        }
    };
}

/// A function with a record at its return, of which most calls are nothing to look at.
macro_rules! at_return_if {
    ($guard:path, $point:ident: $fexit:ident, $kprobe:ident, $kretprobe:ident => $handler:expr) => {
        in_copies!(fexit, FExitContext, $point, Return: $fexit => |context: &FExitContext, copy| {
            if $guard(context, Point::$point) {
                on_return(context, Point::$point, Pairs::Rarely, copy, |call| ($handler)(call));
            }
        });

        #[kprobe]
        pub fn $kprobe(context: ProbeContext) -> u32 {
            if $guard(&context, Point::$point) {
                on_begin(&context, Point::$point, nothing);
            }
            0
        }

        #[kretprobe]
        pub fn $kretprobe(context: RetProbeContext) -> u32 {
            on_return(&context, Point::$point, Pairs::Rarely, 1, $handler);
            0
        }
    };
}

/// A tracepoint. Since 7.0 its programs can be preempted too (include/linux/tracepoint.h, `__DECLARE_TRACE`).
macro_rules! tracepoint {
    ($point:ident: $tp:ident, $raw_tp:ident => $handler:expr) => {
        in_copies!(btf_tracepoint, BtfTracePointContext, $point, Entry: $tp
            => |context: &BtfTracePointContext, copy| on_entry(context, Point::$point, copy, |call| ($handler)(call)));
        in_copies!(raw_tracepoint, RawTracePointContext, $point, Entry: $raw_tp
            => |context: &RawTracePointContext, copy| on_entry(context, Point::$point, copy, |call| ($handler)(call)));
    };
}

tracepoint!(ProcessFork: tp_process_fork, raw_tp_process_fork => process::forked);
tracepoint!(ProcessExec: tp_process_exec, raw_tp_process_exec => process::executed);
tracepoint!(ProcessExit: tp_process_exit, raw_tp_process_exit => process::exited);
tracepoint!(ProcessRename: tp_process_rename, raw_tp_process_rename => process::renamed);

at_return!(MakeDeviceExclusiveRange, ForLatency, nothing:
    fentry_make_device_exclusive_range, fexit_make_device_exclusive_range,
    kprobe_make_device_exclusive_range, kretprobe_make_device_exclusive_range
    => exclusive::made_range);
at_return!(MakeDeviceExclusive, ForLatency, nothing:
    fentry_make_device_exclusive, fexit_make_device_exclusive,
    kprobe_make_device_exclusive, kretprobe_make_device_exclusive
    => exclusive::made_single);
at_return!(PageMakeDeviceExclusiveOne, ForLatency, nothing:
    fentry_page_make_device_exclusive_one, fexit_page_make_device_exclusive_one,
    kprobe_page_make_device_exclusive_one, kretprobe_page_make_device_exclusive_one
    => rmap::visited_for_exclusive);
at_return!(RestoreExclusivePte, Always, exclusive::keep_entry:
    fentry_restore_exclusive_pte, fexit_restore_exclusive_pte,
    kprobe_restore_exclusive_pte, kretprobe_restore_exclusive_pte
    => exclusive::restored);
at_return!(DoSwapPage, ForLatency, nothing:
    fentry_do_swap_page, fexit_do_swap_page, kprobe_do_swap_page, kretprobe_do_swap_page
    => exclusive::faulted);
at_entry!(UnmapPageRange: fentry_unmap_page_range, kprobe_unmap_page_range => exclusive::zapped);
at_return!(MovePageTables, Always, exclusive::keep_move:
    fentry_move_page_tables, fexit_move_page_tables, kprobe_move_page_tables, kretprobe_move_page_tables
    => exclusive::moved);
at_return!(ExitMmap, ForArguments, nothing:
    fentry_exit_mmap, fexit_exit_mmap, kprobe_exit_mmap, kretprobe_exit_mmap
    => exclusive::exited);

at_return!(TryToUnmap, ForLatency, nothing:
    fentry_try_to_unmap, fexit_try_to_unmap, kprobe_try_to_unmap, kretprobe_try_to_unmap
    => |call| rmap::walked(call, Kind::TryToUnmap));
at_return!(TryToMigrate, ForLatency, nothing:
    fentry_try_to_migrate, fexit_try_to_migrate, kprobe_try_to_migrate, kretprobe_try_to_migrate
    => |call| rmap::walked(call, Kind::TryToMigrate));
at_return!(TryToUnmapOne, WhereNoted, rmap::keep_locked, where rmap::finds_locked:
    fentry_try_to_unmap_one, fexit_try_to_unmap_one, kprobe_try_to_unmap_one, kretprobe_try_to_unmap_one
    => rmap::visited_by_unmap);
at_return!(TryToMigrateOne, ForLatency, nothing:
    fentry_try_to_migrate_one, fexit_try_to_migrate_one, kprobe_try_to_migrate_one, kretprobe_try_to_migrate_one
    => |call| rmap::visited(call, Kind::TryToMigrateOne));

tracepoint!(SetMigrationPte: tp_set_migration_pte, raw_tp_set_migration_pte
    => |call| migrate::entry(call, Kind::MigrationEntrySet));
tracepoint!(MigrationPteRemoved: tp_migration_pte_removed, raw_tp_migration_pte_removed
    => |call| migrate::entry(call, Kind::MigrationEntryRemoved));
tracepoint!(SetMigrationPmd: tp_set_migration_pmd, raw_tp_set_migration_pmd
    => |call| migrate::huge_entry(call, Kind::MigrationEntrySet));
tracepoint!(MigrationPmdRemoved: tp_migration_pmd_removed, raw_tp_migration_pmd_removed
    => |call| migrate::huge_entry(call, Kind::MigrationEntryRemoved));
at_return!(RemoveMigrationPte, Always, migrate::keep_source:
    fentry_remove_migration_pte, fexit_remove_migration_pte,
    kprobe_remove_migration_pte, kretprobe_remove_migration_pte
    => migrate::removed);
tracepoint!(MigratePages: tp_migrate_pages, raw_tp_migrate_pages => migrate::pages);
at_return!(MigrateVmaSetup, ForLatency, nothing:
    fentry_migrate_vma_setup, fexit_migrate_vma_setup, kprobe_migrate_vma_setup, kretprobe_migrate_vma_setup
    => migrate::vma_set_up);
at_return!(MoveToNewFolio, ForArguments, nothing:
    fentry_move_to_new_folio, fexit_move_to_new_folio, kprobe_move_to_new_folio, kretprobe_move_to_new_folio
    => migrate::moved);

at_return!(PageMlock, ForLatency, nothing:
    fentry_page_mlock, fexit_page_mlock, kprobe_page_mlock, kretprobe_page_mlock
    => |call| rmap::walked(call, Kind::PageMlock));
at_return!(PageMlockOne, ForLatency, nothing:
    fentry_page_mlock_one, fexit_page_mlock_one, kprobe_page_mlock_one, kretprobe_page_mlock_one
    => |call| rmap::visited(call, Kind::PageMlockOne));
at_entry!(MlockFolio: fentry_mlock_folio, kprobe_mlock_folio => mlock::folio_locked);
at_entry!(MunlockFolio: fentry_munlock_folio, kprobe_munlock_folio => |call| mlock::folio(call, Kind::MunlockFolio));
at_return!(MlockFixup, Always, mlock::keep_vma:
    fentry_mlock_fixup, fexit_mlock_fixup, kprobe_mlock_fixup, kretprobe_mlock_fixup
    => mlock::fixed_up);

at_return!(CopyPageRange, Always, fork::keep_nothing_yet:
    fentry_copy_page_range, fexit_copy_page_range, kprobe_copy_page_range, kretprobe_copy_page_range
    => fork::copied);

// `copy_pte_range` only adds its result to the `copy_page_range` around it.
in_copies!(fexit, FExitContext, CopyPteRange, Return: fexit_copy_pte_range => |context: &FExitContext, copy| {
    on_return(context, Point::CopyPteRange, Pairs::Never, copy, |call| fork::inner(call))
});

/// The same for kernels or functions without trampolines.
#[kretprobe]
pub fn kretprobe_copy_pte_range(context: RetProbeContext) -> u32 {
    on_return(&context, Point::CopyPteRange, Pairs::Never, 1, fork::inner);
    0
}

at_return!(SwiotlbMap, ForLatency, nothing:
    fentry_swiotlb_map, fexit_swiotlb_map, kprobe_swiotlb_map, kretprobe_swiotlb_map
    => swiotlb::mapped);
at_return!(SwiotlbTblMapSingle, ForLatency, nothing:
    fentry_swiotlb_tbl_map_single, fexit_swiotlb_tbl_map_single,
    kprobe_swiotlb_tbl_map_single, kretprobe_swiotlb_tbl_map_single
    => swiotlb::slots_taken);
at_entry_and_return!(SwiotlbTblUnmapSingle, SwiotlbSlotKept, swiotlb::keep_slot:
    fentry_swiotlb_tbl_unmap_single, fexit_swiotlb_tbl_unmap_single,
    kprobe_swiotlb_tbl_unmap_single, kretprobe_swiotlb_tbl_unmap_single
    => swiotlb::slots_released, swiotlb::slot_kept);
at_entry!(SwiotlbSyncSingleForCpu: fentry_swiotlb_sync_single_for_cpu, kprobe_swiotlb_sync_single_for_cpu
    => |call| swiotlb::synced(call, Kind::SwiotlbSyncForCpu));
at_entry!(SwiotlbSyncSingleForDevice: fentry_swiotlb_sync_single_for_device, kprobe_swiotlb_sync_single_for_device
    => |call| swiotlb::synced(call, Kind::SwiotlbSyncForDevice));
at_return!(SwiotlbAlloc, ForLatency, nothing:
    fentry_swiotlb_alloc, fexit_swiotlb_alloc, kprobe_swiotlb_alloc, kretprobe_swiotlb_alloc
    => swiotlb::pages_taken);
at_return!(SwiotlbFree, ForLatency, nothing:
    fentry_swiotlb_free, fexit_swiotlb_free, kprobe_swiotlb_free, kretprobe_swiotlb_free
    => swiotlb::pages_released);
at_return_if!(dma::must_bounce, DmaMapPage: fexit_dma_map_page, kprobe_dma_map_page, kretprobe_dma_map_page
    => dma::mapped);
at_return_if!(dma::must_bounce, DmaDirectMapSg:
    fexit_dma_direct_map_sg, kprobe_dma_direct_map_sg, kretprobe_dma_direct_map_sg
    => dma::list_mapped);
