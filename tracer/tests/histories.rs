//! Random histories, legal and illegal, whole and with events missing: rules, reports, timelines and page histories agree
//! on what lived from when to when, and with a simple model that shares no code with them.

mod attached_common;
#[expect(dead_code, reason = "no verdict is asked for here")]
mod check_world;
mod histories_common;
mod history_readers;

use std::collections::BTreeMap;

use check_world::{FAULTS, History, Step, World};
use histories_common::Model;
use proptest::prelude::*;
use rmapscope::event::{Body, Item, Kind, Sink};
use rmapscope::report::model::{Ended, Report};
use rmapscope::report::page_history::{PageHistory, PageHistoryCollector, State, Target};
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

/// A history whose steps are legal but for some, and of which events may be missing.
fn history() -> impl Strategy<Value = History> {
    some_history().prop_map(|(history, _)| history)
}

/// The same, and whether nothing is missing.
fn some_history() -> impl Strategy<Value = (History, bool)> {
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
        let is_whole = lost.is_empty();
        for index in lost {
            history.lose(index.index(history.len() + 1));
        }
        (history, is_whole)
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
    history_readers::report(history, &History::header())
}

fn timeline(history: &History) -> Vec<Value> {
    history_readers::timeline(history, &History::header())
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

/// A span of a timeline.
#[derive(Clone, Debug)]
struct Span {
    /// What the timeline says of it as it begins.
    args: Value,
    /// Nanoseconds from the first event.
    from: u64,
    to: u64,
    ended_by: String,
}

impl Span {
    fn number(&self, name: &str) -> u64 {
        let text = self.args[name].as_str().expect(name);
        u64::from_str_radix(text.trim_start_matches("0x"), 16).expect(name)
    }

    fn bytes(&self) -> u64 {
        self.args["bytes"].as_u64().expect("bytes")
    }

    /// Whether the page is bounced by it: as the original or as the bounce buffer.
    fn bounces(&self, pfn: u64) -> bool {
        ["original", "bounce"].into_iter().any(|name| {
            let from = self.number(name);
            (from / PAGE..=(from + self.bytes() - 1) / PAGE).contains(&pfn)
        })
    }
}

const PAGE: u64 = 4096;

/// The spans of that name, in the order of their beginnings.
fn whole_spans(history: &History, events: &[Value], name: &str) -> Vec<Span> {
    let first = history.items().find_map(|item| match item {
        Item::Event(event) => Some(event.header.time),
        _ => None,
    });
    let time = |event: &Value| {
        let nanoseconds = (event["ts"].as_f64().expect("a time") * 1000.0).round() as u64;
        nanoseconds - first.unwrap_or_default()
    };
    let of = |phase: &'static str| {
        events.iter().filter(move |event| event["name"] == name && event["ph"] == phase)
    };
    let ends: BTreeMap<u64, &Value> = of("e").map(|end| (end["id"].as_u64().expect("an id"), end)).collect();
    let span = |begin: &Value| {
        let end = ends[&begin["id"].as_u64().expect("an id")];
        let ended_by = end["args"]["ended_by"].as_str().expect("an end").to_owned();
        Span { args: begin["args"].clone(), from: time(begin), to: time(end), ended_by }
    };
    of("b").map(span).collect()
}

fn page_history(history: &History, pfn: u64) -> PageHistory {
    let mut collector = PageHistoryCollector::new(&History::header(), Target::Page { pfn });
    history.items().for_each(|item| collector.item(&item).unwrap());
    collector.finish(None)
}

/// Beginnings and ends of a page's times in a state; no end where none was seen.
fn times(history: &PageHistory, state: State) -> Vec<(u64, Option<u64>)> {
    let mut times: Vec<_> = history
        .states
        .iter()
        .filter(|episode| episode.state == state)
        .map(|episode| (episode.from, episode.to))
        .collect();
    times.sort_unstable();
    times
}

/// Of these spans one for all that overlap or touch.
fn joined(spans: &[&Span]) -> Vec<(u64, Option<u64>)> {
    let mut joined: Vec<(u64, Option<u64>)> = Vec::new();
    for span in spans {
        let to = (!UNSEEN.contains(&span.ended_by.as_str())).then_some(span.to);
        match joined.last_mut() {
            Some((_, last)) if last.is_none_or(|last| span.from <= last) => {
                *last = last.zip(to).map(|(last, to)| last.max(to));
            }
            _ => joined.push((span.from, to)),
        }
    }
    joined
}

