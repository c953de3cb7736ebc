//! Pages that cannot be migrated because they are exclusive.

use tracer_common::event::{Body, Kind};

use super::{Diagnose, counted};
use crate::check::facts::Maker;
use crate::check::info::{DiagnosisInfo, Need};
use crate::check::stream_context::StreamContext;
use crate::check::{Diagnosis, Evidence};
use crate::event::Event;

pub const INFO: DiagnosisInfo = DiagnosisInfo {
    name: "exclusive-blocks-migration",
    title: "a device-exclusive page could not be migrated",
    statement: "Up to 6.14 an exclusive entry holds a reference to its page but is not a mapping, so the page has more \
                references than migration expects and migration fails with -EAGAIN. Swap-out and memory offlining fail \
                in the same way; offlining retries forever. Reported for each refusal of a page that the trace shows \
                to be exclusive at that time.",
    citations: &[
        "6.12 mm/migrate.c, __folio_migrate_mapping: !folio_ref_freeze(folio, expected_count) is -EAGAIN",
        "f495bd7e0d9b (6.15) mm/rmap: keep mapcount untouched for device-exclusive entries",
    ],
    needs: &[
        Need::required(Kind::MigrateRefused, "the refusals"),
        Need::optional(Kind::ExclusivePage, "which pages are exclusive, and who made them so"),
    ],
    example: "migrate_refused: the page is device-exclusive; address=0x7f1234567000 pfn=0x12345 mapcount=0 refcount=3 \
              result=-EAGAIN; before: made exclusive",
    remedy: "touch the memory from the CPU or end its use by the device, then migrate again; Linux 6.15 and later \
             migrate such pages",
};

/// The refusals.
pub struct BlocksMigration {
    limit: usize,
    count: u64,
    evidence: Vec<Evidence>,
}

impl BlocksMigration {
    /// Keeps that much evidence.
    pub const fn new(limit: usize) -> Self {
        Self { limit, count: 0, evidence: Vec::new() }
    }
}

impl Diagnose for BlocksMigration {
    fn event(&mut self, event: &Event, stream: &StreamContext<'_>) {
        let Body::MigrateRefused(refused) = &event.body else { return };
        // Since 6.15 the entry is a mapping like any other, and something else must have been in the way.
        if stream.facts.maker == Some(Maker::Single) {
            return;
        }
        let Some(((mm, address), live)) = stream.state.exclusive.of_page(refused.page) else { return };
        self.count += 1;
        if self.evidence.len() < self.limit {
            let mut evidence = stream.evidence(event, "the page is device-exclusive");
            evidence.address = Some(address);
            evidence.owner_pid = stream.state.spaces.pid(mm).filter(|pid| *pid != event.header.pid);
            evidence.before.push(stream.earlier(&live.made, "made exclusive"));
            self.evidence.push(evidence);
        }
    }

    fn finish(&mut self, _: &StreamContext<'_>) -> Vec<Diagnosis> {
        if self.count == 0 {
            return Vec::new();
        }
        vec![Diagnosis {
            name: INFO.name,
            summary: format!(
                "{} refused because the page was device-exclusive",
                counted(self.count, "migration was", "migrations were")
            ),
            count: self.count,
            evidence: std::mem::take(&mut self.evidence),
            remedy: INFO.remedy,
        }]
    }
}
