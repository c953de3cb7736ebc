//! How much one event counts for.
//!
//! Tables, flame graphs and comparisons can all be asked to weigh events by any of these.

use serde::Serialize;

use crate::event::{Body, Event, duration_field};

/// What events are summed up by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Weight {
    /// Every event is one.
    #[default]
    Count,
    /// Nanoseconds in the probed function; 0 where latency was not recorded.
    Time,
    /// Pages that the event is about.
    Pages,
    /// Bytes that were bounced or allocated, or the pages' size.
    Bytes,
}

impl Weight {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Count, Self::Time, Self::Pages, Self::Bytes];

    /// The name on the command line and in every output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Time => "time",
            Self::Pages => "pages",
            Self::Bytes => "bytes",
        }
    }

    /// The unit of a sum, for people.
    pub const fn unit(self) -> &'static str {
        match self {
            Self::Count => "events",
            Self::Time => "nanoseconds",
            Self::Pages => "pages",
            Self::Bytes => "bytes",
        }
    }
}

/// Events summed up by every [`Weight`]. Sums stop at the largest number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Weights {
    /// Events.
    pub count: u64,
    /// Nanoseconds in the probed functions.
    pub time: u64,
    /// Pages.
    pub pages: u64,
    /// Bytes.
    pub bytes: u64,
}

impl Weights {
    /// Those of one event. A folio counts as one page where the event does not tell its size.
    #[inline]
    pub fn of(event: &Event, page_size: u64) -> Self {
        let time = duration_field(event.kind()).map_or(0, |field| field.number(event.body.bytes()));
        let range =
            |start: u64, end: u64| end.saturating_sub(start).checked_div(page_size).unwrap_or_default();
        let (pages, bytes) = match &event.body {
            Body::SwiotlbMap(map) => (0, map.size),
            Body::SwiotlbMapSingle(map) => (0, map.size),
            Body::SwiotlbUnmapSingle(unmap) => (0, unmap.size),
            Body::SwiotlbSyncForCpu(sync) | Body::SwiotlbSyncForDevice(sync) => (0, sync.size),
            Body::SwiotlbAlloc(pages) | Body::SwiotlbFree(pages) => (0, pages.size),
            Body::DmaMapDirect(map) => (0, map.size),
            body => {
                let pages = match body {
                    Body::MakeDeviceExclusive(make) => u64::from(make.made),
                    Body::ExclusivePage(_)
                    | Body::RestoreExclusive(_)
                    | Body::ExclusiveFault(_)
                    | Body::TryToUnmap(_)
                    | Body::TryToMigrate(_)
                    | Body::RemoveMigrationPte(_)
                    | Body::MigrateRefused(_)
                    | Body::PageMlock(_)
                    | Body::MlockFolio(_)
                    | Body::MunlockFolio(_) => 1,
                    Body::ExclusiveZap(zap) => range(zap.start, zap.end),
                    Body::ExclusiveMove(moved) => range(0, moved.length),
                    Body::MigrationEntrySet(entry) | Body::MigrationEntryRemoved(entry) => {
                        1_u64.checked_shl(entry.order).unwrap_or_default()
                    }
                    Body::MigratePages(migrate) => migrate.succeeded.saturating_add(migrate.failed),
                    Body::MigrateVmaSetup(setup) => setup.collected,
                    Body::MlockFixup(fixup) => range(fixup.start, fixup.end),
                    Body::CopyPageRange(copy) => range(copy.start, copy.end),
                    _ => 0,
                };
                (pages, pages.saturating_mul(page_size))
            }
        };
        Self { count: 1, time, pages, bytes }
    }

    /// Adds another sum.
    #[inline]
    pub fn add(&mut self, other: &Self) {
        self.count = self.count.saturating_add(other.count);
        self.time = self.time.saturating_add(other.time);
        self.pages = self.pages.saturating_add(other.pages);
        self.bytes = self.bytes.saturating_add(other.bytes);
    }

    /// The sum by one weight.
    pub const fn get(&self, weight: Weight) -> u64 {
        match weight {
            Weight::Count => self.count,
            Weight::Time => self.time,
            Weight::Pages => self.pages,
            Weight::Bytes => self.bytes,
        }
    }
}
