//! Exclusive pages are handed out locked and referenced.

use tracer_common::event::{Body, ExclusivePage, Kind, MAPCOUNT_UNKNOWN, UNKNOWN};

use super::{Rule, stateless};
use crate::check::Severity;
use crate::check::facts::{Facts, Maker};
use crate::check::info::{Need, RuleInfo};
use crate::check::ledger::Bench;
use crate::event::Event;

pub const INFO: RuleInfo = RuleInfo {
    name: "exclusive-returned-locked",
    title: "pages that become exclusive are handed to the driver locked, referenced, with the mapcount that is promised",
    severity: Severity::Broken,
    statement: "Until the driver has set up its own page table the page's lock keeps the CPU away, and the driver's \
                reference, beside that of the entry, keeps the page. make_device_exclusive_range (to 6.14) promises a \
                page without mappings; make_device_exclusive (6.15 on) leaves the mapcount alone. Looked at: lock, \
                references and mappings of each page as the call returns.",
    citations: &[
        "6.12 mm/rmap.c, make_device_exclusive_range: locks them; the driver drops the page lock and reference",
        "6.12 mm/rmap.c, folio_make_device_exclusive: return args.valid && !folio_mapcount(folio)",
        "6.15 mm/rmap.c, make_device_exclusive: the folio is locked and referenced, the mapping kept",
    ],
    kernels: "5.14 on, with CONFIG_DEVICE_PRIVATE",
    needs: &[
        Need::whole(Kind::ExclusivePage, "the page as the call returns"),
        Need::optional(Kind::ExclusiveZap, "zaps that drop the entry at the same time"),
        Need::optional(Kind::MakeDeviceExclusive, "pages that were not looked at"),
    ],
    exceptions: &[
        "MADV_DONTNEED of another thread may drop the entry, and its reference, before the call returns.",
        "The mapcount of large folios counts other pages too and is not judged.",
    ],
    example: "exclusive_page: the page is not locked; address=0x7f1234567000 pfn=0x12345 flags=uptodate|swapbacked \
              mapcount=0 refcount=2",
    idle: "no page was made device-exclusive",
};

pub fn make(_: &Facts) -> Box<dyn Rule> {
    stateless(judge)
}

fn judge(event: &Event, bench: &mut Bench<'_>) {
    match &event.body {
        Body::ExclusivePage(page) => judge_page(event, page, bench),
        Body::MakeDeviceExclusive(make) if make.unchecked > 0 => {
            bench.unreadable("pages beyond the first 128 of one call");
        }
        _ => {}
    }
}

fn judge_page(event: &Event, page: &ExclusivePage, bench: &mut Bench<'_>) {
    let facts = bench.scene.facts;
    let is_zapped = || bench.scene.state.exclusive.may_be_zapped(&event.header, page.mm, page.address);
    let is_single = page.flags != UNKNOWN && !facts.is_head(page.flags) && page.mapcount != MAPCOUNT_UNKNOWN;
    if facts.is_locked(page.flags) == Some(false) {
        bench.violated(event, "the page is not locked");
    } else if page.refcount < 2 && !is_zapped() {
        // MAPCOUNT_UNKNOWN stands for an unread count here, too.
        if page.refcount == MAPCOUNT_UNKNOWN {
            bench.unreadable("the page's references");
        } else {
            bench.violated(event, format!("the page has {} references instead of 2 or more", page.refcount));
        }
    } else if is_single && facts.maker == Some(Maker::Range) && page.mapcount != 0 {
        bench.violated(event, format!("the page still has {} mappings", page.mapcount));
    } else if is_single && facts.maker == Some(Maker::Single) && page.mapcount < 1 && !is_zapped() {
        bench.violated(event, "the page has lost its mapping");
    } else if facts.is_locked(page.flags).is_some() {
        bench.held();
    } else {
        bench.unreadable("the page's flags");
    }
}
