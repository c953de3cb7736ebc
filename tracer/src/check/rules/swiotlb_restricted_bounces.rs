//! A device whose pool is forced never maps directly.

use tracer_common::event::{BITS_UNKNOWN, Body, Kind};

use super::{Rule, stateless};
use crate::check::Severity;
use crate::check::facts::Facts;
use crate::check::findings::RuleContext;
use crate::check::info::{Need, RuleInfo};
use crate::event::Event;

pub const INFO: RuleInfo = RuleInfo {
    name: "swiotlb-restricted-bounces",
    title: "a device with a restricted or forced pool never maps memory directly",
    severity: Severity::Broken,
    statement: "With a restricted pool (or swiotlb=force, or in a confidential guest) a device must reach no other \
                memory, so every streaming mapping must bounce. A direct mapping gives it memory that it must not \
                access, or in a confidential guest cannot. Checked: the address of every mapping of a device whose \
                pool has force_bounce.",
    citations: &[
        "6.12 kernel/dma/direct.h, dma_direct_map_page: if (is_swiotlb_force_bounce(dev)) return swiotlb_map()",
        "7.3 kernel/dma/direct.c, dma_direct_map_phys: the same, and an error for DMA_ATTR_MMIO and \
         DMA_ATTR_REQUIRE_COHERENT",
        "6.12 kernel/dma/swiotlb.c, rmem_swiotlb_device_init: force_bounce = true",
    ],
    kernels: "5.15 on, with CONFIG_SWIOTLB",
    needs: &[
        Need::required(Kind::DmaMapDirect, "mappings that did not bounce"),
        Need::required(Kind::SwiotlbMapSingle, "mappings that did"),
    ],
    exceptions: &[
        "Devices behind an IOMMU or with their own DMA operations do not use dma-direct.",
        "Coherent memory under swiotlb=force, MMIO (dma_map_resource) and peer-to-peer memory do not bounce.",
    ],
    example: "dma_map_direct: mapped without a bounce; device=0000:00:04.0 original=0x12345000 dma_address=0x12345000 \
              size=512 direction=DMA_TO_DEVICE pool_flags=force_bounce",
    idle: "no device with a restricted or forced pool mapped anything",
};

/// `pool_bits`: the pool makes every mapping bounce.
const FORCE_BOUNCE: u32 = 1;

pub fn make(_: &Facts) -> Box<dyn Rule> {
    stateless(judge)
}

fn judge(event: &Event, context: &mut RuleContext<'_>) {
    match &event.body {
        Body::SwiotlbMapSingle(map) if map.pool_bits == BITS_UNKNOWN => {
            context.unreadable("whether the device's pool makes every mapping bounce");
        }
        Body::SwiotlbMapSingle(map) if map.pool_bits & FORCE_BOUNCE != 0 => context.held(),
        Body::DmaMapDirect(_) => {
            context.violated(event, "mapped without a bounce");
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use tracer_common::event::{BITS_UNKNOWN, Body, DmaMapDirect, Kind, SwiotlbMapSingle};

    use super::INFO;
    use crate::check::Outcome;
    use crate::check::testing::*;
    use crate::probe::{AttachMethod, Outcome as PointOutcome, PointReport};

    #[test]
    fn forced_pools_bounce() {
        let forced = Body::SwiotlbMapSingle(SwiotlbMapSingle { pool_bits: 1, ..map(0) });
        passes(INFO.name, 1, [forced]);
        is_idle(INFO.name, [Body::SwiotlbMapSingle(map(0))]);
        let direct = Body::DmaMapDirect(DmaMapDirect {
            device: DEVICE,
            pool: POOL,
            original: 0x1234_5000,
            dma_address: 0x1234_5000,
            size: 512,
            direction: 1,
            pool_bits: 1,
        });
        let verdict = violates(INFO.name, "without a bounce", [forced, direct]);
        assert_eq!(verdict.evidence[0].device.as_deref(), Some("0xffff8880020010c8"));
        let unread = Body::SwiotlbMapSingle(SwiotlbMapSingle { pool_bits: BITS_UNKNOWN, ..map(0) });
        is_open(INFO.name, "every mapping bounce could not be read", &Session::new().event(unread));
        is_open(INFO.name, "not watched", &Session::new().event(forced).without(Kind::DmaMapDirect));
    }

    #[test]
    fn single_mappings_do_not_stand_for_lists() {
        let forced = Body::SwiotlbMapSingle(SwiotlbMapSingle { pool_bits: 1, ..map(0) });
        let report = |point: &str, outcome| PointReport {
            point: point.to_owned(),
            family: "swiotlb".to_owned(),
            events: vec![Kind::DmaMapDirect.name().to_owned()],
            outcome,
            attempts: Vec::new(),
        };
        let attached =
            |symbol: &str| PointOutcome::Attached { symbol: symbol.to_owned(), method: AttachMethod::Fentry };
        let blind =
            || PointOutcome::Unresolved { missing: vec!["the struct page of a page frame".to_owned()] };
        let session = |single, list| {
            Session::new().event(forced).header(|header| {
                header.probes.retain(|report| !report.makes(Kind::DmaMapDirect));
                header.probes.extend([report("dma_map_phys", single), report("dma_direct_map_sg", list)]);
            })
        };
        let both = session(attached("dma_map_phys"), attached("dma_direct_map_sg"));
        assert_eq!(counts(&both.rule(INFO.name)), (Outcome::Pass, 1, 0));
        for one in [
            session(attached("dma_map_phys"), blind()),
            session(blind(), attached("dma_direct_map_sg")),
            session(blind(), blind()),
        ] {
            is_open(INFO.name, "the struct page of a page frame", &one);
        }
    }
}
