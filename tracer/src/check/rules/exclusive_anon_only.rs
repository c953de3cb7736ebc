//! Only anonymous pages outside of hugetlbfs become exclusive.

use tracer_common::event::{BITS_UNKNOWN, Body, Kind, UNKNOWN};

use super::{Rule, stateless};
use crate::check::Severity;
use crate::check::facts::{Facts, VM_HUGETLB};
use crate::check::findings::RuleContext;
use crate::check::info::{Need, RuleInfo};
use crate::event::Event;

/// `PAGE_MAPPING_ANON`, set for KSM pages too (5.15 to 6.12; `FOLIO_MAPPING_ANON` in 7.3, include/linux/page-flags.h).
const MAPPING_ANON: u32 = 1;

pub const INFO: RuleInfo = RuleInfo {
    name: "exclusive-anon-only",
    title: "only anonymous pages outside hugetlbfs become device-exclusive",
    severity: Severity::Broken,
    statement: "Writeback and the page cache do not handle exclusive entries, and hugetlb page tables cannot hold \
                them, so the kernel refuses both. Checked: the low bits of page->mapping of every page that was made \
                exclusive (of its folio's head, because since 6.15 it may be any page of a large folio), and up to \
                6.14 VM_HUGETLB of every VMA that was visited.",
    citations: &[
        "6.12 mm/rmap.c, folio_make_device_exclusive: !folio_test_anon(folio) || folio_test_hugetlb(folio)",
        "7.3 mm/rmap.c, make_device_exclusive: -EOPNOTSUPP for pages that are not anonymous or belong to hugetlbfs",
        "6.12 mm/gup.c, check_vma_flags: FOLL_SPLIT_PMD is refused in hugetlb VMAs (CVE-2025-22034)",
    ],
    kernels: "5.14 on, with CONFIG_DEVICE_PRIVATE",
    needs: &[
        Need::whole(Kind::ExclusivePage, "the page's mapping"),
        Need::optional(Kind::ExclusiveVma, "the flags of the VMAs that were visited (up to 6.14)"),
        Need::optional(Kind::MakeDeviceExclusive, "pages that were not looked at").occasion(),
    ],
    exceptions: &[
        "KSM pages are anonymous.",
        "5.15 does not check for hugetlb; it is still a violation, and a kernel bug, there.",
    ],
    example: "exclusive_page: the page is not anonymous; address=0x7f1234567000 pfn=0x12345 mapping=file mapcount=0",
    idle: "no page was made device-exclusive",
};

pub fn make(_: &Facts) -> Box<dyn Rule> {
    stateless(judge)
}

fn judge(event: &Event, context: &mut RuleContext<'_>) {
    match &event.body {
        Body::ExclusivePage(page) => {
            if page.mapping_bits == BITS_UNKNOWN {
                context.unreadable("the page's mapping");
            } else if page.mapping_bits & MAPPING_ANON == 0 {
                context.violated(event, "the page is not anonymous");
            } else {
                context.held();
            }
        }
        Body::ExclusiveVma(visit) if visit.vm_flags == UNKNOWN => context.unreadable("the flags of a VMA"),
        Body::ExclusiveVma(visit) if visit.vm_flags & VM_HUGETLB != 0 => {
            context.violated(event, "a VMA of hugetlbfs was visited to make its page exclusive");
        }
        Body::MakeDeviceExclusive(make) if make.unchecked > 0 => {
            context.unreadable("pages beyond the first 128 of one call");
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use tracer_common::event::{BITS_UNKNOWN, Body, ExclusivePage, Kind, MakeDeviceExclusive, VmaVisit};

    use super::{INFO, VM_HUGETLB};
    use crate::check::testing::*;
    use crate::probe::{AttachMethod, Outcome};

    #[test]
    fn anonymous_and_ksm_pages_pass_others_do_not() {
        for mapping_bits in [1, 3] {
            let page = ExclusivePage { mapping_bits, ..exclusive_page() };
            passes(INFO.name, 1, [Body::ExclusivePage(page)]);
        }
        let file = ExclusivePage { mapping_bits: 0, ..exclusive_page() };
        let verdict = violates(INFO.name, "not anonymous", [Body::ExclusivePage(file)]);
        assert_eq!(verdict.evidence[0].pfn, Some(PFN));
        let huge = VmaVisit { vm_flags: VM_FLAGS | VM_HUGETLB, ..visit() };
        violates(INFO.name, "hugetlbfs", [Body::ExclusiveVma(huge)]);
        is_idle(INFO.name, [Body::ExclusiveVma(visit())]);
    }

    #[test]
    fn a_fallback_that_does_not_tell_the_pages_is_not_enough() {
        let fallback = Outcome::Fallback {
            symbol: "make_device_exclusive_range".into(),
            method: AttachMethod::Fentry,
            lost: "which pages became exclusive".into(),
        };
        let make = MakeDeviceExclusive {
            mm: MM,
            start: ADDRESS,
            end: ADDRESS + 0x1000,
            owner: 0,
            result: 1,
            made: 1,
            unchecked: 0,
            duration: 0,
        };
        let session =
            Session::new().point(Kind::ExclusivePage, fallback).event(Body::MakeDeviceExclusive(make));
        is_open(INFO.name, "the fallback does not show which pages", &session);
        is_open(INFO.name, "is not watched", &Session::new().without(Kind::ExclusivePage));
        let verdict = Session::new().impossible(Kind::ExclusivePage).rule(INFO.name);
        assert_eq!(verdict.outcome, crate::check::Outcome::NotExercised);
    }

    #[test]
    fn a_mapping_that_was_not_read_is_none_of_a_file() {
        let page = ExclusivePage { mapping_bits: BITS_UNKNOWN, ..exclusive_page() };
        is_open(INFO.name, "mapping could not be read", &Session::new().event(Body::ExclusivePage(page)));
    }

    #[test]
    fn pages_that_were_not_looked_at_leave_it_open() {
        let make = MakeDeviceExclusive {
            mm: MM,
            start: ADDRESS,
            end: ADDRESS + 0x10_0000,
            owner: 0,
            result: 256,
            made: 128,
            unchecked: 128,
            duration: 0,
        };
        is_open(INFO.name, "first 128", &Session::new().event(Body::MakeDeviceExclusive(make)));
    }
}
