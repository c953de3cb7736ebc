//! Device memory: migrations, faults of ranges, notifiers.

use tracer_common::event::{
    HmmRangeFault, Kind, MigrateDeviceRange, MigrateVma, MmuIntervalNotifierInsert,
    MmuIntervalNotifierRemove, UNKNOWN,
};
use tracer_common::point::Argument;

use crate::call::{Call, field};
use crate::context::Context;
use crate::emit::is_asked;
use crate::globals::global;
use crate::memory::Memory;
use crate::probes::hmm_entries::{Counter, count};
use crate::probes::hmm_left;

/// `migrate_vma_pages` at return.
#[inline(always)]
pub fn pages_migrated<C: Context>(call: &mut Call<'_, C>) {
    migrated(call, Kind::MigrateVmaPages);
    let arguments = call.argument(Argument::Args);
    hmm_left::look(call, arguments);
}

/// `migrate_vma_pages` or `migrate_vma_finalize` at return: neither forgets which entries were to migrate.
#[inline(always)]
pub fn migrated<C: Context>(call: &mut Call<'_, C>, kind: Kind) {
    let (arguments, duration) = (call.argument(Argument::Args), call.duration);
    if !is_asked(kind) {
        return;
    }
    let counter =
        if kind as u16 == Kind::MigrateVmaPages as u16 { Counter::Pages } else { Counter::Finalize };
    let npages = field::<C, u64>(arguments, global!(layout.migrate_vma_npages));
    let sources = field::<C, u64>(arguments, global!(layout.migrate_vma_src));
    let destinations = field::<C, u64>(arguments, global!(layout.migrate_vma_dst));
    let counts = count(counter, call.copy, sources, destinations, npages);
    let Some(room) = call.reserve(kind) else { return };
    let vma = field::<C, u64>(arguments, global!(layout.migrate_vma_vma));
    room.send(MigrateVma {
        mm: field::<C, u64>(vma, global!(layout.vma_mm)),
        start: field::<C, u64>(arguments, global!(layout.migrate_vma_start)),
        end: field::<C, u64>(arguments, global!(layout.migrate_vma_end)),
        npages,
        collected: field::<C, u64>(arguments, global!(layout.migrate_vma_cpages)),
        migrated: counts.migrated,
        filled: counts.filled,
        select: field::<C, u32>(arguments, global!(layout.migrate_vma_flags)),
        reserved: 0,
        owner: field::<C, u64>(arguments, global!(layout.migrate_vma_owner)),
        fault_page: field::<C, u64>(arguments, global!(layout.migrate_vma_fault_page)),
        duration,
    });
}

/// `migrate_device_range` at return.
#[inline(always)]
pub fn range_collected<C: Context>(call: &mut Call<'_, C>) {
    let start = call.argument(Argument::Start);
    collected(call, Counter::Range, start);
}

/// `migrate_device_pfns` at return: its page frames need not lie together.
#[inline(always)]
pub fn pfns_collected<C: Context>(call: &mut Call<'_, C>) {
    collected(call, Counter::Pfns, UNKNOWN);
}

#[inline(always)]
fn collected<C: Context>(call: &mut Call<'_, C>, counter: Counter, start: u64) {
    let (entries, npages) = (call.argument(Argument::SrcPfns), call.argument(Argument::Npages));
    let (result, duration) = (call.result() as i32, call.duration);
    if !is_asked(Kind::MigrateDeviceRange) {
        return;
    }
    let counts = count(counter, call.copy, entries, 0, npages);
    let Some(room) = call.reserve(Kind::MigrateDeviceRange) else { return };
    room.send(MigrateDeviceRange { start, npages, migrating: counts.migrated, result, duration });
}

/// `hmm_range_fault` at return.
#[inline(always)]
pub fn range_asked<C: Context>(call: &mut Call<'_, C>) {
    let (range, result, duration) = (call.argument(Argument::Range), call.result() as i32, call.duration);
    let Some(room) = call.reserve(Kind::HmmRangeFault) else { return };
    let notifier = field::<C, u64>(range, global!(layout.range_notifier));
    room.send(HmmRangeFault {
        mm: field::<C, u64>(notifier, global!(layout.interval_mm)),
        start: field::<C, u64>(range, global!(layout.range_start)),
        end: field::<C, u64>(range, global!(layout.range_end)),
        request: field::<C, u64>(range, global!(layout.range_flags)),
        owner: field::<C, u64>(range, global!(layout.range_owner)),
        result,
        reserved: 0,
        duration,
    });
}

/// `mmu_interval_notifier_insert` or `mmu_interval_notifier_insert_locked` at return.
#[inline(always)]
pub fn notifier_inserted<C: Context>(call: &mut Call<'_, C>, kind: Kind) {
    let (notifier, mm) = (call.argument(Argument::Notifier), call.argument(Argument::Mm));
    let (start, length) = (call.argument(Argument::Start), call.argument(Argument::Length));
    let (result, duration) = (call.result() as i32, call.duration);
    let Some(room) = call.reserve(kind) else { return };
    room.send(MmuIntervalNotifierInsert { notifier, mm, start, length, result, reserved: 0, duration });
}

/// `mmu_interval_notifier_remove` at entry.
#[inline(always)]
pub fn notifier_removed<C: Context>(call: &mut Call<'_, C>) {
    let notifier = call.argument(Argument::Notifier);
    let Some(room) = call.reserve(Kind::MmuIntervalNotifierRemove) else { return };
    // The last address of a driver that watches everything is the number that stands for an unknown one.
    let last = C::Memory::load::<u64>(notifier, global!(layout.interval_last));
    let start = C::Memory::load::<u64>(notifier, global!(layout.interval_start));
    room.send(MmuIntervalNotifierRemove {
        notifier,
        mm: field::<C, u64>(notifier, global!(layout.interval_mm)),
        start: start.unwrap_or(UNKNOWN),
        length: match (start, last) {
            (Some(start), Some(last)) => last.wrapping_sub(start).wrapping_add(1),
            _ => UNKNOWN,
        },
    });
}
