//! The programs: for each point one for each way and phase to attach, named `{method}_{point}`.
//!
//! Which of them there are follows from the point's [phase](AttachPhase). `fentry`/`fexit` and `kprobe`/`kretprobe` are
//! two ways to the same handler; `tp` and `raw_tp` are the two for tracepoints. Copies of a program end in `_2` and
//! `_3`; kprobes have none, the kernel does not preempt them.

use aya_ebpf::macros::{btf_tracepoint, fentry, fexit, kprobe, kretprobe, raw_tracepoint};
use aya_ebpf::programs::{
    BtfTracePointContext, FEntryContext, FExitContext, ProbeContext, RawTracePointContext, RetProbeContext,
};
use tracer_common::copies::Phase;
use tracer_common::event::Kind;
use tracer_common::point::{AttachPhase, Point};

use crate::call::{on_begin, on_entry, on_return, on_return_where};
use crate::context::Context;
use crate::copies::has_work;
use crate::emit::is_asked;
use crate::globals::global;
use crate::pairing::EntryState;
use crate::probes::{dma, exclusive, fork, hmm, hmm_refused, migrate, mlock, process, rmap, swiotlb};

/// A beginning that keeps nothing but its time.
#[inline(always)]
fn nothing<C: Context>(_context: &C, _begun: &mut EntryState) {}

/// That a point's programs are those of its phase.
macro_rules! in_phase {
    ($point:ident: $($phase:pat_param)|+) => {
        const _: () = assert!(matches!(Point::$point.phase(), $($phase)|+));
    };
}

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

/// A kprobe or kretprobe.
macro_rules! in_breakpoint {
    ($attribute:ident, $context:ident: $name:ident => $work:expr) => {
        #[$attribute]
        pub fn $name(context: $context) -> u32 {
            ($work)(&context);
            0
        }
    };
}

/// A function whose record is made at its entry.
macro_rules! at_entry {
    ($point:ident, $name:ident => $handler:expr) => {
        in_phase!($point: AttachPhase::Entry);
        in_copies!(fentry, FEntryContext, $point, Entry: ${concat(fentry_, $name)}
            => |context: &FEntryContext, copy| on_entry(context, Point::$point, copy, |call| ($handler)(call)));
        in_breakpoint!(kprobe, ProbeContext: ${concat(kprobe_, $name)}
            => |context: &ProbeContext| on_entry(context, Point::$point, 1, $handler));
    };
}

/// A function whose record is made at its return, and what is kept at its beginning.
macro_rules! at_return {
    ($point:ident, $name:ident, $keep:path => $handler:expr) => {
        in_phase!($point: AttachPhase::Return | AttachPhase::Untimed | AttachPhase::Both);
        at_return!(@begin $point, $name, $keep);
        at_return!(@rest $point, $name, $keep => $handler);
    };
    // Most calls are nothing to look at, which their arguments say.
    ($point:ident, $name:ident, $keep:path, told $wanted:path => $handler:expr) => {
        in_phase!($point: AttachPhase::Return);
        at_return!(@begin $point, $name, $keep);
        at_return!(@rest $point, $name, $keep, told $wanted => $handler);
    };
    // Only beginnings that fit are noted, unless all are needed.
    ($point:ident, $name:ident, $keep:path, where $wanted:path => $handler:expr) => {
        in_phase!($point: AttachPhase::BothWhere);
        in_copies!(fentry, FEntryContext, $point, Entry: ${concat(fentry_, $name)}
            => |context: &FEntryContext, _copy| {
                if global!(options.latency) != 0 || $wanted(context) {
                    on_begin(context, Point::$point, |context, begun| $keep(context, begun));
                }
            });
        at_return!(@rest $point, $name, $keep => $handler);
    };
    // The event of a call may be counted at its beginning.
    ($point:ident, $name:ident, $keep:path, counts $kind:ident => $handler:expr) => {
        in_phase!($point: AttachPhase::Return);
        const _: () = assert!(matches!(Point::$point.counted_at_entry(), Some(Kind::$kind)));
        in_copies!(fentry, FEntryContext, $point, Entry: ${concat(fentry_, $name)}
            => |context: &FEntryContext, copy| {
                if global!(options.count_at_entry) != 0 {
                    on_entry(context, Point::$point, copy, |call| call.count(Kind::$kind));
                } else {
                    on_begin(context, Point::$point, |context, begun| $keep(context, begun));
                }
            });
        at_return!(@rest $point, $name, $keep, counts $kind => $handler);
    };
    (@begin $point:ident, $name:ident, $keep:path) => {
        in_copies!(fentry, FEntryContext, $point, Entry: ${concat(fentry_, $name)}
            => |context: &FEntryContext, _copy| {
                on_begin(context, Point::$point, |context, begun| $keep(context, begun))
            });
    };
    (@rest $point:ident, $name:ident, $keep:path $(, counts $kind:ident)? $(, told $wanted:path)? => $handler:expr) => {
        in_copies!(fexit, FExitContext, $point, Return: ${concat(fexit_, $name)}
            => |context: &FExitContext, copy| {
                let is_wanted = |_context: &FExitContext| true $(&& $wanted(_context))?;
                on_return_where(context, Point::$point, copy, is_wanted, |call| ($handler)(call));
            });
        in_breakpoint!(kprobe, ProbeContext: ${concat(kprobe_, $name)}
            => |context: &ProbeContext| {
                $(if global!(options.count_at_entry) != 0 {
                    return on_entry(context, Point::$point, 1, |call| call.count(Kind::$kind));
                })?
                on_begin(context, Point::$point, $keep);
            });
        in_breakpoint!(kretprobe, RetProbeContext: ${concat(kretprobe_, $name)}
            => |context: &RetProbeContext| on_return(context, Point::$point, 1, $handler));
    };
}

