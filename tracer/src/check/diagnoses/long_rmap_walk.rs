//! Reverse-map walks over very many VMAs.

use rustc_hash::FxHashMap;
use tracer_common::event::{Body, Kind, MAPCOUNT_UNKNOWN, VmaVisit};

use super::{Diagnose, counted};
use crate::check::info::{DiagnosisInfo, Need};
use crate::check::stream_context::StreamContext;
use crate::check::{Diagnosis, Evidence};
use crate::event::Event;

pub const INFO: DiagnosisInfo = DiagnosisInfo {
    name: "long-rmap-walk",
    title: "unmapping, migrating or munlocking one page visited thousands of VMAs",
    statement: "A page that thousands of VMAs map (a library, shared memory, pages after many forks, KSM) is walked \
                under a lock, VMA by VMA. Reported for walks over at least 1024 mappings, measured by the mappings \
                that a visit found remaining, and by the number of visits if all were recorded.",
    citations: &["6.12 mm/rmap.c, rmap_walk_anon, rmap_walk_file", "6.12 mm/ksm.c, rmap_walk_ksm"],
    needs: &[
        Need::required(Kind::TryToUnmapOne, "visits"),
        Need::optional(Kind::TryToMigrateOne, "visits"),
        Need::optional(Kind::PageMlockOne, "visits"),
        Need::optional(Kind::TryToUnmap, "the end of a walk"),
        Need::optional(Kind::TryToMigrate, "the end of a walk"),
        Need::optional(Kind::PageMlock, "the end of a walk"),
    ],
    example: "try_to_unmap_one: at least 4096 mappings; address=0x7f1234567000 pfn=0x12345 mapcount=4096",
    remedy: "share the page less (fewer processes, huge pages), or exempt it from reclaim and compaction",
};

/// Visits that are worth a report.
const MANY: u64 = 1 << 10;

/// Most walks at a time: one per thread.
const MOST: usize = 1 << 12;

/// One thread's walk.
#[derive(Clone, Copy)]
struct Walk {
    page: u64,
    visits: u64,
    /// The most mappings that a visit found left.
    mappings: u64,
    is_told: bool,
}

/// The walks under way, by thread, and the long ones.
pub struct LongWalk {
    limit: usize,
    walks: FxHashMap<u32, Walk>,
    count: u64,
    longest: u64,
    evidence: Vec<Evidence>,
}

impl LongWalk {
    /// Keeps that much evidence.
    pub fn new(limit: usize) -> Self {
        Self { limit, walks: FxHashMap::default(), count: 0, longest: 0, evidence: Vec::new() }
    }

    fn visited(&mut self, event: &Event, visit: &VmaVisit, stream: &StreamContext<'_>) {
        if self.walks.len() >= MOST {
            self.walks.clear();
        }
        let new = Walk { page: visit.page, visits: 0, mappings: 0, is_told: false };
        let walk = self.walks.entry(event.header.tid).or_insert(new);
        if walk.page != visit.page {
            *walk = new;
        }
        walk.visits += 1;
        // The mappings of a large folio count each of its pages.
        if visit.mapcount != MAPCOUNT_UNKNOWN && !stream.facts.is_head(visit.flags) {
            walk.mappings = walk.mappings.max(u64::try_from(visit.mapcount).unwrap_or_default());
        }
        let length = walk.visits.max(walk.mappings);
        self.longest = self.longest.max(length);
        if length >= MANY && !walk.is_told {
            walk.is_told = true;
            self.count += 1;
            if self.evidence.len() < self.limit {
                self.evidence.push(stream.evidence(event, format!("at least {length} mappings")));
            }
        }
    }
}

impl Diagnose for LongWalk {
    #[inline]
    fn event(&mut self, event: &Event, stream: &StreamContext<'_>) {
        match &event.body {
            Body::TryToUnmapOne(visit) | Body::TryToMigrateOne(visit) | Body::PageMlockOne(visit) => {
                self.visited(event, visit, stream);
            }
            _ => {
                if !self.walks.is_empty() {
                    self.walks.remove(&event.header.tid);
                }
            }
        }
    }

    fn lost(&mut self) {
        self.walks.clear();
    }

    fn finish(&mut self, _: &StreamContext<'_>) -> Vec<Diagnosis> {
        if self.count == 0 {
            return Vec::new();
        }
        vec![Diagnosis {
            name: INFO.name,
            summary: format!(
                "{} of the reverse map went over {MANY} mappings or more, the longest over at least {}",
                counted(self.count, "walk", "walks"),
                self.longest
            ),
            count: self.count,
            evidence: std::mem::take(&mut self.evidence),
            remedy: INFO.remedy,
        }]
    }
}
