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

#[cfg(test)]
mod tests {
    use tracer_common::event::{Body, ExclusivePage, ExclusiveZap, MAPCOUNT_UNKNOWN, UNKNOWN};

    use super::INFO;
    use crate::check::Outcome;
    use crate::check::testing::*;

    fn page(change: impl FnOnce(&mut ExclusivePage)) -> Body {
        let mut page = exclusive_page();
        change(&mut page);
        Body::ExclusivePage(page)
    }

    #[test]
    fn locked_and_referenced_pages_pass_others_do_not() {
        passes(INFO.name, 1, [page(|_| {})]);
        violates(INFO.name, "not locked", [page(|page| page.flags = UNLOCKED)]);
        violates(INFO.name, "1 references", [page(|page| page.refcount = 1)]);
        violates(INFO.name, "still has 1 mappings", [page(|page| page.mapcount = 1)]);
        is_open(INFO.name, "flags", &Session::new().event(page(|page| page.flags = UNKNOWN)));
    }

    #[test]
    fn later_kernels_keep_the_mapping() {
        let mapped = Session::new().single().event(page(|page| page.mapcount = 1)).rule(INFO.name);
        assert_eq!(mapped.outcome, Outcome::Pass);
        let lost = Session::new().single().event(page(|_| {})).rule(INFO.name);
        assert_eq!(counts(&lost), (Outcome::Violated, 1, 1));
    }

    #[test]
    fn mapcounts_of_large_folios_are_not_judged() {
        passes(
            INFO.name,
            2,
            [
                page(|page| (page.flags, page.mapcount) = (FLAGS | HEAD, 3)),
                page(|page| {
                    (page.mapcount, page.page, page.address) =
                        (MAPCOUNT_UNKNOWN, PAGE + 64, ADDRESS + 0x1000);
                }),
            ],
        );
    }

    #[test]
    fn a_zap_of_another_thread_may_take_the_entrys_reference() {
        let zap = Body::ExclusiveZap(ExclusiveZap { mm: MM, start: ADDRESS, end: ADDRESS + 0x1000 });
        let session = Session::new().tid(813).event(zap).tid(812).event(page(|page| page.refcount = 1));
        assert_eq!(session.rule(INFO.name).outcome, Outcome::Pass);
        violates(INFO.name, "1 references", [zap, page(|page| page.refcount = 1)]);
    }
}
