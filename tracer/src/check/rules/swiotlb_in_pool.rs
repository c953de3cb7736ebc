//! Bounce buffers lie in their pool and do not overlap.

use tracer_common::event::{Body, Kind, MAPPING_ERROR, SwiotlbMap, SwiotlbMapSingle, UNKNOWN};

use super::Rule;
use crate::check::Severity;
use crate::check::facts::Facts;
use crate::check::findings::RuleContext;
use crate::check::info::{Need, RuleInfo};
use crate::check::state::Mapping;
use crate::event::{Event, Header};

pub const INFO: RuleInfo = RuleInfo {
    name: "swiotlb-in-pool",
    title: "a bounce buffer lies in its device's pool, and its slots belong to no other live mapping",
    severity: Severity::Corruption,
    statement: "The pool is the only memory that a restricted device may access, and a slot has one owner at a time: a \
                buffer outside the pool, or one that overlaps another, mixes the data of two transfers. Checked: each \
                buffer that swiotlb_tbl_map_single allocates, against the pool's bounds and all mappings known to be \
                live.",
    citations: &[
        "6.12 kernel/dma/swiotlb.c, swiotlb_search_pool_area and slot_addr: pool->start + (index << IO_TLB_SHIFT)",
        "6.12 kernel/dma/swiotlb.c, __swiotlb_find_pool: start <= paddr < end",
        "04867a7a3332 (6.8.2) double allocation of slots; 53c87e846e33 (6.6.3) slots behind a pool's end",
    ],
    kernels: "5.15 on, with CONFIG_SWIOTLB",
    needs: &[
        Need::required(Kind::SwiotlbMapSingle, "the buffers, and the pool's bounds").occasion(),
        Need::required(Kind::SwiotlbUnmapSingle, "which slots were given back"),
        Need::required(Kind::SwiotlbMap, "mappings that the kernel undoes itself"),
    ],
    exceptions: &[
        "With CONFIG_SWIOTLB_DYNAMIC a device may have more pools: bounds are not judged.",
        "The slots of a mapping that swiotlb_map undid may be allocated again before that is reported.",
        "Mappings made before the session are unknown.",
    ],
    example: "swiotlb_map_single: the buffer overlaps one that is still mapped; device=0000:00:04.0 bounce=0x7c000800 \
              size=4096; before: mapped at 0x7c000000, 4096 bytes",
    idle: "nothing was bounced",
};

/// Most overlaps whose other side may still turn out to be none.
const MOST_OPEN: usize = 1 << 10;

/// How long swiotlb_map may take to return, nanoseconds.
const ANSWER_TIME: u64 = 1_000_000_000;

pub fn make(facts: &Facts) -> Box<dyn Rule> {
    Box::new(InPool { judges_bounds: !facts.has_dynamic_pools, open: Vec::new() })
}

struct InPool {
    judges_bounds: bool,
    open: Vec<Overlap>,
}

/// A buffer that overlaps one whose `swiotlb_map` has not returned.
struct Overlap {
    event: Event,
    address: u64,
    holder: Mapping,
}

impl Rule for InPool {
    #[inline]
    fn event(&mut self, event: &Event, context: &mut RuleContext<'_>) {
        match &event.body {
            Body::SwiotlbMapSingle(map) if map.bounce != MAPPING_ERROR => self.mapped(event, map, context),
            Body::SwiotlbMap(map) if !self.open.is_empty() => self.answered(&event.header, map, context),
            _ => {}
        }
    }

    fn lost(&mut self) {
        self.open.clear();
    }

    fn finish(&mut self, end: u64, context: &mut RuleContext<'_>) {
        for overlap in std::mem::take(&mut self.open) {
            // dma-iommu and xen-swiotlb take slots without swiotlb_map: no answer is to come.
            if end.saturating_sub(overlap.event.header.time) >= ANSWER_TIME {
                overlap.tell(context);
            } else {
                context.findings.evaluated += 1;
                context.findings.notes.push(
                    "an overlap in the last second was not judged: the mapping that it overlaps may have failed"
                        .to_owned(),
                );
            }
        }
        if !self.judges_bounds {
            context.findings.notes.push(
                "this kernel adds pools when one is full (CONFIG_SWIOTLB_DYNAMIC): bounds were not judged"
                    .to_owned(),
            );
        }
    }
}

impl InPool {
    #[inline]
    fn mapped(&mut self, event: &Event, map: &SwiotlbMapSingle, context: &mut RuleContext<'_>) {
        let end = map.bounce.saturating_add(map.size);
        let is_bounded = map.pool_start != UNKNOWN && map.pool_end != UNKNOWN;
        let has_bounds = self.judges_bounds && is_bounded;
        let is_outside = has_bounds && (map.bounce < map.pool_start || end > map.pool_end);
        let overlaps = context.stream.state.swiotlb.overlaps(map.bounce, map.size);
        if is_outside {
            let what = format!("the buffer is not within the pool {:#x}-{:#x}", map.pool_start, map.pool_end);
            context.violated(event, what);
        } else if overlaps {
            self.overlaps(event, map, context);
        } else if self.judges_bounds && !is_bounded {
            context.unreadable("the bounds of the device's pool");
        } else {
            context.held();
        }
    }

