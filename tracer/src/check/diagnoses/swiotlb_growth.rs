//! Mappings of a device that only grow.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;
use tracer_common::event::{Body, Kind, MAPPING_ERROR, SwiotlbMapSingle};

use super::Diagnose;
use crate::check::Diagnosis;
use crate::check::info::{DiagnosisInfo, Need};
use crate::check::stream_context::StreamContext;
use crate::event::{Event, Header};

pub const INFO: DiagnosisInfo = DiagnosisInfo {
    name: "swiotlb-growth",
    title: "the live mappings of a device only grow, which looks like a leak",
    statement: "A driver that forgets to unmap fills the pool, and then every device that uses it fails. The mappings \
                of a device are divided into four quarters; reported if the minimum number of live mappings rises from \
                each quarter to the next, to at least 64 at the end, and at least a quarter of the mappings in each is \
                unmapped (which excludes a ring that is filled once). If stacks were recorded, the call sites with the \
                most live mappings are listed.",
    citations: &[
        "6.12 Documentation/core-api/dma-api.rst, dma_unmap_single: every mapping is to be unmapped",
    ],
    needs: &[
        Need::required(Kind::SwiotlbMapSingle, "mappings"),
        Need::required(Kind::SwiotlbUnmapSingle, "their ends"),
        Need::required(Kind::SwiotlbMap, "mappings that the kernel undoes itself"),
    ],
    example: "swiotlb_map_single: 120 of 128 live mappings were made here; device=0000:00:04.0 size=4096",
    remedy: "find out why the driver keeps the mapping made at this place (record with -g for its stack)",
};

/// Mappings at the end that are worth a report.
const MANY: u64 = 64;

/// Most devices.
const MOST: usize = 1 << 10;

/// Buckets; when they do not suffice each is made to hold twice as many mappings.
const BUCKETS: u64 = 64;

/// Mappings of the first buckets.
const FIRST_WIDTH: u64 = 8;

/// Some consecutive mappings of a device.
#[derive(Clone, Copy)]
struct Bucket {
    /// Smallest number of live ones.
    least: u64,
    /// How many were unmapped meanwhile.
    unmapped: u64,
}

/// The mappings of one device.
struct Series {
    live: u64,
    /// Mappings made so far.
    made: u64,
    /// Of these, in one bucket.
    width: u64,
    buckets: Vec<Bucket>,
    last: (Header, SwiotlbMapSingle),
}

/// Live mappings by device.
pub struct Growth {
    limit: usize,
    devices: FxHashMap<u64, Series>,
}

impl Growth {
    /// Keeps that much evidence of each device.
    pub fn new(limit: usize) -> Self {
        Self { limit, devices: FxHashMap::default() }
    }

    #[inline]
    fn mapped(&mut self, header: Header, map: &SwiotlbMapSingle) {
        if self.devices.len() >= MOST && !self.devices.contains_key(&map.device) {
            return;
        }
        let series = self.devices.entry(map.device).or_insert_with(|| Series {
            live: 0,
            made: 0,
            width: FIRST_WIDTH,
            buckets: Vec::new(),
            last: (header, *map),
        });
        series.last = (header, *map);
        series.mapped();
    }
}

impl Series {
    fn mapped(&mut self) {
        if self.made / self.width >= BUCKETS {
            self.width *= 2;
            let pairs = self.buckets.chunks(2).filter_map(|pair| pair.iter().copied().reduce(Bucket::merge));
            self.buckets = pairs.collect();
        }
        if (self.made / self.width) as usize >= self.buckets.len() {
            self.buckets.push(Bucket { least: self.live, unmapped: 0 });
        }
        self.made += 1;
        self.live += 1;
    }

    fn unmapped(&mut self) {
        self.live = self.live.saturating_sub(1);
        if let Some(bucket) = self.buckets.last_mut() {
            bucket.least = bucket.least.min(self.live);
            bucket.unmapped += 1;
        }
    }

    /// Smallest numbers of live mappings in each quarter, where they only grow.
    fn growth(&self) -> Option<[u64; 4]> {
        let length = self.buckets.len();
        if length < 8 || self.live < MANY {
            return None;
        }
        let quarter = |index: usize| {
            let buckets = &self.buckets[index * length / 4..(index + 1) * length / 4];
            let whole = buckets.iter().copied().reduce(Bucket::merge)?;
            let made = buckets.len() as u64 * self.width;
            (whole.unmapped * 4 >= made).then_some(whole.least)
        };
        let quarters = [quarter(0)?, quarter(1)?, quarter(2)?, quarter(3)?];
        quarters.windows(2).all(|pair| pair[0] < pair[1]).then_some(quarters)
    }
}

impl Bucket {
    fn merge(self, other: Self) -> Self {
        Self { least: self.least.min(other.least), unmapped: self.unmapped + other.unmapped }
    }
}

impl Diagnose for Growth {
    #[inline]
    fn event(&mut self, event: &Event, stream: &StreamContext<'_>) {
        let mappings = &stream.state.swiotlb;
        let unmapped = match &event.body {
            Body::SwiotlbMapSingle(map) if map.bounce != MAPPING_ERROR => {
                return self.mapped(event.header, map);
            }
            Body::SwiotlbUnmapSingle(unmap) => mappings.at(unmap.bounce).map(|mapping| mapping.device),
            Body::SwiotlbMap(map) if map.dma_address == MAPPING_ERROR => {
                mappings.answered_by(&event.header, map).map(|_| map.device)
            }
            _ => None,
        };
        if let Some(series) = unmapped.and_then(|device| self.devices.get_mut(&device)) {
            series.unmapped();
        }
    }

    fn lost(&mut self) {
        self.devices.clear();
    }

    fn finish(&mut self, stream: &StreamContext<'_>) -> Vec<Diagnosis> {
        let mut found: Vec<Diagnosis> = std::mem::take(&mut self.devices)
            .into_iter()
            .filter_map(|(device, series)| {
                let quarters = series.growth()?;
                Some(report(device, &series, quarters, self.limit, stream))
            })
            .collect();
        found.sort_by(|a, b| (b.count, &a.summary).cmp(&(a.count, &b.summary)));
        found
    }
}

fn report(
    device: u64,
    series: &Series,
    quarters: [u64; 4],
    limit: usize,
    stream: &StreamContext<'_>,
) -> Diagnosis {
    let mut places: BTreeMap<i32, (u64, u64)> = BTreeMap::new();
    for (_, mapping) in stream.state.swiotlb.live().filter(|(_, mapping)| mapping.device == device) {
        let (count, time) = places.entry(mapping.made.stack).or_default();
        *count += 1;
        *time = (*time).max(mapping.made.time);
    }
    let mut places: Vec<_> = places.into_iter().map(|(stack, (count, time))| (count, time, stack)).collect();
    places.sort_by(|a, b| b.cmp(a));
    let evidence = places.iter().take(limit).map(|(count, _, stack)| {
        let (header, map) = series.last;
        let event = Event { header: Header { stack: *stack, ..header }, body: Body::SwiotlbMapSingle(map) };
        stream.evidence(&event, format!("{count} of {} live mappings were made here", series.live))
    });
    let [a, b, c, d] = quarters;
    Diagnosis {
        name: INFO.name,
        summary: format!(
            "{} has {} live mappings, and they only grow (at least {a}, {b}, {c}, {d} in each quarter of its mappings)",
            stream.device(device),
            series.live
        ),
        count: series.live,
        evidence: evidence.collect(),
        remedy: INFO.remedy,
    }
}