/// A function whose record is made at its entry, and another at its return where that is asked for.
macro_rules! at_entry_and_return {
    ($point:ident, $name:ident, $kind:ident, $keep:path => $handler:expr, $return_handler:expr) => {
        in_phase!($point: AttachPhase::EntryAnd(Kind::$kind));
        in_copies!(fentry, FEntryContext, $point, Entry: ${concat(fentry_, $name)}
            => |context: &FEntryContext, copy| {
                on_entry(context, Point::$point, copy, |call| ($handler)(call));
                if is_asked(Kind::$kind) {
                    on_begin(context, Point::$point, |context, begun| $keep(context, begun));
                }
            });
        in_copies!(fexit, FExitContext, $point, Return: ${concat(fexit_, $name)}
            => |context: &FExitContext, copy| on_return(context, Point::$point, copy, |call| ($return_handler)(call)));
        in_breakpoint!(kprobe, ProbeContext: ${concat(kprobe_, $name)} => |context: &ProbeContext| {
            on_entry(context, Point::$point, 1, $handler);
            if is_asked(Kind::$kind) {
                on_begin(context, Point::$point, $keep);
            }
        });
        in_breakpoint!(kretprobe, RetProbeContext: ${concat(kretprobe_, $name)}
            => |context: &RetProbeContext| on_return(context, Point::$point, 1, $return_handler));
    };
}

/// A function with a record at its return, of which most calls are nothing to look at.
macro_rules! at_return_where {
    ($guard:path, $point:ident, $name:ident => $handler:expr) => {
        in_phase!($point: AttachPhase::UntimedWhere);
        in_copies!(fexit, FExitContext, $point, Return: ${concat(fexit_, $name)}
            => |context: &FExitContext, copy| {
                if $guard(context, Point::$point) {
                    on_return(context, Point::$point, copy, |call| ($handler)(call));
                }
            });
        in_breakpoint!(kprobe, ProbeContext: ${concat(kprobe_, $name)} => |context: &ProbeContext| {
            if $guard(context, Point::$point) {
                on_begin(context, Point::$point, nothing);
            }
        });
        in_breakpoint!(kretprobe, RetProbeContext: ${concat(kretprobe_, $name)}
            => |context: &RetProbeContext| on_return(context, Point::$point, 1, $handler));
    };
}

/// A function of which only the result is wanted.
macro_rules! at_result {
    ($point:ident, $name:ident => $handler:expr) => {
        in_phase!($point: AttachPhase::Result);
        in_copies!(fexit, FExitContext, $point, Return: ${concat(fexit_, $name)}
            => |context: &FExitContext, copy| on_return(context, Point::$point, copy, |call| ($handler)(call)));
        in_breakpoint!(kretprobe, RetProbeContext: ${concat(kretprobe_, $name)}
            => |context: &RetProbeContext| on_return(context, Point::$point, 1, $handler));
    };
}

/// A tracepoint. Since 7.0 its programs can be preempted too (include/linux/tracepoint.h, `__DECLARE_TRACE`).
macro_rules! tracepoint {
    ($point:ident, $name:ident => $handler:expr) => {
        in_phase!($point: AttachPhase::Entry);
        in_copies!(btf_tracepoint, BtfTracePointContext, $point, Entry: ${concat(tp_, $name)}
            => |context: &BtfTracePointContext, copy| on_entry(context, Point::$point, copy, |call| ($handler)(call)));
        in_copies!(raw_tracepoint, RawTracePointContext, $point, Entry: ${concat(raw_tp_, $name)}
            => |context: &RawTracePointContext, copy| on_entry(context, Point::$point, copy, |call| ($handler)(call)));
    };
}

tracepoint!(ProcessFork, process_fork => process::forked);
tracepoint!(ProcessExec, process_exec => process::executed);
tracepoint!(ProcessExit, process_exit => process::exited);
tracepoint!(ProcessRename, process_rename => process::renamed);

at_return!(MakeDeviceExclusiveRange, make_device_exclusive_range, nothing => exclusive::made_range);
at_return!(MakeDeviceExclusive, make_device_exclusive, nothing => exclusive::made_single);
at_return!(PageMakeDeviceExclusiveOne, page_make_device_exclusive_one, nothing => rmap::visited_for_exclusive);
at_return!(RestoreExclusivePte, restore_exclusive_pte, exclusive::keep_entry => exclusive::restored);
at_return!(DoSwapPage, do_swap_page, nothing, told exclusive::finds_exclusive => exclusive::faulted);
at_entry!(UnmapPageRange, unmap_page_range => exclusive::zapped);
at_return!(MovePageTables, move_page_tables, exclusive::keep_move => exclusive::moved);
at_return!(ExitMmap, exit_mmap, nothing => exclusive::exited);