    #[cold]
    fn overlaps(&mut self, event: &Event, map: &SwiotlbMapSingle, context: &mut RuleContext<'_>) {
        let Some((address, holder)) = context.stream.state.swiotlb.holder(map.bounce, map.size) else {
            return context.held();
        };
        let overlap = Overlap { event: *event, address, holder };
        if holder.is_answered || self.open.len() >= MOST_OPEN {
            overlap.tell(context);
        } else {
            self.open.push(overlap);
        }
    }

    fn answered(&mut self, header: &Header, map: &SwiotlbMap, context: &mut RuleContext<'_>) {
        let Some((bounce, time)) = context.stream.state.swiotlb.answered_by(header, map) else { return };
        let is_of = |overlap: &mut Overlap| overlap.address == bounce && overlap.holder.made.time == time;
        for overlap in self.open.extract_if(.., is_of) {
            if map.dma_address == MAPPING_ERROR {
                context.held();
            } else {
                overlap.tell(context);
            }
        }
    }
}

impl Overlap {
    fn tell(&self, context: &mut RuleContext<'_>) {
        let did = format!("mapped at {:#x}, {} bytes", self.address, self.holder.size);
        let what = "the buffer overlaps one that is still mapped";
        context.contradicted(&self.event, what, &self.holder.made, &did);
    }
}

#[cfg(test)]
mod tests {
    use tracer_common::event::{Body, Kind, MAPPING_ERROR, SwiotlbMap, SwiotlbMapSingle, UNKNOWN};

    use super::INFO;
    use crate::check::Outcome;
    use crate::check::testing::*;
    use tracer_common::family::Family;

    fn single(change: SwiotlbMapSingle) -> Body {
        Body::SwiotlbMapSingle(change)
    }

    #[test]
    fn separate_buffers_in_the_pool_pass() {
        let last = SwiotlbMapSingle { bounce: POOL_END - 4096, ..map(0) };
        passes(INFO.name, 3, [single(map(0)), single(map(0x1000)), single(last)]);
        let free = Body::SwiotlbUnmapSingle(unmap(0));
        passes(INFO.name, 2, [single(map(0)), Body::SwiotlbMap(answer(0)), free, single(map(0))]);
    }

    #[test]
    fn buffers_outside_do_not() {
        for bounce in [POOL_START - 1, POOL_END, POOL_END - 4095] {
            violates(INFO.name, "not within the pool", [single(SwiotlbMapSingle { bounce, ..map(0) })]);
        }
        let outside = single(SwiotlbMapSingle { bounce: POOL_END, ..map(0) });
        let dynamic = Session::new().event(outside).header(|header| {
            header.kernel.layout.insert("pool_dynamic".to_owned(), 96);
        });
        let verdict = dynamic.rule(INFO.name);
        assert_eq!((verdict.outcome, verdict.notes.len()), (Outcome::Pass, 1));
        let unknown = SwiotlbMapSingle { pool_start: UNKNOWN, pool_end: UNKNOWN, bounce: 1, ..map(0) };
        is_open(INFO.name, "bounds of the device's pool", &Session::new().event(single(unknown)));
    }

    #[test]
    fn overlaps_with_a_mapping_that_its_caller_has() {
        let held = [single(map(0)), Body::SwiotlbMap(answer(0))];
        for offset in [0, 0xc00] {
            let bodies = held.into_iter().chain([single(map(offset))]);
            let verdict = violates(INFO.name, "overlaps", bodies);
            assert!(verdict.evidence[0].before[0].what.contains("0x7c000000, 4096 bytes"));
        }
    }

    #[test]
    fn a_mapping_that_failed_may_be_handed_out_again_before_that_is_told() {
        let again = Session::new().event(single(map(0))).tid(9).event(single(map(0))).tid(812);
        let failed = SwiotlbMap { dma_address: MAPPING_ERROR, ..answer(0) };
        let verdict = again.clone().event(Body::SwiotlbMap(failed)).rule(INFO.name);
        assert_eq!(counts(&verdict), (Outcome::Pass, 2, 0));
        let both = again.clone().event(Body::SwiotlbMap(answer(0))).rule(INFO.name);
        assert_eq!(counts(&both), (Outcome::Violated, 2, 1));
        // Nobody answers, as with dma-iommu.
        assert_eq!(again.clone().rule(INFO.name).outcome, Outcome::Pass);
        assert_eq!(again.pause(2_000_000_000).rule(INFO.name).outcome, Outcome::Violated);
    }

    #[test]
    fn losses_make_no_violations() {
        let held = Session::new().events([single(map(0)), Body::SwiotlbMap(answer(0))]);
        let lost = held.clone().loss(Some(Family::Swiotlb)).event(single(map(0)));
        is_open(INFO.name, "swiotlb events were lost", &lost);
        is_open(INFO.name, "1 contradictions", &held.event(single(map(0))).missed(Family::Swiotlb));
        is_open(
            INFO.name,
            "not watched",
            &Session::new().event(single(map(0))).without(Kind::SwiotlbUnmapSingle),
        );
    }
}
