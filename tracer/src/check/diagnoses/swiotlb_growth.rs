//! Mappings of a device that only grow.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;
use tracer_common::event::{Body, Kind, MAPPING_ERROR, SwiotlbMapSingle};

use super::Diagnose;
use crate::check::Diagnosis;
use crate::check::info::{DiagnosisInfo, Need};
use crate::check::scene::Scene;
use crate::event::{Event, Header};

pub const INFO: DiagnosisInfo = DiagnosisInfo {
    name: "swiotlb-growth",
    title: "the live mappings of a device only grow: this looks like a leak",
    statement: "A driver that forgets to unmap fills the pool, and every device on it fails then. Reported when the \
                session is cut in four and a device's smallest number of live mappings rises from each quarter to the \
                next, to at least 64 at the end; with the place that made most of them where stacks were recorded.",
    citations: &[
        "6.12 Documentation/core-api/dma-api.rst, dma_unmap_single: every mapping is to be unmapped",
    ],
    needs: &[
        Need::required(Kind::SwiotlbMapSingle, "mappings"),
        Need::required(Kind::SwiotlbUnmapSingle, "their ends"),
        Need::required(Kind::SwiotlbMap, "mappings that the kernel takes back itself"),
    ],
    example: "swiotlb_map_single: 120 of 128 live mappings were made here; device=0000:00:04.0 size=4096",
    remedy: "find in the driver what keeps the mapping made at this place (record with -g for its stack)",
};

/// Mappings at the end that are worth a report.
const MANY: u64 = 64;

/// Most devices.
const MOST: usize = 1 << 10;

/// Buckets of time; when they do not suffice each is made twice as long.
const BUCKETS: usize = 64;

/// The first length of a bucket, nanoseconds.
const FIRST_WIDTH: u64 = 1 << 20;

/// Live mappings of one device.
struct Series {
    live: u64,
    /// Smallest number in each bucket.
    least: Vec<u64>,
    last: (Header, SwiotlbMapSingle),
}

/// Live mappings by device.
pub struct Growth {
    limit: usize,
    /// Time of the first event.
    begin: Option<u64>,
    width: u64,
    devices: FxHashMap<u64, Series>,
}

impl Growth {
    /// Keeps that much evidence of each device.
    pub fn new(limit: usize) -> Self {
        Self { limit, begin: None, width: FIRST_WIDTH, devices: FxHashMap::default() }
    }

    fn bucket(&mut self, time: u64) -> usize {
        let since = time.saturating_sub(*self.begin.get_or_insert(time));
        while since / self.width >= BUCKETS as u64 {
            self.width *= 2;
            for series in self.devices.values_mut() {
                let pairs = series.least.chunks(2);
                series.least = pairs.map(|pair| pair.iter().copied().min().unwrap_or_default()).collect();
            }
        }
        (since / self.width) as usize
    }
}

impl Series {
    fn reach(&mut self, bucket: usize) {
        while self.least.len() <= bucket {
            self.least.push(self.live);
        }
    }

    fn unmapped(&mut self, bucket: usize) {
        self.reach(bucket);
        self.live = self.live.saturating_sub(1);
        let least = &mut self.least[bucket];
        *least = (*least).min(self.live);
    }

    /// Smallest numbers of the four quarters of the session; `None` when it was too short to be cut.
    fn quarters(&self) -> Option<[u64; 4]> {
        let length = self.least.len();
        if length < 8 {
            return None;
        }
        let least = |quarter: usize| {
            self.least[quarter * length / 4..(quarter + 1) * length / 4]
                .iter()
                .copied()
                .min()
                .unwrap_or_default()
        };
        Some([least(0), least(1), least(2), least(3)])
    }
}

impl Diagnose for Growth {
    #[inline]
    fn event(&mut self, event: &Event, scene: &Scene<'_>) {
        let mappings = &scene.state.swiotlb;
        match &event.body {
            Body::SwiotlbMapSingle(map) if map.bounce != MAPPING_ERROR => {
                let bucket = self.bucket(event.header.time);
                if self.devices.len() >= MOST && !self.devices.contains_key(&map.device) {
                    return;
                }
                let series = self.devices.entry(map.device).or_insert_with(|| Series {
                    live: 0,
                    least: Vec::new(),
                    last: (event.header, *map),
                });
                series.reach(bucket);
                series.live += 1;
                series.last = (event.header, *map);
            }
            Body::SwiotlbUnmapSingle(unmap) => {
                let bucket = self.bucket(event.header.time);
                if let Some(mapping) = mappings.at(unmap.bounce)
                    && let Some(series) = self.devices.get_mut(&mapping.device)
                {
                    series.unmapped(bucket);
                }
            }
            Body::SwiotlbMap(map)
                if map.dma_address == MAPPING_ERROR && mappings.answered_by(&event.header, map).is_some() =>
            {
                let bucket = self.bucket(event.header.time);
                if let Some(series) = self.devices.get_mut(&map.device) {
                    series.unmapped(bucket);
                }
            }
            _ => {}
        }
    }

    fn lost(&mut self) {
        self.devices.clear();
    }

    fn finish(&mut self, _: u64, end: u64, scene: &Scene<'_>) -> Vec<Diagnosis> {
        let last = self.bucket(end);
        let mut found: Vec<Diagnosis> = std::mem::take(&mut self.devices)
            .into_iter()
            .filter_map(|(device, mut series)| {
                series.reach(last);
                let quarters = series.quarters()?;
                let rises = quarters.windows(2).all(|pair| pair[0] < pair[1]);
                (rises && series.live >= MANY).then(|| report(device, &series, quarters, self.limit, scene))
            })
            .collect();
        found.sort_by(|a, b| (b.count, &a.summary).cmp(&(a.count, &b.summary)));
        found
    }
}

fn report(device: u64, series: &Series, quarters: [u64; 4], limit: usize, scene: &Scene<'_>) -> Diagnosis {
    let mut places: BTreeMap<i32, (u64, u64)> = BTreeMap::new();
    for (_, mapping) in scene.state.swiotlb.live().filter(|(_, mapping)| mapping.device == device) {
        let (count, time) = places.entry(mapping.made.stack).or_default();
        *count += 1;
        *time = (*time).max(mapping.made.time);
    }
    let mut places: Vec<_> = places.into_iter().map(|(stack, (count, time))| (count, time, stack)).collect();
    places.sort_by(|a, b| b.cmp(a));
    let evidence = places.iter().take(limit).map(|(count, _, stack)| {
        let (header, map) = series.last;
        let event = Event { header: Header { stack: *stack, ..header }, body: Body::SwiotlbMapSingle(map) };
        scene.evidence(&event, format!("{count} of {} live mappings were made here", series.live))
    });
    let [a, b, c, d] = quarters;
    Diagnosis {
        name: INFO.name,
        summary: format!(
            "{} has {} live mappings, and they only grow (at least {a}, {b}, {c}, {d} in the quarters of the session)",
            scene.device(device),
            series.live
        ),
        count: series.live,
        evidence: evidence.collect(),
        remedy: INFO.remedy,
    }
}
