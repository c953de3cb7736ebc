//! Counts of made-up streams, against golden files and against each other.

use std::time::Duration;

use proptest::prelude::*;
use tracer_common::counting::fixed;
use tracer_common::event::STACK_NONE;

use super::question::read;
use super::{By, Counter, GroupKey, Key, Losses, Of, Question, Reading, Shown};
use crate::event::synthetic::{description, stream};
use crate::event::{Body, Event, Filter, Header, Item, Kind, Names, Sink, Summary};
use crate::golden_common::assert_golden;
use crate::output::Notation;

fn counter(
    out: &mut Vec<u8>,
    question: Question,
    shown: Shown,
    interval: Option<Duration>,
    live: bool,
) -> Counter<&mut Vec<u8>> {
    Counter::new(out, shown, question, Filter::default(), &description(), interval, live)
}

fn print(question: Question, shown: Shown, interval: Option<Duration>, items: &[Item]) -> (String, Losses) {
    let mut out = Vec::new();
    let mut counter = counter(&mut out, question, shown, interval, false);
    items.iter().for_each(|item| counter.item(item).unwrap());
    let losses = counter.finish().unwrap();
    (String::from_utf8(out).expect("output is UTF-8"), losses)
}

const TEXT: Shown = Shown { notation: Notation::Text, histograms: false };

#[test]
fn golden() {
    let check = |name: &str, by, of, shown, interval| {
        let (printed, _) = print(Question { by, of }, shown, interval, &stream());
        assert_golden(format!("tests/golden/{name}"), &printed);
    };
    let (json, csv) =
        (Shown { notation: Notation::Json, ..TEXT }, Shown { notation: Notation::Csv(b','), ..TEXT });
    check("stat.txt", By::Event, None, TEXT, None);
    check("stat-process.txt", By::Process, Some(Of::Bytes), TEXT, None);
    check("stat-histogram.txt", By::Event, Some(Of::Latency), Shown { histograms: true, ..TEXT }, None);
    check("stat-stack.txt", By::Stack, None, TEXT, None);
    check("stat-interval.txt", By::Name, None, TEXT, Some(Duration::from_millis(2)));
    check("stat-field.txt", By::Field("ttu_flags"), Some(Of::Field("mapcount")), TEXT, None);
    check("stat.json", By::Process, Some(Of::Latency), json, None);
    check("stat-device.json", By::Field("device"), Some(Of::Bytes), json, None);
    check("stat-stack.json", By::Stack, None, json, None);
    check("stat.csv", By::Name, Some(Of::Pages), csv, None);
    check("stat-interval.csv", By::Field("direction"), None, csv, Some(Duration::from_millis(2)));
}

#[test]
fn every_object_has_a_type_and_every_row_every_column() {
    for by in [By::Event, By::Process, By::Name, By::Stack, By::Cpu, By::Field("device"), By::Field("flags")]
    {
        for of in [None, Some(Of::Latency), Some(Of::Field("mapcount"))] {
            let question = Question { by, of };
            let (printed, _) = print(question, Shown { notation: Notation::Json, ..TEXT }, None, &stream());
            for line in printed.lines() {
                let value: serde_json::Value = serde_json::from_str(line).expect(line);
                assert!(["header", "count", "summary"].contains(&value["type"].as_str().expect(line)));
            }
            let (printed, _) =
                print(question, Shown { notation: Notation::Csv(b'\t'), ..TEXT }, None, &stream());
            let width = |line: &str| line.matches('\t').count();
            let expected = width(printed.lines().next().unwrap());
            assert!(printed.lines().all(|line| width(line) == expected), "{printed}");
        }
    }
}

#[test]
fn losses_are_those_of_the_summary() {
    let (_, losses) = print(Question { by: By::Event, of: None }, TEXT, None, &stream());
    assert_eq!((losses.lost, losses.missed, losses.other, losses.has_gap), (14, 1, 0, true));
    assert!(losses.any());
}

