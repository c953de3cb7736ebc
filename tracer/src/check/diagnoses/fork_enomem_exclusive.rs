//! fork failed with ENOMEM over a locked exclusive page.

use tracer_common::event::{Body, Kind, UNCOUNTED};

use super::{Diagnose, counted};
use crate::check::info::{DiagnosisInfo, Need};
use crate::check::stream_context::StreamContext;
use crate::check::{Diagnosis, Evidence};
use crate::event::Event;

pub const INFO: DiagnosisInfo = DiagnosisInfo {
    name: "fork-enomem-exclusive",
    title: "fork failed with ENOMEM because a device-exclusive page was locked",
    statement: "fork must restore every exclusive page of the parent, and needs the page lock to do so. It only tries \
                the lock: if a driver, migration or KSM holds it, the copy fails with -EBUSY, which copy_pmd_range \
                turns into -ENOMEM. There is no lack of memory. Reported for a copy_page_range that returned -ENOMEM \
                with -EBUSY inside, or that left exclusive entries, the first of which is of a locked page.",
    citations: &[
        "6.12 mm/memory.c, try_restore_exclusive_pte: trylock_page, else -EBUSY",
        "6.12 mm/memory.c, copy_pmd_range: any failure of copy_pte_range is -ENOMEM",
    ],
    needs: &[
        Need::required(Kind::CopyPageRange, "the result and what was left"),
        Need::optional(Kind::ExclusivePage, "who made the page exclusive"),
    ],
    example: "copy_page_range: fork failed because of a locked device-exclusive page; address=0x7f1234567000 \
              result=-ENOMEM inner_result=-EBUSY",
    remedy: "have the driver drop the page lock before fork can run (mmap_lock), or call fork again",
};

const ENOMEM: i32 = -12;
const EBUSY: i32 = -16;

/// The failures.
pub struct ForkEnomem {
    limit: usize,
    count: u64,
    evidence: Vec<Evidence>,
}

impl ForkEnomem {
    /// Keeps that much evidence.
    pub const fn new(limit: usize) -> Self {
        Self { limit, count: 0, evidence: Vec::new() }
    }
}

impl Diagnose for ForkEnomem {
    fn event(&mut self, event: &Event, stream: &StreamContext<'_>) {
        let Body::CopyPageRange(copy) = &event.body else { return };
        let is_left = copy.exclusive_left != UNCOUNTED && copy.exclusive_left > 0;
        let is_locked = is_left && stream.facts.is_locked(copy.first_left_flags) == Some(true);
        if copy.result != ENOMEM || !(copy.inner_result == EBUSY || is_locked) {
            return;
        }
        self.count += 1;
        if self.evidence.len() >= self.limit {
            return;
        }
        let mut evidence = stream.evidence(event, "fork failed because of a locked device-exclusive page");
        if is_left {
            evidence.address = Some(copy.first_left);
            if let Some(live) = stream.state.exclusive.at(copy.source_mm, copy.first_left) {
                evidence.pfn = stream.facts.decoder.pfn(live.page);
                evidence.before.push(stream.earlier(&live.made, "made exclusive"));
            }
        }
        self.evidence.push(evidence);
    }

    fn finish(&mut self, _: &StreamContext<'_>) -> Vec<Diagnosis> {
        if self.count == 0 {
            return Vec::new();
        }
        let forks = counted(self.count, "fork", "forks");
        vec![Diagnosis {
            name: INFO.name,
            summary: format!(
                "{forks} failed with ENOMEM because a device-exclusive page was locked (-EBUSY inside), not for lack \
                 of memory"
            ),
            count: self.count,
            evidence: std::mem::take(&mut self.evidence),
            remedy: INFO.remedy,
        }]
    }
}
