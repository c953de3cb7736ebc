//! The whole report of made-up and of recorded streams: what belongs together adds up.

use std::collections::BTreeMap;

use proptest::prelude::*;
use tracer_common::event::{FolioWalk, Kind, MakeDeviceExclusive, STACK_NONE, VmaVisit};

use super::*;
use crate::event::{Body, Frame, Header, LossCause, ProcessEntry, StackEntry, synthetic};
use crate::output::{Counts, Notation, Origin, Printer};
use crate::probe::{AttachMethod, Outcome, PointReport};
use crate::report::model::{Group, Table};
use crate::trace_file::Reader;

const PAGE: u64 = 0xffff_ea00_0000_1000;

fn attached(symbol: &str, events: &[&str]) -> PointReport {
    PointReport {
        point: symbol.to_owned(),
        family: "rmap".to_owned(),
        events: events.iter().map(|name| (*name).to_owned()).collect(),
        outcome: Outcome::Attached { symbol: symbol.to_owned(), method: AttachMethod::Fentry },
        attempts: Vec::new(),
    }
}

fn header() -> FileHeader {
    let mut header = FileHeader::new(synthetic::description());
    header.probes = ["try_to_unmap", "try_to_unmap_one", "make_device_exclusive", "exclusive_vma"]
        .map(|name| attached(name, &[name]))
        .to_vec();
    header
}

fn report(items: &[Item], options: Options) -> Report {
    let mut aggregator = Aggregator::new(&header(), options);
    items.iter().for_each(|item| aggregator.item(item).unwrap());
    aggregator.finish(None)
}

fn everything() -> Options {
    Options { top: usize::MAX, ..Options::default() }
}

fn event(time: u64, tid: u32, stack: i32, body: Body) -> Item {
    let header = Header { time, tid, pid: tid, kind: body.kind() as u16, cpu: 0, stack };
    Item::Event(Event { header, body })
}

fn unmap(duration: u64) -> Body {
    Body::TryToUnmap(FolioWalk { page: PAGE, flags: 0, mapcount: 0, ttu_flags: 0, duration })
}

fn visit(page: u64) -> VmaVisit {
    VmaVisit {
        page,
        flags: 0,
        mm: 0,
        address: 0,
        vm_flags: 0,
        ttu_flags: 0,
        result: 1,
        mapcount: 0,
        reserved: 0,
        entry_before: 0,
        entry_after: 0,
        duration: 0,
    }
}

fn process(pid: u32, comm: &str) -> Item {
    Item::Process(ProcessEntry { pid, tid: pid, parent: 0, comm: comm.to_owned() })
}

fn stack(id: i32, names: &[&str]) -> Item {
    let frame =
        |name: &&str| Frame { address: 1, symbol: Some((*name).to_owned()), offset: 90, module: None };
    Item::Stack(StackEntry { id, frames: names.iter().map(frame).collect() })
}

fn lost(family: Option<Family>, count: u64, after: u64) -> Item {
    let family = family.map(|family| family as u8);
    Item::Loss(Loss { cause: LossCause::Lost, family, count, after, before: u64::MAX, kind: None })
}

fn cell(table: &Table, row: usize) -> (Vec<String>, u64) {
    let row = &table.rows[row];
    let text = |group: &Group| match group {
        Group::Number(number) => number.to_string(),
        Group::Name(name) => name.clone(),
        Group::None => "-".to_owned(),
    };
    (row.group.iter().map(text).collect(), row.weights.count)
}

#[test]
fn every_kind_of_event_is_counted() {
    let items = synthetic::stream();
    let report = report(&items, everything());
    let events = items.iter().filter(|item| matches!(item, Item::Event(_))).count() as u64;
    assert_eq!(report.total.count, events);
    assert_eq!(report.verdict.subject.events, events);
    assert_eq!(report.events.rows.len(), Kind::ALL.len());
    let names: Vec<_> = report.devices.rows.iter().map(|row| &row.group[0]).collect();
    assert!(names.contains(&&Group::Name("0000:00:04.0".to_owned())), "{names:?}");
    assert_eq!(report.losses.lost, BTreeMap::from([("rmap".to_owned(), 14)]));
    assert_eq!(report.losses.gaps.len(), 3);
    assert!(serde_json::to_string(&report).is_ok());
}

