//! A stream of records that no kernel makes: whatever their fields say, everything that sums up or exports ends in
//! order. A trace file may come from anybody.

use std::path::Path;

use proptest::collection::vec;
use proptest::prelude::*;
use rmapscope::compare::{Options as CompareOptions, Sample, compare};
use rmapscope::event::Weight;
use rmapscope::event::{
    Body, Filter, Frame, Header, Item, Kind, Loss, LossCause, ProcessEntry, Sink, StackEntry, Summary,
};
use rmapscope::export::{Exporter, Format};
use rmapscope::flame::{Grouping, Profiler, Style, svg};
use rmapscope::report::aggregate::{Aggregator, Options};
use rmapscope::report::model::Key;
use rmapscope::report::page_history::{self, PageHistoryCollector, Target};
use rmapscope::report::text::Layout;
use rmapscope::report::{html, json, text};
use rmapscope::trace_file::{FileHeader, Reader};

/// A number that is an edge, small, or anything: small ones meet each other.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![
        Just(0),
        Just(u64::MAX),
        Just(u64::MAX - 0x1000),
        Just(i64::MAX as u64),
        Just(0xffff_ea00_0000_0000),
        0..8_u64,
        (0..8_u64).prop_map(|page| page << 12),
        any::<u64>(),
    ]
}

#[derive(Clone, Debug)]
enum Part {
    Record(Vec<u8>),
    Other(Box<Item>),
}

fn record() -> impl Strategy<Value = Part> {
    let kind = prop::sample::select(Kind::ALL);
    let header = (number(), 0..4_u32, 0..4_u32, 0..4_u16, -20..4_i32);
    (kind, header, vec(number(), 16)).prop_map(|(kind, (time, tid, pid, cpu, stack), words)| {
        let header = Header { time, tid, pid, kind: kind as u16, cpu, stack };
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let body = Body::decode(kind, &bytes[..kind.body_size()]).expect("its own size");
        Part::Record([header.bytes(), body.bytes()].concat())
    })
}

fn other() -> impl Strategy<Value = Part> {
    let name = "[\\PC\\x00-\\x1f<>&\"';\u{202e}]{0,20}";
    let cause = prop::sample::select(&[LossCause::Lost, LossCause::Missed, LossCause::Dropped][..]);
    let loss = (cause, prop::option::of(0..20_u8), number(), number(), number());
    let loss = loss.prop_map(|(cause, family, count, after, before)| {
        Item::Loss(Loss { cause, family, count, after, before, kind: None })
    });
    let process = (0..4_u32, 0..4_u32, name)
        .prop_map(|(pid, tid, comm)| Item::Process(ProcessEntry { pid, tid, parent: 0, comm }));
    let frame = (number(), prop::option::of(name), number(), prop::option::of(name))
        .prop_map(|(address, symbol, offset, module)| Frame { address, symbol, offset, module });
    let stack = (-2..4_i32, vec(frame, 0..6)).prop_map(|(id, frames)| Item::Stack(StackEntry { id, frames }));
    let sums = prop::collection::btree_map(
        prop::sample::select(vec!["rmap".to_owned(), name.to_owned()]),
        number(),
        0..2,
    );
    let summary =
        (number(), number(), number(), number(), sums).prop_map(|(begin, end, attached, decided, sums)| {
            let (lost, missed) = (sums.clone(), sums);
            Item::Summary(Summary { begin, end, attached, decided, lost, missed, ..Summary::default() })
        });
    prop_oneof![loss, process, stack, summary].prop_map(|item| Part::Other(Box::new(item)))
}

fn stream() -> impl Strategy<Value = Vec<Part>> {
    vec(prop_oneof![8 => record(), 1 => other()], 0..60)
}

/// The header of a real recording: its kernel has everything that can be decoded.
fn header() -> FileHeader {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/traces/hmm-demo.data");
    Reader::open(file).expect("a trace").header().clone()
}

fn feed(stream: &[Part], sink: &mut impl Sink) {
    for part in stream {
        match part {
            Part::Record(record) => sink.record(record).expect("room"),
            Part::Other(item) => sink.item(item).expect("room"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn reports_end_in_order(stream in stream()) {
        let header = header();
        let by = Key::ALL.to_vec();
        let mut aggregator = Aggregator::new(&header, Options { by, ..Options::default() });
        feed(&stream, &mut aggregator);
        let report = aggregator.finish(None);
        let shown = text::render(&report, &[], Weight::Time, Layout::default());
        prop_assert!(!shown.contains('\x1b'));
        serde_json::from_str::<serde_json::Value>(&json::render(&report).expect("JSON")).expect("JSON");
        html::write(&report, &[], &mut std::io::sink()).expect("room");
    }

    #[test]
    fn biographies_end_in_order(stream in stream()) {
        let header = header();
        for target in [Target::page("0x0").expect("a page"), Target::address("1:0x1000").expect("an address")] {
            let mut page_history = PageHistoryCollector::new(&header, target).with_most(8);
            feed(&stream, &mut page_history);
            let life = page_history.finish(None);
            prop_assert!(!page_history::text(&life, true, false).contains('\x1b'));
        }
    }

    #[test]
    fn flame_graphs_end_in_order(stream in stream()) {
        let mut profiler = Profiler::new(&header(), Filter::default(), Grouping::Comm);
        feed(&stream, &mut profiler);
        let profile = profiler.finish(None);
        for weight in Weight::ALL {
            // A weight that no event has is an error, and nothing worse.
            let _ = svg(&profile, &Style { weight, ..Style::default() });
        }
    }

    #[test]
    fn exports_end_in_order(stream in stream()) {
        let header = header();
        for format in Format::ALL {
            let export = format.begin(&header, Box::new(std::io::sink())).expect("room");
            let mut exporter = Exporter::new(export, Filter::default(), &header);
            feed(&stream, &mut exporter);
            let records = stream.iter().filter(|part| matches!(part, Part::Record(_))).count() as u64;
            prop_assert_eq!(exporter.finish(None).expect("room").read, records, "{}", format.name());
        }
    }

    #[test]
    fn comparisons_end_in_order(one in stream(), other in stream()) {
        let header = header();
        let run = |stream: &[Part]| {
            let mut sample = Sample::new("x".to_owned(), &header, Filter::default(), Default::default());
            feed(stream, &mut sample);
            sample.finish(None)
        };
        compare(vec![run(&one)], vec![run(&other)], &CompareOptions::default());
    }
}
