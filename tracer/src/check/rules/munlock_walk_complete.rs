//! A page counts as not mlocked only after a walk that found no locked VMA.

use rustc_hash::FxHashMap;
use tracer_common::event::{Body, Header, Kind};

use super::Rule;
use crate::check::Severity;
use crate::check::facts::Facts;
use crate::check::findings::RuleContext;
use crate::check::info::{Need, RuleInfo};
use crate::event::Event;

pub const INFO: RuleInfo = RuleInfo {
    name: "munlock-walk-complete",
    title: "munlock leaves a page mlocked if its walk found a VM_LOCKED VMA",
    severity: Severity::Broken,
    statement: "Linux 5.14 to 5.17 clears PG_mlocked at munlock and then walks all mappings of the page; the first \
                VM_LOCKED VMA sets it again and ends the walk. Only a page whose VMAs were all visited counts as not \
                mlocked. Checked: the visit that ended the walk, and PG_mlocked when page_mlock returns.",
    citations: &[
        "5.15 mm/rmap.c, page_mlock: returned with PG_mlocked cleared if it is not mapped by any locked vmas",
        "5.15 mm/rmap.c, page_mlock_one: mlock_vma_page, return false",
    ],
    kernels: "5.14 to 5.17",
    needs: &[
        Need::required(Kind::PageMlock, "PG_mlocked after the walk").occasion(),
        Need::required(Kind::PageMlockOne, "the visit that ended it"),
    ],
    exceptions: &[
        "Pages with one mapping, and huge pages, are not walked.",
        "A walk may end without a visit if the page is unmapped meanwhile.",
        "PG_mlocked may be set by another task though no visit ended the walk.",
    ],
    example: "page_mlock: the walk found a locked VMA, but the page is not mlocked; pfn=0x12345 flags=locked|uptodate \
              mapcount=2",
    idle: "no page with several mappings was munlocked, or the kernel is not 5.14 to 5.17",
};

/// Most walks at a time; there is one per thread at most.
const MOST_WALKS: usize = 1 << 12;

pub fn make(_: &Facts) -> Box<dyn Rule> {
    Box::<WalkComplete>::default()
}

/// The visit that ended each thread's walk, with its page.
#[derive(Default)]
struct WalkComplete {
    stopped: FxHashMap<u32, (u64, Header)>,
}

impl Rule for WalkComplete {
    fn event(&mut self, event: &Event, context: &mut RuleContext<'_>) {
        let tid = event.header.tid;
        match &event.body {
            Body::PageMlockOne(visit) if visit.result == 0 => {
                if self.stopped.len() >= MOST_WALKS {
                    self.stopped.clear();
                }
                self.stopped.insert(tid, (visit.page, event.header));
            }
            Body::PageMlockOne(_) => {
                self.stopped.remove(&tid);
            }
            Body::PageMlock(walk) => {
                let stopped = self.stopped.remove(&tid).filter(|(page, _)| *page == walk.page);
                match (stopped, context.stream.facts.is_mlocked(walk.flags)) {
                    (_, None) => context.unreadable("the page's flags"),
                    (Some((_, visit)), Some(false)) => {
                        let what = "the walk found a locked VMA, but the page is not mlocked";
                        context.contradicted(event, what, &visit, "found a VM_LOCKED mapping");
                    }
                    _ => context.held(),
                }
            }
            _ => {}
        }
    }

    fn lost(&mut self) {
        self.stopped.clear();
    }
}

#[cfg(test)]
mod tests {
    use tracer_common::event::{Body, Kind, UNKNOWN, VmaVisit};

    use super::INFO;
    use crate::check::Outcome;
    use crate::check::testing::*;
    use tracer_common::family::Family;

    fn visited(result: u32) -> Body {
        Body::PageMlockOne(VmaVisit { result, ..visit() })
    }

    fn walked(flags: u64) -> Body {
        Body::PageMlock(walk(flags, 0))
    }

    #[test]
    fn complete_walks_pass() {
        passes(
            INFO.name,
            2,
            [visited(1), visited(0), walked(FLAGS | MLOCKED), visited(1), visited(1), walked(FLAGS)],
        );
        // Another task mlocked it meanwhile; another walk's visit does not count.
        passes(INFO.name, 2, [visited(1), walked(FLAGS | MLOCKED), walked(FLAGS)]);
    }

    #[test]
    fn a_locked_vma_that_is_ignored() {
        let verdict = violates(INFO.name, "not mlocked", [visited(1), visited(0), walked(FLAGS)]);
        assert_eq!(verdict.evidence[0].before.len(), 1);
    }

    #[test]
    fn visits_are_of_their_thread_and_page() {
        let other_thread = Session::new().tid(7).event(visited(0)).tid(8).event(walked(FLAGS));
        assert_eq!(other_thread.rule(INFO.name).outcome, Outcome::Pass);
        let other = Body::PageMlockOne(VmaVisit { page: PAGE + 64, result: 0, ..visit() });
        passes(INFO.name, 1, [other, walked(FLAGS)]);
    }

    #[test]
    fn what_is_not_seen_is_open() {
        let lost = Session::new().event(visited(0)).loss(Some(Family::Mlock)).event(walked(FLAGS));
        is_open(INFO.name, "mlock events were lost", &lost);
        let late = Session::new().events([visited(0), walked(FLAGS)]).missed(Family::Mlock);
        is_open(INFO.name, "1 contradictions", &late);
        is_open(INFO.name, "flags", &Session::new().event(walked(UNKNOWN)));
        let modern = Session::new().impossible(Kind::PageMlock).impossible(Kind::PageMlockOne);
        assert_eq!(modern.rule(INFO.name).outcome, Outcome::NotExercised);
    }
}