#[test]
fn a_process_has_its_first_threads_name_until_that_changes() {
    let thread = |time| {
        let header =
            Header { time, tid: 6, pid: 5, kind: Kind::TryToUnmap as u16, cpu: 0, stack: STACK_NONE };
        Item::Event(Event { header, body: unmap(0) })
    };
    let exec = tracer_common::event::ProcessExec {
        old_tid: 5,
        reserved: 0,
        comm: *crate::event::Comm::from_text("new").bytes(),
    };
    let items = [
        process(5, "old"),
        process(6, "worker"),
        thread(1),
        thread(2),
        event(3, 5, STACK_NONE, Body::ProcessExec(exec)),
        thread(4),
        event(5, 0, STACK_NONE, unmap(0)),
    ];
    let table = report(&items, everything()).processes;
    assert_eq!(cell(&table, 0), (vec!["5".into(), "new".into()], 2));
    assert_eq!(cell(&table, 1), (vec!["5".into(), "old".into()], 2));
    assert_eq!(cell(&table, 2), (vec!["0".into(), "swapper".into()], 1));
}

#[test]
fn tables_are_sorted_as_asked_and_cut() {
    let items = [
        event(1, 1, STACK_NONE, unmap(10)),
        event(2, 1, STACK_NONE, unmap(10)),
        event(3, 2, STACK_NONE, unmap(500)),
        event(4, 3, STACK_NONE, unmap(1)),
    ];
    let table = report(&items, Options { top: 1, sort: Weight::Time, ..Options::default() }).processes;
    assert_eq!((table.rows.len(), table.distinct), (1, 3));
    let row = &table.rows[0];
    assert_eq!((&row.group[0], row.measured, row.max), (&Group::Number(2), 1, 500));
    assert_eq!(row.quantiles[0].value, 500);
    assert_eq!((table.rest.count, table.rest.time), (3, 21));
}

#[test]
fn the_filter_narrows_the_sections_and_not_the_verdict() {
    let mut items: Vec<Item> = synthetic::stream();
    items.insert(0, process(812, "first"));
    let filter = Filter { pids: vec![812], from: 1, to: 5_000_005, ..Filter::default() };
    // Both of the very same session.
    let header = header();
    let report = |options| {
        let mut aggregator = Aggregator::new(&header, options);
        items.iter().for_each(|item| aggregator.item(item).unwrap());
        aggregator.finish(None)
    };
    let all = report(everything());
    let some = report(Options { filter, filter_text: Some("-p 812".into()), ..everything() });
    let verdict = |report: &Report| serde_json::to_string(&report.verdict).unwrap();
    assert!(verdict(&all) == verdict(&some));
    // Events 1 to 5; the fifth is another process's.
    assert_eq!(some.total.count, 4);
    assert_eq!(some.timeline.intervals.iter().flat_map(|interval| &interval.counts).sum::<u64>(), 4);
    assert_eq!(all.span, some.span);
}

#[test]
fn any_keys_make_a_table() {
    let items = [
        process(1, "one"),
        stack(7, &["try_to_unmap", "shrink_folio_list"]),
        stack(8, &["try_to_unmap", "migrate_pages"]),
        event(1, 1, 7, unmap(0)),
        event(2, 1, 8, unmap(0)),
        event(3, 2, 7, unmap(0)),
        event(4, 1, 7, unmap(0)),
        event(5, 1, STACK_NONE, unmap(0)),
        event(6, 1, -14, unmap(0)),
    ];
    let by = vec![Key::Comm, Key::Caller, Key::Result];
    let table = report(&items, Options { by, ..everything() }).by.unwrap();
    let rows: Vec<_> = (0..table.rows.len()).map(|row| cell(&table, row)).collect();
    let row =
        |comm: &str, caller: &str, count| (vec![comm.to_owned(), caller.to_owned(), "-".to_owned()], count);
    assert_eq!(
        rows,
        [
            row("one", "shrink_folio_list", 2),
            row("one", "?", 1),
            row("one", "migrate_pages", 1),
            row("one", "-", 1),
            row("-", "shrink_folio_list", 1),
        ]
    );
    let by = vec![Key::Event, Key::Result];
    let table = report(&synthetic::stream(), Options { by, ..everything() }).by.unwrap();
    let rows: Vec<_> = (0..table.rows.len()).map(|row| cell(&table, row).0.join(" ")).collect();
    for expected in [
        "make_device_exclusive ok",
        "make_device_exclusive EBUSY",
        "copy_page_range ENOMEM",
        "swiotlb_map_single error",
        "swiotlb_map ok",
        "migrate_refused EAGAIN",
        "process_fork -",
    ] {
        assert!(rows.iter().any(|row| row == expected), "{expected} in {rows:?}");
    }
}