/// What a timeline says of a span that lasts to its end.
const OPEN: &str = "no end in the trace";

/// Why a span ends that no event ended.
const UNSEEN: [&str; 2] = [OPEN, "unknown: events were lost"];

/// Page histories and timelines say from when to when each page was exclusive and bounced.
fn page_histories_agree(history: &History, is_whole: bool) -> Result<(), TestCaseError> {
    let events = timeline(history);
    let exclusive = whole_spans(history, &events, "device-exclusive");
    let mut pages: Vec<u64> = exclusive.iter().map(|span| span.number("pfn")).collect();
    pages.sort_unstable();
    pages.dedup();
    for pfn in pages {
        let of_page: Vec<&Span> = exclusive.iter().filter(|span| span.number("pfn") == pfn).collect();
        let told = times(&page_history(history, pfn), State::Exclusive);
        prop_assert_eq!(told.len(), of_page.len(), "{:#x}: {:?} {:?}", pfn, told, of_page);
        for ((from, to), span) in told.into_iter().zip(of_page) {
            prop_assert_eq!(from, span.from, "{:#x}", pfn);
            let is_unseen = UNSEEN.contains(&span.ended_by.as_str());
            // A loss of another family makes a page's state doubtful, its entry not.
            if is_whole || !is_unseen && to.is_some() {
                prop_assert_eq!(to, (!is_unseen).then_some(span.to), "{:#x} {:?}", pfn, span);
            }
        }
    }
    let bounced = whole_spans(history, &events, "bounced");
    for span in bounced.iter().take(8) {
        for pfn in ["original", "bounce"].map(|name| span.number(name) / PAGE) {
            let of_page: Vec<&Span> = bounced.iter().filter(|span| span.bounces(pfn)).collect();
            let told = times(&page_history(history, pfn), State::Bounced);
            if is_whole {
                prop_assert_eq!(told, joined(&of_page), "{:#x}: {:?}", pfn, of_page);
            } else {
                let begins: Vec<u64> = told.iter().map(|(from, _)| *from).collect();
                prop_assert!(
                    of_page.iter().all(|span| told
                        .iter()
                        .any(|(from, to)| *from <= span.from && to.is_none_or(|to| span.from < to))),
                    "{:#x}: {:?} {:?}",
                    pfn,
                    begins,
                    of_page
                );
            }
        }
    }
    Ok(())
}

/// The state of rules and the sections of reports agree with timelines on what lived and how it ended.
fn all_agree(history: &History) -> Result<(), TestCaseError> {
    let (report, events) = (report(history), timeline(history));

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
    let open_entries = sum(&ends, &[OPEN]);
    prop_assert_eq!(ended(Ended::Open), open_entries);
    prop_assert_eq!(exclusive.ends.iter().map(|ends| ends.count).sum::<u64>(), begun);

    let (ends, bounced) = spans(&events, "bounced");
    prop_assert_eq!(report.swiotlb.iter().map(|bounce| bounce.mappings).sum::<u64>(), bounced);
    prop_assert_eq!(report.swiotlb.iter().map(|bounce| bounce.open).sum::<u64>(), sum(&ends, &[OPEN]));

    // The last interval has what the rules' state holds at the end.
    let last = report.timeline.intervals.last().cloned().unwrap_or_default();
    prop_assert_eq!(last.exclusive, open_entries);
    let open = whole_spans(history, &events, "bounced").into_iter().filter(|span| span.ended_by == OPEN);
    prop_assert_eq!(last.bounced, open.map(|span| span.bytes()).sum::<u64>());

    let is_set =
        |item: &Item| matches!(item, Item::Event(event) if matches!(event.body, Body::MigrationEntrySet(_)));
    let set = history.items().filter(is_set).count() as u64;
    let (ends, begun) = spans(&events, "migration entry");
    prop_assert_eq!(begun, set, "{}", Kind::MigrationEntrySet.name());
    prop_assert_eq!(last.migration_entries, sum(&ends, &[OPEN]));
    Ok(())
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
    fn rules_and_reports_agree_with_timelines(history in history()) {
        all_agree(&history)?;
    }

    #[test]
    fn they_agree_on_any_events(history in prop::collection::vec(wild_history(), 1..6)) {
        history.iter().try_for_each(all_agree)?;
    }

    #[test]
    fn page_histories_and_timelines_agree((history, is_whole) in some_history()) {
        page_histories_agree(&history, is_whole)?;
    }
}
