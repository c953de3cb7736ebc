//! Random histories, legal and illegal, whole and with events missing: reports and timelines say the same of what lived
//! from when to when, and that is what a simple model says, which shares no code with them.

mod attached_common;
#[expect(dead_code, reason = "no verdict is asked for here")]
mod check_world;
mod histories_common;

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Arc, Mutex};

use check_world::{FAULTS, History, Step, World};
use histories_common::Model;
use proptest::prelude::*;
use rmapscope::event::{Body, Filter, Item, Kind, Sink};
use rmapscope::export::{Exporter, Format};
use rmapscope::report::aggregate::{Aggregator, Options};
use rmapscope::report::model::{Ended, Report};
use serde_json::Value;

const STEPS: [Step; 17] = [
    Step::Make,
    Step::Restore,
    Step::RestoreOlder,
    Step::Fork,
    Step::FailedFork,
    Step::Zap,
    Step::Move,
    Step::Exit,
    Step::Migrate,
    Step::Reclaim,
    Step::ReclaimLocked,
    Step::Munlock,
    Step::Map,
    Step::Unmap,
    Step::FailedMap,
    Step::UnmapOlder,
    Step::KeptAndTaken,
];

/// A history whose steps are legal but for some.
fn history() -> impl Strategy<Value = History> {
    let step = (0..STEPS.len() + 4, any::<u64>());
    let lost = prop::collection::vec(any::<prop::sample::Index>(), 0..4);
    (prop::collection::vec(step, 0..150), lost).prop_map(|(steps, lost)| {
        let mut world = World::default();
        for (step, random) in steps {
            match STEPS.get(step) {
                Some(step) => world.legal(*step, random),
                None => world.illegal(FAULTS[random as usize % FAULTS.len()].step, random),
            }
        }
        let mut history = world.history();
        for index in lost {
            history.lose(index.index(history.len() + 1));
        }
        history
    })
}

/// Any events in any order.
fn wild_history() -> impl Strategy<Value = History> {
    let lost = prop::collection::vec(any::<prop::sample::Index>(), 0..3);
    (prop::collection::vec(any::<(u8, u64)>(), 0..60), lost).prop_map(|(events, lost)| {
        let mut history = History::default();
        for (what, random) in events {
            let (tid, body) = histories_common::event(what, random);
            history.tell(tid, body);
        }
        for index in lost {
            history.lose(index.index(history.len() + 1));
        }
        history
    })
}

/// Whether a timeline ends what the model ends, by what ended it.
fn ends_as_the_model(history: &History) -> Result<(), TestCaseError> {
    let events = timeline(history);
    let expected = Model::of(history.items());
    for what in ["device-exclusive", "bounced", "migration entry"] {
        let of_these = expected.iter().filter(|((of, _), _)| *of == what);
        let expected: BTreeMap<_, _> = of_these.map(|((_, by), count)| ((*by).to_owned(), *count)).collect();
        prop_assert_eq!(spans(&events, what).0, expected, "{}", what);
    }
    Ok(())
}

fn report(history: &History) -> Report {
    let mut aggregator = Aggregator::new(&History::header(), Options::default());
    history.items().for_each(|item| aggregator.item(&item).unwrap());
    aggregator.finish(None)
}

/// What was written, for who gave the writer away.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("one thread").write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The events of a timeline in Chrome's format.
fn timeline(history: &History) -> Vec<Value> {
    let shared = Shared::default();
    let header = History::header();
    let export = Format::Chrome.begin(&header, Box::new(shared.clone())).expect("room");
    let mut exporter = Exporter::new(export, Filter::default(), &header);
    history.items().for_each(|item| exporter.item(&item).unwrap());
    exporter.finish(None).expect("room");
    let written = shared.0.lock().expect("one thread").clone();
    let mut timeline: Value = serde_json::from_slice(&written).expect("JSON");
    let Value::Array(events) = timeline["traceEvents"].take() else { panic!("a list of events") };
    events
}

/// Spans of that name that end, by what ended them; and those that begin.
fn spans(events: &[Value], name: &str) -> (BTreeMap<String, u64>, u64) {
    let (mut ends, mut begun) = (BTreeMap::new(), 0);
    for event in events.iter().filter(|event| event["name"] == name) {
        match event["ph"].as_str() {
            Some("b") => begun += 1,
            Some("e") => {
                *ends
                    .entry(event["args"]["ended_by"].as_str().unwrap_or_default().to_owned())
                    .or_default() += 1;
            }
            _ => {}
        }
    }
    (ends, begun)
}

fn sum(ends: &BTreeMap<String, u64>, names: &[&str]) -> u64 {
    names.iter().filter_map(|name| ends.get(*name)).sum()
}

/// The last count of migration entries in a report's timeline.
fn last_entries(report: &Report) -> u64 {
    report.timeline.intervals.last().map_or(0, |interval| interval.migration_entries)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn timelines_end_what_the_model_ends(history in history()) {
        ends_as_the_model(&history)?;
    }

    #[test]
    fn whatever_is_told_ends_as_in_the_model(history in prop::collection::vec(wild_history(), 1..6)) {
        history.iter().try_for_each(ends_as_the_model)?;
    }

    #[test]
    fn reports_and_timelines_agree(history in history()) {
        let (report, events) = (report(&history), timeline(&history));

        let exclusive = &report.exclusive;
        let (ends, begun) = spans(&events, "device-exclusive");
        prop_assert_eq!(exclusive.made, begun);
        let ended = |how: Ended| -> u64 {
            exclusive.ends.iter().filter(|ends| ends.ended == how).map(|ends| ends.count).sum()
        };
        let restored = ended(Ended::Fault) + ended(Ended::Fork) + ended(Ended::Restored);
        prop_assert_eq!(restored, sum(&ends, &["restore_exclusive"]));
        prop_assert_eq!(ended(Ended::Zapped), sum(&ends, &["exclusive_zap", "exclusive_exit"]));
        prop_assert_eq!(ended(Ended::Again), sum(&ends, &["exclusive_page"]));
        prop_assert_eq!(ended(Ended::Open), sum(&ends, &["no end in the trace"]));
        prop_assert_eq!(exclusive.ends.iter().map(|ends| ends.count).sum::<u64>(), begun);

        let (ends, bounced) = spans(&events, "bounced");
        let open = sum(&ends, &["no end in the trace"]);
        prop_assert_eq!(report.swiotlb.iter().map(|bounce| bounce.mappings).sum::<u64>(), bounced);
        prop_assert_eq!(report.swiotlb.iter().map(|bounce| bounce.open).sum::<u64>(), open);

        let is_set = |item: &Item| matches!(item, Item::Event(event) if matches!(event.body, Body::MigrationEntrySet(_)));
        let set = history.items().filter(is_set).count() as u64;
        let (ends, begun) = spans(&events, "migration entry");
        prop_assert_eq!(begun, set, "{}", Kind::MigrationEntrySet.name());
        prop_assert_eq!(last_entries(&report), sum(&ends, &["no end in the trace"]));
    }
}
