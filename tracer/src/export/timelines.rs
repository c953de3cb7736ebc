//! Tests that the timeline formats hold every event and every loss once, whatever the filter.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use prost::Message;

use super::perfetto::messages::{InternedData, Trace};
use super::{Exporter, Format, Out};
use crate::event::{Filter, Item, Kind, Names, Selection, Sink, synthetic};
use crate::trace_file::FileHeader;

type Counts = BTreeMap<String, usize>;

/// A format and what counts its events.
type Timeline = (Format, fn(&[u8]) -> Counts);

#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn export(format: Format, filter: &Filter, items: &[Item]) -> Vec<u8> {
    let header = FileHeader::new(synthetic::description());
    let shared = Shared::default();
    let out: Out = Box::new(shared.clone());
    let mut exporter = Exporter::new(format.begin(&header, out).unwrap(), filter.clone(), &header);
    items.iter().for_each(|item| exporter.item(item).unwrap());
    exporter.finish(None).unwrap();
    std::mem::take(&mut *shared.0.lock().unwrap())
}

/// What has to be in an export: events by name, and losses.
fn expected(filter: &Filter, items: &[Item]) -> Counts {
    let (mut names, mut start, mut counts) = (Names::default(), None, Counts::new());
    for item in items {
        names.follow(item);
        match item {
            Item::Event(event) => {
                let since = event.header.time.saturating_sub(*start.get_or_insert(event.header.time));
                if filter.admits(event, &names, since) {
                    *counts.entry(event.kind().name().to_owned()).or_default() += 1;
                }
            }
            Item::Loss(loss) => {
                let start = start.unwrap_or(loss.after);
                let before =
                    if loss.before == u64::MAX { u64::MAX } else { loss.before.saturating_sub(start) };
                if filter.admits_loss(loss, loss.after.saturating_sub(start), before) {
                    *counts.entry("loss".to_owned()).or_default() += 1;
                }
            }
            _ => {}
        }
    }
    counts
}

fn count(counts: &mut Counts, name: &str) {
    let name = if name.contains("missing") { "loss" } else { name };
    if name == "loss" || Kind::from_name(name).is_some() {
        *counts.entry(name.to_owned()).or_default() += 1;
    }
}

fn of_chrome(bytes: &[u8]) -> Counts {
    let value: serde_json::Value = serde_json::from_slice(bytes).unwrap();
    let mut counts = Counts::new();
    for event in value["traceEvents"].as_array().unwrap() {
        let is_loss = event["cat"] == "lost" && event["ph"] == "b";
        if is_loss || matches!(event["ph"].as_str().unwrap(), "X" | "i") {
            count(&mut counts, event["name"].as_str().unwrap());
        }
    }
    counts
}

fn of_firefox(bytes: &[u8]) -> Counts {
    let value: serde_json::Value = serde_json::from_slice(bytes).unwrap();
    let mut counts = Counts::new();
    for thread in value["threads"].as_array().unwrap() {
        for name in thread["markers"]["name"].as_array().unwrap() {
            count(&mut counts, thread["stringArray"][name.as_u64().unwrap() as usize].as_str().unwrap());
        }
    }
    counts
}

fn of_perfetto(bytes: &[u8]) -> Counts {
    let (mut counts, mut interned) = (Counts::new(), InternedData::default());
    let mut depth: BTreeMap<u64, i64> = BTreeMap::new();
    for packet in Trace::decode(bytes).unwrap().packet {
        if packet.sequence_flags.unwrap_or(0) & 1 != 0 {
            interned = InternedData::default();
        }
        if let Some(data) = packet.interned_data {
            interned.event_names.extend(data.event_names);
        }
        let Some(event) = packet.track_event else { continue };
        match event.r#type {
            Some(1) => *depth.entry(event.track_uuid.unwrap()).or_default() += 1,
            Some(2) => *depth.entry(event.track_uuid.unwrap()).or_default() -= 1,
            _ => {}
        }
        if let Some(iid) = event.name_iid {
            let name = interned.event_names.iter().find(|name| name.iid == Some(iid)).unwrap();
            count(&mut counts, name.name.as_deref().unwrap());
        }
    }
    assert!(depth.values().all(|depth| *depth == 0), "every slice has an end");
    counts
}

const TIMELINES: [Timeline; 3] =
    [(Format::Perfetto, of_perfetto), (Format::Firefox, of_firefox), (Format::Chrome, of_chrome)];

#[test]
fn every_kind_of_event_is_there() {
    let items = synthetic::stream();
    let expected = expected(&Filter::default(), &items);
    assert_eq!(expected.len(), Kind::ALL.len() + 1);
    for (format, counts) in TIMELINES {
        assert_eq!(counts(&export(format, &Filter::default(), &items)), expected, "{format:?}");
    }
}

#[test]
fn an_empty_trace_is_a_whole_file() {
    for (format, counts) in TIMELINES {
        assert_eq!(counts(&export(format, &Filter::default(), &[])), Counts::new(), "{format:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn every_event_is_there_once(
        picks in prop::collection::vec((any::<prop::sample::Index>(), 0_u64..40, 0_u32..3), 0..120),
        kinds in prop::option::of(prop::collection::vec(any::<prop::sample::Index>(), 0..12)),
        min_latency in prop_oneof![Just(0_u64), 1_u64..3000],
    ) {
        let stream = synthetic::stream();
        let mut time = 1_000_000;
        let items: Vec<Item> = picks.iter().map(|(pick, step, thread)| {
            let mut item = pick.get(&stream).clone();
            // Nearly in order, with steps backwards and events at one time.
            time = (time + step).saturating_sub(10);
            if let Item::Event(event) = &mut item {
                event.header.time = time;
                event.header.tid = *thread;
                event.header.pid = (*thread).min(1);
            }
            item
        }).collect();
        let mut filter = Filter { min_latency, ..Filter::default() };
        if let Some(kinds) = kinds {
            filter.selection = Selection::NONE;
            kinds.iter().for_each(|kind| filter.selection.insert(*kind.get(Kind::ALL)));
        }
        let expected = expected(&filter, &items);
        for (format, counts) in TIMELINES {
            prop_assert_eq!(&counts(&export(format, &filter, &items)), &expected, "{:?}", format);
        }
    }
}