#[test]
fn stacks_of_one_path_are_one_and_the_rest_is_not_forgotten() {
    let items = [
        stack(1, &["try_to_unmap", "reclaim"]),
        event(1, 1, 1, unmap(5)),
        stack(2, &["try_to_unmap", "reclaim"]),
        event(2, 1, 2, unmap(5)),
        // The kernel uses the id again.
        stack(1, &["try_to_unmap", "migrate"]),
        event(3, 1, 1, unmap(5)),
        event(4, 1, -14, unmap(5)),
        event(5, 1, 99, unmap(5)),
        event(6, 1, STACK_NONE, unmap(5)),
    ];
    let report = report(&items, everything());
    let stacks: Vec<_> =
        report.stacks.entries.iter().map(|stack| (stack.frames.join(";"), stack.weights.count)).collect();
    assert_eq!(
        stacks,
        [(String::new(), 2), ("try_to_unmap;reclaim".into(), 2), ("try_to_unmap;migrate".into(), 1)]
    );
    assert_eq!((report.stacks.distinct, report.stacks.exact), (3, true));
    assert_eq!(report.losses.stacks_lost, 1);
}

#[test]
fn visits_belong_to_the_walk_of_their_thread() {
    let unmap_one = |time, tid, page| event(time, tid, STACK_NONE, Body::TryToUnmapOne(visit(page)));
    let exclusive = |time, page| event(time, 3, STACK_NONE, Body::ExclusiveVma(visit(page)));
    let make = MakeDeviceExclusive {
        mm: 1,
        start: 0,
        end: 0,
        owner: 0,
        result: 2,
        made: 2,
        unchecked: 0,
        duration: 0,
    };
    let mut items = vec![
        unmap_one(1, 1, PAGE),
        unmap_one(2, 2, PAGE),
        unmap_one(3, 1, PAGE),
        event(4, 1, STACK_NONE, unmap(0)),
        event(5, 2, STACK_NONE, unmap(0)),
        event(6, 2, STACK_NONE, unmap(0)),
        exclusive(7, PAGE),
        exclusive(8, PAGE + 64),
        exclusive(9, PAGE + 64),
        event(10, 3, STACK_NONE, Body::MakeDeviceExclusive(make)),
    ];
    let spread = |items: &[Item]| {
        let walks = report(items, everything()).walks;
        let walks = walks.into_iter().map(|walk| (walk.event, (walk.count, walk.sum, walk.min, walk.max)));
        walks.collect::<BTreeMap<_, _>>()
    };
    let walks = spread(&items);
    assert_eq!(walks["try_to_unmap"], (3, 3, 0, 2));
    assert_eq!(walks["make_device_exclusive"], (2, 3, 1, 2));
    // After a loss the next walk of each thread may lack visits: it is not counted, the ones after it are.
    items.extend([
        lost(Some(Family::Rmap), 4, 11),
        unmap_one(12, 1, PAGE),
        event(13, 1, STACK_NONE, unmap(0)),
        unmap_one(14, 1, PAGE),
        event(15, 1, STACK_NONE, unmap(0)),
    ]);
    assert_eq!(spread(&items)["try_to_unmap"], (4, 4, 0, 2));
}

