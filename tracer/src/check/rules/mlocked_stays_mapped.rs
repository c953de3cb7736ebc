//! Reclaim leaves mappings in locked VMAs alone.

use tracer_common::event::{Body, Kind, UNKNOWN, VmaVisit};

use super::Rule;
use crate::check::Severity;
use crate::check::facts::{Facts, VM_LOCKED};
use crate::check::findings::RuleContext;
use crate::check::info::{Need, RuleInfo};
use crate::event::{EntryState, Event};

pub const INFO: RuleInfo = RuleInfo {
    name: "mlocked-stays-mapped",
    title: "no mapping in a VM_LOCKED VMA is swapped out, unless the caller ignores mlock",
    severity: Severity::Broken,
    statement: "mlock(2) promises that the memory stays resident. A try_to_unmap walk without TTU_IGNORE_MLOCK that \
                finds a mapping in a VM_LOCKED VMA stops there and leaves it. Checked: the page-table entry before and \
                after each such visit. An entry that mapped the folio must not have become a swap entry.",
    citations: &[
        "6.12 mm/rmap.c, try_to_unmap_one: if the folio is in an mlock()d vma, we must not swap it out",
        "5.15 mm/rmap.c, try_to_unmap_one: mlock_vma_page, ret = false",
    ],
    kernels: "all",
    needs: &[
        Need::required(Kind::TryToUnmapOne, "the entry before and after the visit"),
        Need::optional(Kind::TryToUnmap, "whether any walk could visit one").occasion(),
    ],
    exceptions: &[
        "An entry that is gone was cleared by a concurrent munmap or MADV_DONTNEED.",
        "Migration always ignores mlock, as do truncation, memory failure and the splitting of file folios.",
        "A folio that is not mapped at that address is not counted as an evaluation.",
        "Huge pages of hugetlbfs are not swapped; since 7.3 another function visits them \
         (try_to_unmap_poisoned_hugetlb_one).",
    ],
    example: "try_to_unmap_one: a page in a locked VMA was swapped out; address=0x7f1234567000 pfn=0x12345 \
              vm_flags=VM_READ|VM_WRITE|VM_LOCKED entry_before=present entry_after=swap(type=0)",
    idle: "reclaim found no page in a locked VMA",
};

pub fn make(facts: &Facts) -> Box<dyn Rule> {
    Box::new(StaysMapped { ignore_mlock: facts.ttu_mask(&["TTU_IGNORE_MLOCK"]) })
}

struct StaysMapped {
    ignore_mlock: Option<u32>,
}

impl Rule for StaysMapped {
    #[inline]
    fn event(&mut self, event: &Event, context: &mut RuleContext<'_>) {
        let Body::TryToUnmapOne(visit) = &event.body else { return };
        if visit.vm_flags == UNKNOWN {
            return context.unreadable("the flags of the VMA");
        }
        if visit.vm_flags & VM_LOCKED == 0 {
            return;
        }
        match self.ignore_mlock {
            Some(ignores) if visit.ttu_flags & ignores != 0 => {}
            Some(_) => judge(event, visit, context),
            None => context.unreadable("TTU_IGNORE_MLOCK, which this kernel's BTF does not have"),
        }
    }
}

fn judge(event: &Event, visit: &VmaVisit, context: &mut RuleContext<'_>) {
    if visit.entry_before == UNKNOWN || visit.entry_after == UNKNOWN {
        return context.unreadable("the entry before or after the visit");
    }
    let facts = context.stream.facts;
    let (Some(before), Some(after)) = (facts.entry(visit.entry_before), facts.entry(visit.entry_after))
    else {
        return context.unreadable("page-table entries of this architecture");
    };
    let EntryState::Present { pfn } = before.state else { return };
    if !is_of_folio(pfn, visit, facts) {
        return;
    }
    if matches!(after.state, EntryState::Swap { kind: None, .. }) {
        context.violated(event, "a page in a locked VMA was swapped out");
    } else {
        context.held();
    }
}

/// Whether the page is one of the folio's, as far as that can be told.
fn is_of_folio(pfn: Option<u64>, visit: &VmaVisit, facts: &Facts) -> bool {
    let (Some(pfn), Some(first)) = (pfn, facts.decoder.pfn(visit.page)) else { return true };
    let pages = if facts.is_head(visit.flags) { facts.huge_pages } else { 1 };
    (first..first + pages).contains(&pfn)
}

#[cfg(test)]
mod tests {
    use tracer_common::event::{Body, Kind, UNKNOWN, VmaVisit};

    use super::INFO;
    use crate::check::Outcome;
    use crate::check::testing::*;
    use tracer_common::family::Family;

    fn visited(before: u64, after: u64) -> VmaVisit {
        VmaVisit { vm_flags: VM_FLAGS | VM_LOCKED, entry_before: before, entry_after: after, ..visit() }
    }

    #[test]
    fn mappings_that_stay_pass() {
        let present = present_entry(PFN);
        passes(INFO.name, 1, [Body::TryToUnmapOne(visited(present, present))]);
        // munmap at the same moment.
        passes(INFO.name, 1, [Body::TryToUnmapOne(visited(present, 0))]);
    }

    #[test]
    fn swapped_out_ones_do_not() {
        let visit = visited(present_entry(PFN), swapped_entry());
        let verdict = violates(INFO.name, "swapped out", [Body::TryToUnmapOne(visit)]);
        assert_eq!((verdict.evidence[0].address, verdict.evidence[0].pfn), (Some(ADDRESS), Some(PFN)));
    }

    #[test]
    fn what_is_legal_is_no_evaluation() {
        let swapped = swapped_entry();
        let bad = visited(present_entry(PFN), swapped);
        is_idle(
            INFO.name,
            [
                Body::TryToUnmapOne(VmaVisit { vm_flags: VM_FLAGS, ..bad }),
                Body::TryToUnmapOne(VmaVisit { ttu_flags: 8, ..bad }),
                Body::TryToUnmapOne(visited(present_entry(PFN + 1), swapped)),
                Body::TryToUnmapOne(visited(swapped, swapped)),
                Body::TryToUnmapOne(visited(0, swapped)),
            ],
        );
    }

    #[test]
    fn what_is_not_seen_is_open() {
        let unread = Session::new().event(Body::TryToUnmapOne(visited(UNKNOWN, UNKNOWN)));
        is_open(INFO.name, "before or after the visit", &unread);
        let unnamed = Session::new().header(|header| {
            header.kernel.enums.remove("ttu_flags");
        });
        let visited_there = unnamed.event(Body::TryToUnmapOne(visited(present_entry(PFN), swapped_entry())));
        is_open(INFO.name, "TTU_IGNORE_MLOCK", &visited_there);
        let blind = Session::new().without(Kind::TryToUnmapOne);
        let walked = blind.clone().event(Body::TryToUnmap(walk(FLAGS, 0)));
        is_open(INFO.name, "not watched", &walked);
        assert_eq!(blind.rule(INFO.name).outcome, Outcome::NotExercised, "no walk, no visit");
        is_open(INFO.name, "rmap events were lost", &Session::new().loss(Some(Family::Rmap)));
    }
}