#[test]
fn log_scanners_find_no_kernel_failure() {
    let (printed, _) = print(Question { by: By::Stack, of: Some(Of::Latency) }, TEXT, None, &stream());
    assert!(!printed.contains("WARNING:") && !printed.contains("BUG:"));
}

fn any_event() -> impl Strategy<Value = Event> {
    (0..Kind::ALL.len(), prop::collection::vec(any::<u8>(), 152), 0..40_u32, 0..5_u16, 0..8_i32).prop_map(
        |(kind, mut bytes, pid, cpu, stack)| {
            let kind = Kind::ALL[kind];
            // Few different groups of each field, so that they meet again.
            bytes
                .iter_mut()
                .enumerate()
                .for_each(|(place, byte)| *byte = if place % 8 == 0 { *byte & 3 } else { 0 });
            let body = Body::decode(kind, &bytes[..kind.body_size()]).expect("the size of that kind");
            let stack = if stack == 0 { STACK_NONE } else { stack };
            let header = Header { time: 1000, tid: pid + 1, pid: pid + 1, kind: kind as u16, cpu, stack };
            Event { header, body }
        },
    )
}

proptest! {
    /// What programs counted on several CPUs is shown as the records of the same events are.
    #[test]
    fn a_reading_is_shown_as_records_are(events in prop::collection::vec(any_event(), 0..60), of in 0..4_usize, by in 0..6_usize) {
        let by = [By::Event, By::Process, By::Cpu, By::Stack, By::Field("device"), By::Field("ttu_flags")][by];
        let of = [None, Some(Of::Latency), Some(Of::Bytes), Some(Of::Field("mapcount"))][of];
        let question = Question { by, of };
        // Names of threads and devices come as records in any session.
        let is_counted = |event: &&Event| {
            !matches!(event.kind(), Kind::DeviceName) && event.kind().family() != crate::event::Family::Process
        };
        let events: Vec<Event> = events.iter().filter(is_counted).copied().collect();
        let summary = Item::Summary(Summary { begin: 5, end: 1_000_000_005, ..Summary::default() });

        let mut items: Vec<Item> = events.iter().copied().map(Item::Event).collect();
        items.push(summary.clone());
        let shown = Shown { notation: Notation::Json, ..TEXT };
        let (expected, _) = print(question, shown, None, &items);

        let (names, measures) = (Names::default(), question.measures(4096));
        let mut counted: std::collections::BTreeMap<(u16, Key), super::Cell> = Default::default();
        for event in &events {
            let key = Key { kind: event.kind(), group: question.group(event, &names) };
            let value = measures[fixed(event.kind() as u16)].value(|number| read(event.body.bytes(), number));
            counted.entry((event.header.cpu, key)).or_default().record(value);
        }
        let reading = Reading {
            at: 1_000_000_000,
            ends_interval: false,
            missing: None,
            counted: counted.into_iter().map(|((_, key), cell)| (key, cell)).collect(),
        };
        let mut out = Vec::new();
        let mut counter = counter(&mut out, question, shown, None, true);
        // A reading has all there was: the one before counts no more.
        counter.counts(&reading).unwrap();
        counter.counts(&reading).unwrap();
        counter.item(&summary).unwrap();
        counter.finish().unwrap();
        prop_assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}

#[test]
fn what_has_no_group_of_its_own_is_told() {
    let mut out = Vec::new();
    let mut counter = counter(&mut out, Question { by: By::Process, of: None }, TEXT, None, true);
    let key = |group| Key { kind: Kind::TryToUnmap, group };
    let cell = |count| super::Cell { count, ..Default::default() };
    let counted = vec![(key(GroupKey::Number(7)), cell(3)), (key(GroupKey::Other), cell(2))];
    counter.counts(&Reading { at: 1, ends_interval: false, counted, missing: None }).unwrap();
    assert_eq!(counter.finish().unwrap().other, 2);
    let printed = String::from_utf8(out).unwrap();
    assert!(printed.contains("(other)") && printed.contains("without a group of their own 2"), "{printed}");
}