#[test]
fn walks_without_recorded_visits_are_not_told_of() {
    let mut header = header();
    header.probes.remove(1);
    let mut aggregator = Aggregator::new(&header, everything());
    aggregator.item(&event(1, 1, STACK_NONE, unmap(0))).unwrap();
    assert!(aggregator.finish(None).walks.is_empty());
    let mut header = self::header();
    header.options.min_latency = Some(1000);
    let mut aggregator = Aggregator::new(&header, everything());
    aggregator.item(&event(1, 1, STACK_NONE, unmap(0))).unwrap();
    assert!(aggregator.finish(None).walks.is_empty());
}

#[test]
fn what_lives_is_told_at_the_end_of_each_interval() {
    let mut page = crate::check::Live::default();
    let mut timeline = Timeline::default();
    timeline.count(0, Kind::ExclusivePage);
    timeline.migration_entries(1);
    page.exclusive = 3;
    // Five intervals on.
    timeline.advance(5 << 10, page);
    timeline.migration_entries(0);
    timeline.count(5 << 10, Kind::ExclusivePage);
    page.exclusive = 1;
    let told = timeline.finish(page);
    assert_eq!(told.interval, 1024);
    let gauges: Vec<_> =
        told.intervals.iter().map(|interval| (interval.exclusive, interval.migration_entries)).collect();
    assert_eq!(gauges, [(3, 1), (3, 1), (3, 1), (3, 1), (3, 1), (1, 0)]);
}

/// What `script --stats` counts.
fn counts(path: &str) -> BTreeMap<String, u64> {
    let mut reader = Reader::open(path).unwrap();
    let kernel = reader.header().kernel.clone();
    let origin = Origin { description: &kernel, start: None };
    let mut text = Vec::new();
    let mut printer =
        Printer::new(&mut text, Box::new(Counts::new(Notation::Json)), Filter::default(), &origin);
    while let Some(item) = reader.next_item().unwrap() {
        crate::event::Sink::item(&mut printer, &item).unwrap();
    }
    printer.finish().unwrap();
    let line = |line: &[u8]| {
        let count: serde_json::Value = serde_json::from_slice(line).unwrap();
        Some((count["event"].as_str()?.to_owned(), count["count"].as_u64()?))
    };
    text.split(|byte| *byte == b'\n').filter(|bytes| !bytes.is_empty()).filter_map(line).collect()
}

#[test]
fn recorded_traces_are_counted_as_script_counts_them() {
    for name in ["6.1-demo", "6.12-demo", "hmm-demo", "hmm-pageout-1"] {
        let path = format!("{}/../tests/fixtures/traces/{name}.data", env!("CARGO_MANIFEST_DIR"));
        let mut reader = Reader::open(&path).unwrap();
        let by = vec![Key::Caller];
        let mut aggregator = Aggregator::new(reader.header(), Options { by, ..everything() });
        let incomplete = reader.drive(&mut aggregator).unwrap();
        let report = aggregator.finish(incomplete);
        let rows = (0..report.events.rows.len()).map(|row| cell(&report.events, row));
        let rows: BTreeMap<_, _> = rows.map(|(group, count)| (group[0].clone(), count)).collect();
        assert_eq!(rows, counts(&path), "{name}");
        assert_eq!(report.losses.incomplete, None, "{name}");
        assert_eq!(report.walks.is_empty(), name.contains("pageout"), "{name}");
        for walk in &report.walks {
            assert!(walk.count > 0 && walk.min >= 1 && walk.max < 100, "{name}: {walk:?}");
        }
        let functions = report.stacks.entries.iter().flat_map(|stack| &stack.frames);
        let of_the_tracer = |name: &&String| name.starts_with("bpf_") || name.starts_with("0x");
        assert_eq!(functions.filter(of_the_tracer).collect::<Vec<_>>(), Vec::<&String>::new(), "{name}");
        if let Some(callers) = report.by.filter(|_| !name.contains("pageout")) {
            let names: Vec<_> = (0..callers.rows.len()).map(|row| cell(&callers, row).0.remove(0)).collect();
            for caller in ["shrink_folio_list", "rmap_walk_anon", "copy_process"] {
                let known =
                    names.iter().any(|name| name == caller || name == "dup_mmap" || name == "copy_mm");
                assert!(known, "{name}: {caller} in {names:?}");
            }
        }
    }
}

