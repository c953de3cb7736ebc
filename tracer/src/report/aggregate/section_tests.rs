//! What the sections say of recorded traces adds up to the events in them.

use std::path::PathBuf;

use tracer_common::event::MAPPING_ERROR;

use super::{Aggregator, Options};
use crate::event::{Body, Event, Item};
use crate::report::model::{Ended, Report};
use crate::trace_file::Reader;

const FIXTURES: [&str; 3] = ["hmm-demo.data", "6.12-demo.data", "6.1-demo.data"];

fn open(name: &str) -> Reader<Box<dyn std::io::Read>> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/traces").join(name);
    Reader::open(path).expect("a fixture")
}

fn report(name: &str) -> Report {
    let mut reader = open(name);
    let mut aggregator = Aggregator::new(reader.header(), Options::default());
    let incomplete = reader.drive(&mut aggregator).unwrap();
    aggregator.finish(incomplete)
}

fn count(name: &str, is_counted: impl Fn(&Body) -> bool) -> u64 {
    let mut reader = open(name);
    let mut count = 0;
    while let Some(item) = reader.next_item().expect("a whole file") {
        count += u64::from(matches!(item, Item::Event(Event { body, .. }) if is_counted(&body)));
    }
    count
}

#[test]
fn every_exclusive_page_ends_once() {
    for name in FIXTURES {
        let exclusive = report(name).exclusive;
        assert_eq!(exclusive.made, count(name, |body| matches!(body, Body::ExclusivePage(_))), "{name}");
        let ends: u64 = exclusive.ends.iter().map(|end| end.count).sum();
        assert_eq!(ends, exclusive.made, "{name}");
        for end in exclusive.ends.iter().filter(|end| end.ended != Ended::Unseen) {
            assert_eq!(end.residency.as_ref().map(|times| times.count), Some(end.count), "{name}");
        }
        let in_fork = |body: &Body| matches!(body, Body::RestoreExclusive(restore) if restore.in_fork != 0);
        let forks = exclusive.ends.iter().find(|end| end.ended == Ended::Fork).map_or(0, |end| end.count);
        assert_eq!(forks, count(name, in_fork), "{name}");
    }
    assert_eq!(report("hmm-demo.data").exclusive.made, 320);
}

#[test]
fn forks_and_bounces_add_up() {
    for name in FIXTURES {
        let report = report(name);
        let total = report.fork.total.expect("the demo forks");
        assert_eq!(total.vmas, count(name, |body| matches!(body, Body::CopyPageRange(_))), "{name}");
        let processes = &report.fork.processes.entries;
        assert_eq!(processes.iter().map(|cost| cost.vmas).sum::<u64>(), total.vmas, "{name}");
        assert_eq!(processes.iter().map(|cost| cost.forks).sum::<u64>(), report.fork.forks, "{name}");
        assert_eq!(report.fork.time.map(|time| (time.count, time.sum)), Some((total.forks, total.time)));
        let mapped = |body: &Body| matches!(body, Body::SwiotlbMapSingle(map) if map.bounce != MAPPING_ERROR);
        let mappings: u64 = report.swiotlb.iter().map(|bounce| bounce.mappings).sum();
        assert_eq!(mappings, count(name, mapped), "{name}");
        for bounce in &report.swiotlb {
            assert!(bounce.slots * 2048 >= bounce.bytes && bounce.peak_bytes <= bounce.bytes, "{name}");
            let peak = bounce.levels.iter().map(|level| level.bytes).max();
            assert_eq!(peak.unwrap_or_default(), bounce.peak_bytes, "{name}");
            let pool = report.pools.iter().find(|pool| pool.devices.contains(&bounce.device));
            assert!(
                bounce.mappings == 0 || pool.is_some_and(|pool| pool.peak_slots >= bounce.peak_slots),
                "{name}"
            );
        }
        for pool in &report.pools {
            let of_devices = report.swiotlb.iter().filter(|bounce| bounce.pool == pool.pool);
            assert!(pool.peak_bytes <= of_devices.map(|bounce| bounce.peak_bytes).sum(), "{name}");
            let peak = pool.levels.iter().map(|level| level.slots).max();
            assert_eq!(peak.unwrap_or_default(), pool.peak_slots, "{name}");
        }
    }
}

#[test]
fn pages_are_exact_while_they_are_few() {
    for name in FIXTURES {
        let pages = report(name).pages;
        assert!(pages.hot.exact && !pages.hot.entries.is_empty(), "{name}");
        for page in pages.hot.entries.iter().chain(&pages.ping_pong.entries) {
            assert_eq!(page.events.iter().map(|(_, count)| count).sum::<u64>(), page.count, "{name}");
            assert!(page.first <= page.last, "{name}");
        }
    }
}
