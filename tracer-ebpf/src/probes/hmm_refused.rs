//! Pages that a driver wanted to migrate and that the kernel gives up when it has collected them.
//!
//! `migrate_device_unmap` (6.12 mm/migrate_device.c) first goes over all pages: one that it could isolate, and that is
//! mapped or has too many references, it puts back on the LRU. Then it restores the page tables of each page that it
//! gave up. A page that was not put back before is one that it could not isolate, or a device's, which is on no LRU list.

use aya_ebpf::macros::map;
use aya_ebpf::maps::HashMap;
use tracer_common::event::{Kind, MAPCOUNT_UNKNOWN, RefusalReason, RefusalStep, UNKNOWN};
use tracer_common::point::{Argument, Point};

use crate::call::Call;
use crate::context::Context;
use crate::emit::is_asked;
use crate::entry::page_shift;
use crate::globals::global;
use crate::pairing::{self, EntryState};
use crate::probes::hmm_folio::{Asked, Folio, Refused, word};
use crate::probes::hmm_passed_over;

/// Of [`EntryState::kept`] of `migrate_vma_setup`: its argument.
const ARGS: usize = 0;
/// The same: 1 once pages that it passed over were looked for.
const LOOKED: usize = 1;
/// The same: 1 once it put a page back that could not be noted.
const UNNOTED: usize = 2;
/// The same: 1 once it gave a page up.
const GAVE_UP: usize = 3;

/// Pages that were put back, by thread and page, until their page tables are restored.
#[map]
static PUT_BACK: HashMap<[u64; 2], u64> = HashMap::with_max_entries(8 << 10, 0);

/// Keeps what a `migrate_vma_setup` is asked.
#[inline(always)]
pub fn keep_args<C: Context>(context: &C, begun: &mut EntryState) {
    begun.kept[ARGS] = context.argument(Point::MigrateVmaSetup, Argument::Args).unwrap_or(UNKNOWN);
}

/// Whether a `migrate_vma_setup` has collected: while it walks the page tables, where it may split huge pages, which
/// restores page tables too, it has seen fewer pages than it is asked for.
#[inline(always)]
fn has_collected(args: u64) -> bool {
    let (start, end) =
        (word(args, global!(layout.migrate_vma_start)), word(args, global!(layout.migrate_vma_end)));
    let npages = word(args, global!(layout.migrate_vma_npages));
    start != UNKNOWN && end != UNKNOWN && npages == end.wrapping_sub(start) >> page_shift()
}

/// `lru_add_drain` at entry: a `migrate_vma_setup` around it has collected, and unmaps next.
#[inline(always)]
pub fn drained<C: Context>(call: &mut Call<'_, C>) {
    if !is_asked(Kind::MigrateVmaRefused) {
        return;
    }
    let Some(setup) = pairing::inside(Point::MigrateVmaSetup, call.task) else { return };
    let args = setup.kept[ARGS];
    if setup.kept[LOOKED] == 0 && has_collected(args) {
        setup.kept[LOOKED] = 1;
        hmm_passed_over::look(call, args, hmm_passed_over::Place::Drain);
    }
}

/// `migrate_vma_setup` at return: if it collected nothing, it did not go on. Pages that it gave up look like those that it
/// passed over by now; where there are some, and nobody has looked in time, nobody looks.
#[inline(always)]
pub fn set_up<C: Context>(call: &mut Call<'_, C>) {
    if call.result() as i32 != 0 || !is_asked(Kind::MigrateVmaRefused) {
        return;
    }
    let Some([args, looked, _, gave_up]) = call.begun.as_ref().map(|begun| begun.kept) else { return };
    if looked == 0 && gave_up == 0 {
        hmm_passed_over::look(call, args, hmm_passed_over::Place::Return);
    }
}

/// `folio_putback_lru` at entry: the kernel has just compared mappings and references, and taken one more.
#[inline(always)]
pub fn put_back<C: Context>(call: &mut Call<'_, C>) {
    let Some(setup) = pairing::inside(Point::MigrateVmaSetup, call.task) else { return };
    let args = setup.kept[ARGS];
    let page = call.argument(Argument::Folio);
    if !has_collected(args) {
        return;
    }
    setup.kept[GAVE_UP] = 1;
    if PUT_BACK.insert(&[call.task.pid_tgid, page], &args, 0).is_err() {
        setup.kept[UNNOTED] = 1;
    }
    let folio = Folio::at(page);
    // That of the isolation, and the new one.
    let expected = folio.expected(2);
    let asked = Asked::by(args);
    let reason = folio.refused(expected);
    let Some(room) = call.reserve(Kind::MigrateVmaRefused) else { return };
    let address = folio.address(&asked);
    let pages = folio.pages();
    Refused { asked: &asked, address, folio: &folio, step: RefusalStep::Unmap, reason, expected, pages }
        .send(room);
}

/// `remove_migration_ptes` at entry: the kernel gives a page up that it had collected.
#[inline(always)]
pub fn given_up<C: Context>(call: &mut Call<'_, C>) {
    let page = call.argument(Argument::Src);
    if page != call.argument(Argument::Dst) {
        return;
    }
    let mut asked = Asked::BACK;
    if let Some(setup) = pairing::inside(Point::MigrateVmaSetup, call.task) {
        let args = setup.kept[ARGS];
        if !has_collected(args) {
            return;
        }
        setup.kept[GAVE_UP] = 1;
        let was_put_back = PUT_BACK.remove(&[call.task.pid_tgid, page]).is_ok();
        if was_put_back || setup.kept[UNNOTED] != 0 {
            return;
        }
        asked = Asked::by(args);
    } else if pairing::inside(Point::MigrateDeviceRange, call.task).is_none()
        && pairing::inside(Point::MigrateDevicePfns, call.task).is_none()
    {
        return;
    }
    let folio = Folio::at(page);
    // Which of both it is does not show.
    let (mut reason, mut expected) = (RefusalReason::Unknown, MAPCOUNT_UNKNOWN);
    if !asked.is_of_system() {
        // That of the collection, and the one that each page of a device has.
        expected = folio.expected(2 + asked.held_by_fault(page));
        reason = folio.refused(expected);
    } else if !asked.is_of_device() {
        expected = folio.expected(1);
        reason = RefusalReason::OffLru;
    }
    let Some(room) = call.reserve(Kind::MigrateVmaRefused) else { return };
    let address = folio.address(&asked);
    let pages = folio.pages();
    Refused { asked: &asked, address, folio: &folio, step: RefusalStep::Unmap, reason, expected, pages }
        .send(room);
}