/// Any events in any order, of few and of many processes, with any stack, and losses among them.
fn streams() -> impl Strategy<Value = Vec<Item>> {
    let bodies: Vec<Body> = synthetic::stream()
        .iter()
        .filter_map(|item| match item {
            Item::Event(event) => Some(event.body),
            _ => None,
        })
        .collect();
    let item =
        (0..bodies.len() + 2, 0_u64..40, 0_u32..6, -1_i32..4).prop_map(move |(index, step, pid, stack)| {
            (bodies.get(index).copied(), 1_u64 << step, pid, if stack == 3 { -14 } else { stack })
        });
    proptest::collection::vec(item, 1..300).prop_map(|items| {
        let mut time = 1000;
        let stacks = [stack(0, &["try_to_unmap", "a"]), stack(1, &["b"])];
        let items = items.into_iter().map(|(body, step, tid, stack)| {
            time += step;
            match body {
                Some(body) => event(time, tid, stack, body),
                None => lost(None, 2, time - step),
            }
        });
        stacks.into_iter().chain(items).collect()
    })
}

fn keys() -> impl Strategy<Value = Vec<Key>> {
    proptest::sample::subsequence(Key::ALL.to_vec(), 1..5)
}

fn sum(table: &Table) -> Weights {
    table.rows.iter().fold(table.rest, |mut sum, row| {
        sum.add(&row.weights);
        sum
    })
}

proptest! {
    #[test]
    fn everything_adds_up(items in streams(), by in keys(), top in 0_usize..6, sort in 0_usize..4) {
        let options = Options { top, sort: Weight::ALL[sort], by, ..Options::default() };
        let short = report(&items, options.clone());
        let whole = report(&items, Options { top: usize::MAX, ..options });
        let events: Vec<&Event> = items.iter().filter_map(|item| match item {
            Item::Event(event) => Some(event),
            _ => None,
        }).collect();
        prop_assert_eq!(whole.total.count, events.len() as u64);
        for report in [&short, &whole] {
            prop_assert_eq!(sum(&report.events), whole.total);
            prop_assert_eq!(sum(&report.processes), whole.total);
            prop_assert_eq!(sum(report.by.as_ref().unwrap()), whole.total);
            prop_assert_eq!(sum(&report.devices), sum(&whole.devices));
        }
        let swiotlb = |event: &&&Event| event.kind().family() == Family::Swiotlb;
        prop_assert_eq!(sum(&whole.devices).count, events.iter().filter(swiotlb).count() as u64);
        // Times: every measured call is in one distribution.
        let measured = events.iter().filter(|event| Weights::of(event, 4096).time > 0).count() as u64;
        let latencies = &whole.latencies;
        prop_assert_eq!(latencies.iter().map(|spread| spread.count).sum::<u64>(), measured);
        prop_assert_eq!(latencies.iter().map(|spread| spread.sum).sum::<u64>(), whole.total.time);
        for spread in latencies {
            prop_assert_eq!(spread.buckets.iter().map(|bucket| bucket.count).sum::<u64>(), spread.count);
        }
        // Stacks: every event that has one, or should have.
        let stacked = events.iter().filter(|event| event.header.stack != STACK_NONE).count() as u64;
        prop_assert_eq!(whole.stacks.entries.iter().map(|stack| stack.weights.count).sum::<u64>(), stacked);
        // Time: every event in one of few intervals.
        let timeline = &whole.timeline;
        prop_assert!(timeline.intervals.len() <= 512 && timeline.interval.is_power_of_two());
        let counts = timeline.intervals.iter().flat_map(|interval| &interval.counts);
        prop_assert_eq!(counts.sum::<u64>(), whole.total.count);
        let missing = items.iter().filter(|item| matches!(item, Item::Loss(_))).count() as u64;
        prop_assert_eq!(timeline.intervals.iter().map(|interval| interval.lost).sum::<u64>(), 2 * missing);
        prop_assert!(timeline.interval * (timeline.intervals.len() as u64 - 1) <= whole.span);
        prop_assert!(whole.span < timeline.interval * timeline.intervals.len() as u64);
        prop_assert_eq!(whole.losses.gaps.len() as u64 + whole.losses.more_gaps, missing);
    }
}
