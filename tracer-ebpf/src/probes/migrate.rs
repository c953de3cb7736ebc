//! Migration entries, set and removed, and the migrations around them.

use tracer_common::event::{
    Kind, MAPCOUNT_UNKNOWN, MigratePages, MigrateRefused, MigrateVmaSetup, MigrationEntry,
    RemoveMigrationPte, UNKNOWN,
};
use tracer_common::point::{Argument, Point};

use crate::calibrate::vmemmap_base;
use crate::call::{Call, field};
use crate::context::Context;
use crate::emit::is_asked;
use crate::entry::page_of_swap;
use crate::globals::global;
use crate::memory::{Memory, Probed};
use crate::page;
use crate::pairing::EntryState;
use crate::probes::{hmm_refused, migrate_locks};

/// Tracepoints `migrate:set_migration_pte` and `migrate:remove_migration_pte`: a raw entry. What it points
/// to is looked up while the page-table lock is held.
#[inline(always)]
pub fn entry<C: Context>(call: &mut Call<'_, C>, kind: Kind) {
    let order = call.argument(Argument::Order) as u32;
    send_entry(call, kind, order);
}

/// Tracepoints `thp:set_migration_pmd` and `thp:remove_migration_pmd`: an entry of a directory, laid out as any other
/// (6.12 arch/x86/include/asm/pgtable_64.h, __pmd_to_swp_entry).
#[inline(always)]
pub fn huge_entry<C: Context>(call: &mut Call<'_, C>, kind: Kind) {
    send_entry(call, kind, global!(entry.huge_order));
}

#[inline(always)]
fn send_entry<C: Context>(call: &mut Call<'_, C>, kind: Kind, order: u32) {
    let (address, entry) = (call.argument(Argument::Address), call.argument(Argument::Entry));
    let Some(room) = call.reserve(kind) else { return };
    let page = page_of_swap(entry);
    let flags = if page == UNKNOWN { UNKNOWN } else { page::flags_of_any(page) };
    room.send(MigrationEntry { address, entry, page, flags, order, reserved: 0 });
}

/// `remove_migration_pte` at entry: the source page and its flags. 5.15 and 6.1 hand it over as the walk's
/// argument, 6.12 as the first member of one (mm/migrate.c, `struct rmap_walk_arg`); a page address is
/// told from an address on the stack by the memory map it lies in.
#[inline(always)]
pub fn keep_source<C: Context>(context: &C, begun: &mut EntryState) {
    let argument = context.argument(Point::RemoveMigrationPte, Argument::Old).unwrap_or(0);
    let page = if is_page(argument) { argument } else { Probed::load(argument, 0).unwrap_or(UNKNOWN) };
    begun.kept[0] = page;
    begun.kept[1] = if page == UNKNOWN { UNKNOWN } else { page::flags_of_any(page) };
}

/// Whether an address lies in the memory map: above its base and as far as pfns reach.
#[inline(always)]
fn is_page(address: u64) -> bool {
    let base = vmemmap_base();
    base != 0
        && address >= base
        && address - base <= global!(entry.pfn_mask).wrapping_mul(u64::from(global!(layout.page_size)))
}

/// `remove_migration_pte` at return: one VMA visited.
#[inline(always)]
pub fn removed<C: Context>(call: &mut Call<'_, C>) {
    let Some([old_page, old_flags, ..]) = call.begun.as_ref().map(|begun| begun.kept) else { return };
    let (new_page, vma) = (call.argument(Argument::Folio), call.argument(Argument::Vma));
    let (address, duration) = (call.argument(Argument::Address), call.duration);
    let Some(room) = call.reserve(Kind::RemoveMigrationPte) else { return };
    room.send(RemoveMigrationPte {
        mm: field::<C, u64>(vma, global!(layout.vma_mm)),
        address,
        old_page,
        old_flags,
        new_page,
        new_flags: page::flags::<C::Memory>(new_page),
        duration,
    });
}

/// Tracepoint `migrate:mm_migrate_pages`.
#[inline(always)]
pub fn pages<C: Context>(call: &mut Call<'_, C>) {
    let (succeeded, failed) = (call.argument(Argument::Succeeded), call.argument(Argument::Failed));
    let (mode, reason) = (call.argument(Argument::Mode) as u32, call.argument(Argument::Reason) as u32);
    let Some(room) = call.reserve(Kind::MigratePages) else { return };
    room.send(MigratePages { succeeded, failed, mode, reason });
}

/// `migrate_vma_setup` at return.
#[inline(always)]
pub fn vma_set_up<C: Context>(call: &mut Call<'_, C>) {
    send_setup(call);
    hmm_refused::set_up(call);
}

#[inline(always)]
fn send_setup<C: Context>(call: &mut Call<'_, C>) {
    let (arguments, result, duration) = (call.argument(Argument::Args), call.result() as i32, call.duration);
    if !is_asked(Kind::MigrateVmaSetup) {
        return;
    }
    let npages = field::<C, u64>(arguments, global!(layout.migrate_vma_npages));
    let entries = field::<C, u64>(arguments, global!(layout.migrate_vma_src));
    let locks = migrate_locks::check(entries, npages, call.copy);
    let Some(room) = call.reserve(Kind::MigrateVmaSetup) else { return };
    let vma = field::<C, u64>(arguments, global!(layout.migrate_vma_vma));
    room.send(MigrateVmaSetup {
        mm: field::<C, u64>(vma, global!(layout.vma_mm)),
        start: field::<C, u64>(arguments, global!(layout.migrate_vma_start)),
        end: field::<C, u64>(arguments, global!(layout.migrate_vma_end)),
        npages,
        collected: field::<C, u64>(arguments, global!(layout.migrate_vma_cpages)),
        result,
        unlocked: locks.unlocked,
        unlocked_page: locks.first,
        duration,
    });
}

/// `move_to_new_folio` (5.18 on) or `move_to_new_page` at return, when it failed.
#[inline(always)]
pub fn moved<C: Context>(call: &mut Call<'_, C>) {
    let (page, mode) = (call.argument(Argument::Src), call.argument(Argument::Mode) as u32);
    let result = call.result() as i32;
    if result == 0 {
        return;
    }
    let Some(room) = call.reserve(Kind::MigrateRefused) else { return };
    let state = page::state::<C::Memory>(page);
    let refcount = Probed::load(page, global!(layout.page_refcount)).unwrap_or(MAPCOUNT_UNKNOWN);
    room.send(MigrateRefused { page, flags: state.flags, mapcount: state.mapcount, refcount, result, mode });
}