at_return!(TryToUnmap, try_to_unmap, nothing, counts TryToUnmap => |call| rmap::walked(call, Kind::TryToUnmap));
at_return!(TryToMigrate, try_to_migrate, nothing, counts TryToMigrate => |call| rmap::walked(call, Kind::TryToMigrate));
at_return!(TryToUnmapOne, try_to_unmap_one, rmap::keep_locked, where rmap::finds_locked => rmap::visited_by_unmap);
at_return!(TryToMigrateOne, try_to_migrate_one, nothing => rmap::visited_by_migrate);

tracepoint!(SetMigrationPte, set_migration_pte => |call| migrate::entry(call, Kind::MigrationEntrySet));
tracepoint!(MigrationPteRemoved, migration_pte_removed => |call| migrate::entry(call, Kind::MigrationEntryRemoved));
tracepoint!(SetMigrationPmd, set_migration_pmd => |call| migrate::huge_entry(call, Kind::MigrationEntrySet));
tracepoint!(MigrationPmdRemoved, migration_pmd_removed
    => |call| migrate::huge_entry(call, Kind::MigrationEntryRemoved));
at_return!(RemoveMigrationPte, remove_migration_pte, migrate::keep_source => migrate::removed);
tracepoint!(MigratePages, migrate_pages => migrate::pages);
at_return!(MigrateVmaSetup, migrate_vma_setup, hmm_refused::keep_args => migrate::vma_set_up);
at_return!(MoveToNewFolio, move_to_new_folio, nothing => migrate::moved);

at_return!(PageMlock, page_mlock, nothing, counts PageMlock => rmap::walked_for_mlock);
at_return!(PageMlockOne, page_mlock_one, nothing => rmap::visited_for_mlock);
at_entry!(MlockFolio, mlock_folio => mlock::folio_locked);
at_entry!(MunlockFolio, munlock_folio => |call| mlock::folio(call, Kind::MunlockFolio));
at_return!(MlockFixup, mlock_fixup, mlock::keep_vma => mlock::fixed_up);

at_return!(CopyPageRange, copy_page_range, fork::keep_nothing_yet => fork::copied);
// It only adds its result to the `copy_page_range` around it.
at_result!(CopyPteRange, copy_pte_range => fork::inner);

at_return!(SwiotlbMap, swiotlb_map, nothing => swiotlb::mapped);
at_return!(SwiotlbTblMapSingle, swiotlb_tbl_map_single, nothing => swiotlb::slots_taken);
at_entry_and_return!(SwiotlbTblUnmapSingle, swiotlb_tbl_unmap_single, SwiotlbSlotKept, swiotlb::keep_slot
    => swiotlb::slots_released, swiotlb::slot_kept);
at_entry!(SwiotlbSyncSingleForCpu, swiotlb_sync_single_for_cpu
    => |call| swiotlb::synced(call, Kind::SwiotlbSyncForCpu));
at_entry!(SwiotlbSyncSingleForDevice, swiotlb_sync_single_for_device
    => |call| swiotlb::synced(call, Kind::SwiotlbSyncForDevice));
at_return!(SwiotlbAlloc, swiotlb_alloc, nothing => swiotlb::pages_taken);
at_return!(SwiotlbFree, swiotlb_free, nothing => swiotlb::pages_released);
at_return_where!(dma::must_bounce, DmaMapPage, dma_map_page => dma::mapped);
at_return_where!(dma::must_bounce, DmaDirectMapSg, dma_direct_map_sg => dma::list_mapped);
at_return!(MigrateVmaPages, migrate_vma_pages, nothing => hmm::pages_migrated);
at_return!(MigrateVmaFinalize, migrate_vma_finalize, nothing => |call| hmm::migrated(call, Kind::MigrateVmaFinalize));
at_return!(MigrateDeviceRange, migrate_device_range, nothing => hmm::range_collected);
at_return!(MigrateDevicePfns, migrate_device_pfns, nothing => hmm::pfns_collected);
at_return!(HmmRangeFault, hmm_range_fault, nothing => hmm::range_asked);
at_return!(MmuIntervalNotifierInsert, mmu_interval_notifier_insert, nothing
    => |call| hmm::notifier_inserted(call, Kind::MmuIntervalNotifierInsert));
at_return!(MmuIntervalNotifierInsertLocked, mmu_interval_notifier_insert_locked, nothing
    => |call| hmm::notifier_inserted(call, Kind::MmuIntervalNotifierInsert));
at_entry!(MmuIntervalNotifierRemove, mmu_interval_notifier_remove => hmm::notifier_removed);
at_entry!(LruAddDrain, lru_add_drain => hmm_refused::drained);
at_entry!(FolioPutbackLru, folio_putback_lru => hmm_refused::put_back);
at_entry!(RemoveMigrationPtes, remove_migration_ptes => hmm_refused::given_up);
