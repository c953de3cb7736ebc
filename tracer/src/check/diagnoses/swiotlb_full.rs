//! Why swiotlb had no room.

use std::collections::BTreeMap;

use tracer_common::event::{Body, Kind, MAPPING_ERROR, SwiotlbMapSingle, UNKNOWN};

use super::{Diagnose, counted};
use crate::check::info::{DiagnosisInfo, Need};
use crate::check::stream_context::StreamContext;
use crate::check::{Diagnosis, Evidence};
use crate::event::Event;

pub const INFO: DiagnosisInfo = DiagnosisInfo {
    name: "swiotlb-full",
    title: "a mapping failed because swiotlb had no room for it",
    statement: "The kernel says \"swiotlb buffer is full\" whatever the reason. There are three: the pool is exhausted; \
                the mapping is larger than 256 KiB (128 slots of 2 KiB in a row), which no pool can serve; or there are \
                free slots, but none in a row with the alignment that was asked for. Reported by device and reason, \
                from the slots in use, the size and the alignment of each failure.",
    citations: &[
        "6.12 kernel/dma/swiotlb.c, swiotlb_tbl_map_single: swiotlb buffer is full",
        "6.12 include/linux/swiotlb.h, IO_TLB_SEGSIZE, IO_TLB_SHIFT",
    ],
    needs: &[Need::required(Kind::SwiotlbMapSingle, "the failures")],
    example: "swiotlb_map_single: the pool is exhausted; device=0000:00:04.0 bounce=error size=65536 used_slots=32760",
    remedy: "exhausted: a larger pool (swiotlb=SLOTS on the kernel's command line) or fewer requests at a time; too \
             large: limit the driver's segments (dma_max_mapping_size); alignment: a larger pool, more areas or \
             a smaller min_align_mask",
};

/// `IO_TLB_SEGSIZE` slots of 2 KiB.
const LARGEST: u64 = 256 << 10;

/// log2 of the bytes of a slot.
const SLOT_SHIFT: u32 = 11;

/// Most devices.
const MOST: usize = 64;

/// Why a mapping failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// Fewer slots are free than the mapping needs.
    Exhausted,
    /// It is larger than anything that swiotlb hands out.
    TooLarge,
    /// Slots are free, but none in a row with its alignment.
    Fragmented,
    /// The slots in use are not known.
    Unknown,
}

impl Reason {
    /// Of a mapping that failed.
    pub fn of(map: &SwiotlbMapSingle) -> Self {
        let size = if map.alloc_size == UNKNOWN { map.size } else { map.alloc_size.max(map.size) };
        if size > LARGEST {
            return Self::TooLarge;
        }
        if map.used_slots == UNKNOWN || map.pool_start == UNKNOWN || map.pool_end == UNKNOWN {
            return Self::Unknown;
        }
        let slots = map.pool_end.saturating_sub(map.pool_start) >> SLOT_SHIFT;
        let needed = size.div_ceil(1 << SLOT_SHIFT);
        if slots.saturating_sub(map.used_slots) < needed { Self::Exhausted } else { Self::Fragmented }
    }

    const fn text(self) -> &'static str {
        match self {
            Self::Exhausted => "the pool is exhausted",
            Self::TooLarge => "the mapping is larger than 256 KiB, the most that swiotlb hands out",
            Self::Fragmented => "there are free slots, but none in a row with that alignment",
            Self::Unknown => "the slots in use could not be read",
        }
    }
}

/// The failures by device and reason.
pub struct Full {
    limit: usize,
    cases: BTreeMap<(u64, Reason), (u64, Vec<Evidence>)>,
}

impl Full {
    /// Keeps that much evidence of each case.
    pub const fn new(limit: usize) -> Self {
        Self { limit, cases: BTreeMap::new() }
    }
}

impl Diagnose for Full {
    #[inline]
    fn event(&mut self, event: &Event, stream: &StreamContext<'_>) {
        let Body::SwiotlbMapSingle(map) = &event.body else { return };
        if map.bounce != MAPPING_ERROR {
            return;
        }
        let key = (map.device, Reason::of(map));
        if self.cases.len() >= MOST && !self.cases.contains_key(&key) {
            return;
        }
        let (count, evidence) = self.cases.entry(key).or_default();
        *count += 1;
        if evidence.len() < self.limit {
            evidence.push(stream.evidence(event, key.1.text()));
        }
    }

    fn finish(&mut self, stream: &StreamContext<'_>) -> Vec<Diagnosis> {
        let mut found: Vec<Diagnosis> = std::mem::take(&mut self.cases)
            .into_iter()
            .map(|((device, reason), (count, evidence))| Diagnosis {
                name: INFO.name,
                summary: format!(
                    "{} of {} failed: {}",
                    counted(count, "mapping", "mappings"),
                    stream.device(device),
                    reason.text()
                ),
                count,
                evidence,
                remedy: INFO.remedy,
            })
            .collect();
        // `struct device` addresses differ from boot to boot.
        found.sort_by(|a, b| (b.count, &a.summary).cmp(&(a.count, &b.summary)));
        found
    }
}
