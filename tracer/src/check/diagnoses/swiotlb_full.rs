//! Why swiotlb had no room.

use std::collections::BTreeMap;

use tracer_common::event::{Body, Kind, MAPPING_ERROR};

use super::swiotlb_room::{Request, Room};
use super::{Diagnose, counted};
use crate::check::info::{DiagnosisInfo, Need};
use crate::check::stream_context::StreamContext;
use crate::check::{Diagnosis, Evidence};
use crate::event::Event;

pub const INFO: DiagnosisInfo = DiagnosisInfo {
    name: "swiotlb-full",
    title: "a mapping failed because swiotlb had no room for it",
    statement: "The kernel logs \"swiotlb buffer is full\" whatever the reason. There are three: the pool is \
                exhausted; the mapping is larger than 256 KiB (128 slots of 2 KiB in a row), which no pool can \
                serve; or there are free slots, but none in a row with the alignment that was asked for. Reported \
                by device, pool and reason, from the slots in use, the size and the alignment of each failure, \
                with the pool size that would have sufficed: for any one of the failed mappings (one more segment \
                of 128 slots), and for all of them in addition to what was in use. A restricted pool has one \
                area; other pools may have several, each of which needs its own room, so the size is a lower \
                bound there. Restricted pools also provide coherent memory; failed allocations of it are reported \
                in the same way.",
    citations: &[
        "6.12 kernel/dma/swiotlb.c, swiotlb_tbl_map_single: swiotlb buffer is full",
        "6.12 kernel/dma/swiotlb.c, rmem_swiotlb_device_init: Set Per-device io tlb area to one",
        "6.12 include/linux/swiotlb.h, IO_TLB_SEGSIZE, IO_TLB_SHIFT",
    ],
    needs: &[
        Need::required(Kind::SwiotlbMapSingle, "the failures"),
        Need::optional(Kind::SwiotlbAlloc, "failed allocations of coherent memory from a restricted pool"),
    ],
    example: "swiotlb_map_single: the pool is exhausted; device=0000:00:04.0 bounce=error size=65536 used_slots=32760",
    remedy: "exhausted: a larger pool (swiotlb=SLOTS on the kernel's command line; of a restricted pool `reg` of its \
             node in the device tree) or fewer requests at a time; too large: limit the driver's segments \
             (dma_max_mapping_size); alignment: a larger pool, more areas or a smaller min_align_mask",
};

/// `IO_TLB_SEGSIZE` slots of 2 KiB.
pub const LARGEST: u64 = 256 << 10;

/// log2 of the bytes of a slot.
pub const SLOT_SHIFT: u32 = 11;

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
    /// Of a request that failed.
    pub fn of(request: &Request) -> Self {
        if request.size > LARGEST {
            return Self::TooLarge;
        }
        let Some((slots, used)) = request.pool_slots().zip(request.used_slots()) else {
            return Self::Unknown;
        };
        let needed = request.size.div_ceil(1 << SLOT_SHIFT);
        if slots.saturating_sub(used) < needed { Self::Exhausted } else { Self::Fragmented }
    }

    const fn text(self) -> &'static str {
        match self {
            Self::Exhausted => "the pool is exhausted",
            Self::TooLarge => "it is larger than 256 KiB, the most that swiotlb hands out",
            Self::Fragmented => "there are free slots, but none in a row with that alignment",
            Self::Unknown => "the slots in use could not be read",
        }
    }
}

/// What failed for one reason.
#[derive(Default)]
struct Case {
    count: u64,
    /// Of these, allocations of coherent memory.
    coherent: u64,
    room: Room,
    evidence: Vec<Evidence>,
}

/// The failures by device, pool and reason.
pub struct Full {
    limit: usize,
    cases: BTreeMap<(u64, u64, Reason), Case>,
    is_incomplete: bool,
}

impl Full {
    /// Keeps that much evidence of each case.
    pub const fn new(limit: usize) -> Self {
        Self { limit, cases: BTreeMap::new(), is_incomplete: false }
    }

    fn failed(
        &mut self,
        key: (u64, u64, Reason),
        event: &Event,
        stream: &StreamContext<'_>,
    ) -> Option<&mut Case> {
        if self.cases.len() >= MOST && !self.cases.contains_key(&key) {
            return None;
        }
        let case = self.cases.entry(key).or_default();
        case.count += 1;
        if case.evidence.len() < self.limit {
            case.evidence.push(stream.evidence(event, key.2.text()));
        }
        Some(case)
    }
}

impl Diagnose for Full {
    #[inline]
    fn event(&mut self, event: &Event, stream: &StreamContext<'_>) {
        let (device, pool, request) = match &event.body {
            Body::SwiotlbMapSingle(map) if map.bounce == MAPPING_ERROR => {
                (map.device, map.pool, Request::of_mapping(map))
            }
            Body::SwiotlbAlloc(pages) if pages.result == 0 => {
                (pages.device, pages.pool, Request::of_coherent_memory(pages))
            }
            _ => return,
        };
        if let Some(case) = self.failed((device, pool, Reason::of(&request)), event, stream) {
            case.coherent += u64::from(request.original.is_none());
            case.room.asked(&request);
        }
    }

    fn lost(&mut self) {
        self.is_incomplete = true;
    }

    fn finish(&mut self, stream: &StreamContext<'_>) -> Vec<Diagnosis> {
        let is_incomplete = self.is_incomplete;
        let mut found: Vec<Diagnosis> = std::mem::take(&mut self.cases)
            .into_iter()
            .map(|((device, _, reason), case)| Diagnosis {
                name: INFO.name,
                summary: case.summary(&stream.device(device), reason, is_incomplete),
                count: case.count,
                evidence: case.evidence,
                remedy: INFO.remedy,
            })
            .collect();
        // `struct device` addresses differ from boot to boot.
        found.sort_by(|a, b| (b.count, &a.summary).cmp(&(a.count, &b.summary)));
        found
    }
}

impl Case {
    fn summary(&self, device: &str, reason: Reason, is_incomplete: bool) -> String {
        let what = match (self.count - self.coherent, self.coherent) {
            (maps, 0) => counted(maps, "mapping", "mappings"),
            (0, coherent) => counted(coherent, "coherent allocation", "coherent allocations"),
            (maps, coherent) => format!(
                "{} and {}",
                counted(maps, "mapping", "mappings"),
                counted(coherent, "coherent allocation", "coherent allocations")
            ),
        };
        let mut summary = format!("{what} of {device} failed: {}", reason.text());
        summary += &self.room.pool();
        match reason {
            Reason::Exhausted | Reason::Fragmented => summary += &self.room.needed(is_incomplete),
            // No size is enough.
            Reason::TooLarge => {}
            Reason::Unknown => summary += "; the size that would have sufficed is unknown",
        }
        summary
    }
}
