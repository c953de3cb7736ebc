//! Exclusive pages are handed out locked and referenced.

use tracer_common::event::{Body, ExclusivePage, Kind, MAPCOUNT_UNKNOWN};

use super::{Rule, stateless};
use crate::check::Severity;
use crate::check::facts::{Facts, Maker};
use crate::check::findings::RuleContext;
use crate::check::info::{Need, RuleInfo};
use crate::event::Event;

pub const INFO: RuleInfo = RuleInfo {
    name: "exclusive-returned-locked",
    title: "pages that become exclusive are handed to the driver locked, referenced, and with the promised mapcount",
    severity: Severity::Broken,
    statement: "Until the driver has set up its own page table, the page lock blocks CPU faults, and the driver's \
                reference, in addition to that of the entry, keeps the page from being freed. \
                make_device_exclusive_range (up to 6.14) promises a page without mappings; make_device_exclusive (6.15 \
                on) does not change the mapcount. Checked: lock, references and mappings of each page when the call \
                returns.",
    citations: &[
        "6.12 mm/rmap.c, make_device_exclusive_range: locks them; the driver drops the page lock and reference",
        "6.12 mm/rmap.c, folio_make_device_exclusive: return args.valid && !folio_mapcount(folio)",
        "7.3 mm/rmap.c, make_device_exclusive (6.15 on): the folio is locked and referenced, the mapping kept",
    ],
    kernels: "5.14 on, with CONFIG_DEVICE_PRIVATE",
    needs: &[
        Need::whole(Kind::ExclusivePage, "the page as the call returns"),
        Need::optional(Kind::ExclusiveZap, "zaps that drop the entry at the same time"),
        Need::optional(Kind::MakeDeviceExclusive, "pages that were not looked at").occasion(),
    ],
    exceptions: &[
        "MADV_DONTNEED in another thread may drop the entry and its reference before the call returns.",
        "The mapcount of large folios includes other pages: up to 6.14 it is not judged, later it must not be 0; \
         before 6.10 the kernel keeps no single count.",
        "Since 6.15 the page may be any page of a large folio: lock, references and mappings are the folio's.",
    ],
    example: "exclusive_page: the page is not locked; address=0x7f1234567000 pfn=0x12345 flags=uptodate|swapbacked \
              mapcount=0 refcount=2",
    idle: "no page was made device-exclusive",
};

pub fn make(_: &Facts) -> Box<dyn Rule> {
    stateless(judge)
}

fn judge(event: &Event, context: &mut RuleContext<'_>) {
    match &event.body {
        Body::ExclusivePage(page) => judge_page(event, page, context),
        Body::MakeDeviceExclusive(make) if make.unchecked > 0 => {
            context.unreadable("pages beyond the first 128 of one call");
        }
        _ => {}
    }
}

fn judge_page(event: &Event, page: &ExclusivePage, context: &mut RuleContext<'_>) {
    let facts = context.stream.facts;
    let is_zapped = || context.stream.state.exclusive.may_be_zapped(&event.header, page.mm, page.address);
    let (Some(is_locked), Some(is_head)) = (facts.is_locked(page.flags), facts.knows_head(page.flags)) else {
        return context.unreadable("the page's flags");
    };
    let has_mapcount = page.mapcount != MAPCOUNT_UNKNOWN;
    if !is_locked {
        context.violated(event, "the page is not locked");
    } else if page.refcount == MAPCOUNT_UNKNOWN {
        context.unreadable("the page's references");
    } else if page.refcount < 2 && !is_zapped() {
        context.violated(event, format!("the page has {} references instead of 2 or more", page.refcount));
    } else if facts.maker == Some(Maker::Range) && !is_head && has_mapcount && page.mapcount != 0 {
        context.violated(event, format!("the page still has {} mappings", page.mapcount));
    } else if facts.maker == Some(Maker::Single) && has_mapcount && page.mapcount < 1 && !is_zapped() {
        context.violated(event, "the page has lost its mapping");
    } else if !has_mapcount && !is_head {
        context.unreadable("the page's mappings");
    } else {
        context.held();
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
    fn mapcounts_of_large_folios_count_other_pages_too() {
        let large = |mapcount| page(move |page| (page.flags, page.mapcount) = (FLAGS | HEAD, mapcount));
        for mapcount in [3, MAPCOUNT_UNKNOWN] {
            passes(INFO.name, 1, [large(mapcount)]);
        }
        let single = |mapcount| Session::new().single().event(large(mapcount)).rule(INFO.name);
        assert_eq!(counts(&single(512)), (Outcome::Pass, 1, 0));
        assert_eq!(counts(&single(0)), (Outcome::Violated, 1, 1));
    }

    #[test]
    fn what_was_not_read_is_not_guessed() {
        let open = |why, body| is_open(INFO.name, why, &Session::new().event(body));
        open("mappings could not be read", page(|page| page.mapcount = MAPCOUNT_UNKNOWN));
        open("references could not be read", page(|page| page.refcount = MAPCOUNT_UNKNOWN));
        let headless = Session::new()
            .header(|header| header.kernel.page_flags.retain(|flag| flag.name != "PG_head"))
            .event(page(|_| {}));
        is_open(INFO.name, "flags could not be read", &headless);
    }

    #[test]
    fn a_zap_of_another_thread_may_take_the_entrys_reference() {
        let zap = Body::ExclusiveZap(ExclusiveZap { mm: MM, start: ADDRESS, end: ADDRESS + 0x1000 });
        let session = Session::new().tid(813).event(zap).tid(812).event(page(|page| page.refcount = 1));
        assert_eq!(session.rule(INFO.name).outcome, Outcome::Pass);
        violates(INFO.name, "1 references", [zap, page(|page| page.refcount = 1)]);
    }
}
