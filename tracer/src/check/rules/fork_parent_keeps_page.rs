//! What fork restored stays with the parent.

use tracer_common::event::{Body, Kind, UNCOUNTED};

use super::{Rule, stateless};
use crate::check::Severity;
use crate::check::facts::Facts;
use crate::check::findings::RuleContext;
use crate::check::info::{Need, RuleInfo};
use crate::event::Event;

pub const INFO: RuleInfo = RuleInfo {
    name: "fork-parent-keeps-page",
    title: "when fork has copied a range, the parent still maps the pages that it restored there",
    severity: Severity::Corruption,
    statement: "The page that a device had exclusively belongs to the parent. After the restore, fork maps it in both \
                processes, or gives the child its own copy if the page may be pinned; it never leaves the parent with \
                another page or none, because then a driver's reference and the parent's memory would diverge. \
                Checked: both entries of every page restored by the copy, when copy_page_range returns.",
    citations: &[
        "6.12 mm/memory.c, copy_present_ptes: the page is mapped by parent and child, or copied for the child",
        "6.12 mm/memory.c, copy_nonpresent_pte: restored in the parent, then copied as a present pte",
    ],
    kernels: "5.14 on, with CONFIG_DEVICE_PRIVATE",
    needs: &[
        Need::required(Kind::CopyPageRange, "the entries of parent and child as the copy returns"),
        Need::required(Kind::RestoreExclusive, "which pages the copy restored").occasion(),
        Need::optional(Kind::MakeDeviceExclusive, "whether any page was exclusive").occasion(),
    ],
    exceptions: &[
        "The child may get its own copy immediately, if the page may be pinned.",
        "After the return, whoever writes first, parent included, gets a new page: that is copy-on-write.",
        "A swap or migration entry in the parent comes from reclaim or compaction.",
    ],
    example: "copy_page_range: the child has taken 1 page from the parent; address=0x7f1234567000 result=0 restored=1 \
              compared=1 taken=1",
    idle: "no process forked while it had device-exclusive pages",
};

pub fn make(_: &Facts) -> Box<dyn Rule> {
    stateless(judge)
}

fn judge(event: &Event, context: &mut RuleContext<'_>) {
    let Body::CopyPageRange(copy) = &event.body else { return };
    if copy.compared == UNCOUNTED {
        if copy.restored > 0 {
            context.unreadable("the entries of restored pages");
        }
    } else if copy.taken > 0 {
        let pages = if copy.taken == 1 { "page" } else { "pages" };
        let what = format!("the child has taken {} {pages} from the parent", copy.taken);
        if let Some(evidence) = context.violated(event, what) {
            evidence.address = Some(copy.first_taken);
        }
    } else if copy.compared < copy.restored && copy.result == 0 {
        context.unreadable("the entries of all restored pages");
    } else if copy.compared > 0 {
        context.held();
    }
}

#[cfg(test)]
mod tests {
    use tracer_common::event::{Body, CopyPageRange, Kind, UNCOUNTED};

    use super::INFO;
    use crate::check::testing::*;
    use tracer_common::family::Family;

    fn compared(restored: u32, compared: u32, taken: u32) -> Body {
        let first_taken = if taken > 0 { ADDRESS + 0x3000 } else { 0 };
        Body::CopyPageRange(CopyPageRange {
            restored,
            exclusive_left: 0,
            exclusive_copied: 0,
            compared,
            taken,
            first_taken,
            ..copy()
        })
    }

    #[test]
    fn kept_pages_pass_and_taken_ones_do_not() {
        passes(INFO.name, 1, [compared(2, 2, 0)]);
        is_idle(INFO.name, [compared(0, 0, 0), Body::CopyPageRange(copy())]);
        let verdict = violates(INFO.name, "taken 1 page ", [compared(2, 2, 1)]);
        assert_eq!(verdict.evidence[0].address, Some(ADDRESS + 0x3000));
    }

    #[test]
    fn what_is_not_seen_is_open() {
        is_open(INFO.name, "restored pages", &Session::new().event(compared(1, UNCOUNTED, 0)));
        is_open(INFO.name, "all restored pages", &Session::new().event(compared(2000, 1024, 0)));
        let good = Session::new().event(compared(1, 1, 0));
        is_open(INFO.name, "exclusive events were lost", &good.clone().loss(Some(Family::Exclusive)));
        is_open(INFO.name, "copy_page_range is not watched", &good.without(Kind::CopyPageRange));
    }
}
