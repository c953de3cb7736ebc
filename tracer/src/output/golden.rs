//! Formats against golden files and against random records.

use tracer_common::glob::Glob;

use proptest::prelude::*;

use super::*;
use crate::event::synthetic::{description, stream};
use crate::event::{Body, Event, Filter, Header, Item, Kind, Selection, Sink};
use crate::golden_common::assert_golden;

fn print(format: Box<dyn Format>, filter: Filter, items: &[Item]) -> (String, Tally) {
    let description = description();
    let origin = Origin { description: &description, start: None };
    let mut bytes = Vec::new();
    let mut printer = Printer::new(&mut bytes, format, filter, &origin);
    for item in items {
        printer.item(item).unwrap();
    }
    let tally = printer.finish().unwrap();
    (String::from_utf8(bytes).expect("output is UTF-8"), tally)
}

fn json(columns: Option<Vec<Column>>, raw: bool) -> Box<dyn Format> {
    Box::new(Json::new(columns, raw, &Origin { description: &description(), start: None }))
}

fn columns(names: &str) -> Vec<Column> {
    names.split(',').map(|name| Column::new(name).unwrap()).collect()
}

fn check(name: &str, format: Box<dyn Format>) {
    let (printed, _) = print(format, Filter::default(), &stream());
    assert_golden(format!("tests/golden/{name}"), &printed);
}

const CHOSEN: &str = "time,event,comm,pfn,page,flags,result,entry,duration,device";

#[test]
fn golden_text() {
    check("script.txt", Box::new(Text::new(None, false, false)));
    check("script-raw.txt", Box::new(Text::new(None, true, false)));
    check("script-fields.txt", Box::new(Text::new(Some(columns(CHOSEN)), false, false)));
}

#[test]
fn golden_json() {
    check("script.json", json(None, false));
    check("script-raw.json", json(None, true));
    check("script-fields.json", json(Some(columns(CHOSEN)), false));
}

#[test]
fn golden_csv() {
    check("script.csv", Box::new(Csv::new(Column::all(Selection::ALL, true), b',')));
    check("script-fields.csv", Box::new(Csv::new(columns(CHOSEN), b';')));
}

#[test]
fn golden_counts() {
    check("stats.txt", Box::new(Counts::new(Notation::Text)));
    check("stats.json", Box::new(Counts::new(Notation::Json)));
    check("stats.csv", Box::new(Counts::new(Notation::Csv(b','))));
}

#[test]
fn every_json_line_is_an_object_with_a_type() {
    for format in [json(None, true), json(Some(columns(CHOSEN)), false)] {
        let (printed, _) = print(format, Filter::default(), &stream());
        for line in printed.lines() {
            let value: serde_json::Value = serde_json::from_str(line).expect(line);
            let kind = value["type"].as_str().expect(line);
            assert!(["header", "process", "stack", "event", "loss", "summary"].contains(&kind));
        }
    }
}

#[test]
fn every_csv_row_has_every_column() {
    let (printed, _) =
        print(Box::new(Csv::new(Column::all(Selection::ALL, true), b'\t')), Filter::default(), &stream());
    let width = |line: &str| line.matches('\t').count();
    let expected = width(printed.lines().next().unwrap());
    assert!(printed.lines().all(|line| width(line) == expected));
}

#[test]
fn colours_only_on_request() {
    let events: Vec<_> = stream().into_iter().filter(|item| !matches!(item, Item::Process(_))).collect();
    let (plain, _) = print(Box::new(Text::new(None, false, false)), Filter::default(), &events);
    assert!(!plain.contains('\x1b'));
    let (colored, _) = print(Box::new(Text::new(None, false, true)), Filter::default(), &events);
    assert!(colored.contains("\x1b["));
}

#[test]
fn log_scanners_find_no_kernel_failure() {
    for format in [json(None, true), Box::new(Text::new(None, true, false))] {
        let (printed, _) = print(format, Filter::default(), &stream());
        assert!(!printed.contains("WARNING:") && !printed.contains("BUG:"));
    }
}

#[test]
fn filters_choose_events_and_their_losses() {
    let count = |filter: Filter| {
        let (printed, tally) = print(Box::new(Text::new(None, false, false)), filter, &stream());
        (tally.total(), printed.matches("---").count() / 2)
    };
    let events = stream().iter().filter(|item| matches!(item, Item::Event(_))).count() as u64;
    assert_eq!(count(Filter::default()), (events, 3));
    let mut selection = Selection::NONE;
    selection.insert(Kind::TryToUnmap);
    // The loss of an unknown family can be one of these.
    assert_eq!(count(Filter { selection, ..Filter::default() }), (2, 2));
    assert_eq!(count(Filter { pids: vec![4000], ..Filter::default() }).0, 7);
    assert_eq!(count(Filter { tids: vec![4001], pids: vec![1], ..Filter::default() }).0, 0);
    assert_eq!(count(Filter { from: 1_000_000, to: 3_000_003, ..Filter::default() }).0, 3);
    let pattern = |text: &[u8]| vec![Glob::compile(text).expect("a pattern")];
    assert_eq!(count(Filter { allowed: pattern(b"swapper/*"), ..Filter::default() }).0, 7);
    assert_eq!(count(Filter { denied: pattern(b"swapper/*"), ..Filter::default() }).0, events - 7);
    let slow = stream().iter().filter(|item| is_slow_or_no_call(item)).count() as u64;
    assert_eq!(count(Filter { min_latency: 1000, ..Filter::default() }).0, slow);
}

fn is_slow_or_no_call(item: &Item) -> bool {
    let Item::Event(event) = item else { return false };
    crate::event::duration_field(event.kind()).is_none_or(|field| field.number(event.body.bytes()) >= 1000)
}

#[test]
fn a_tally_has_what_the_summary_adds() {
    let (_, tally) = print(Box::new(Counts::new(Notation::Text)), Filter::default(), &stream());
    assert_eq!((tally.losses, tally.has_gap, tally.measured), ([14, 1, 0], true, true));
}

#[test]
fn an_empty_stream_has_its_titles() {
    let (printed, _) = print(Box::new(Text::new(None, false, false)), Filter::default(), &[]);
    assert!(printed.starts_with("       TIME(s) CPU COMM"));
}

fn any_event() -> impl Strategy<Value = Event> {
    (0..Kind::ALL.len(), prop::collection::vec(any::<u8>(), 152), any::<(u64, u32, u32, u16, i32)>())
        .prop_map(|(kind, bytes, (time, tid, pid, cpu, stack))| {
            let kind = Kind::ALL[kind];
            let body = Body::decode(kind, &bytes[..kind.body_size()]).expect("the size of that kind");
            Event { header: Header { time, tid, pid, kind: kind as u16, cpu, stack }, body }
        })
}

fn any_description() -> impl Strategy<Value = Description> {
    use crate::kernel::{EntryFormatRecord, NamedValue, PresentEntryFormat, SwapKind, SwapType};
    let values = || {
        prop::collection::vec(("[A-Z_]{0,8}", any::<i64>()), 0..8).prop_map(|values| {
            values
                .into_iter()
                .map(|(name, value)| NamedValue { name: format!("PG_{name}"), value })
                .collect::<Vec<_>>()
        })
    };
    let format = any::<(u64, u64, u32, u32, u32, u32, bool)>();
    (values(), values(), format, any::<u64>(), any::<u64>(), any::<u32>()).prop_map(
        |(
            page_flags,
            masks,
            (pfn_mask, present_mask, type_shift, type_mask, up, down, invert),
            base,
            size,
            number,
        )| {
            let tables = ["ttu_flags", "fault_flag", "vm_fault_reason", "dma_data_direction", "migrate_mode"];
            Description {
                vmemmap_base: Some(base),
                struct_page_size: Some(size % 128),
                page_flags,
                swap_types: vec![SwapType { number, kind: SwapKind::MigrationRead }],
                entry_format: Some(EntryFormatRecord {
                    pfn_mask,
                    present_mask,
                    type_shift,
                    type_mask,
                    up,
                    down,
                    invert,
                    soft_dirty_mask: 2,
                    uffd_wp_mask: 4,
                    present: Some(PresentEntryFormat {
                        pfn_mask: 0x000f_ffff_ffff_f000,
                        high_mask: 0,
                        high_shift: 0,
                        inverted_without: 1,
                        writable_mask: 2,
                        soft_dirty_mask: 0x800,
                        uffd_wp_mask: 0x400,
                    }),
                }),
                enums: tables.into_iter().map(|name| (name.to_owned(), masks.clone())).collect(),
                ..Description::default()
            }
        },
    )
}

proptest! {
    #[test]
    fn nothing_makes_formatting_panic(
        events in prop::collection::vec(any_event(), 1..40),
        description in any_description(),
    ) {
        let origin = Origin { description: &description, start: None };
        let formats: [Box<dyn Format>; 4] = [
            Box::new(Text::new(None, true, true)),
            Box::new(Text::new(Some(Column::all(Selection::ALL, true)), false, false)),
            Box::new(Json::new(None, true, &origin)),
            Box::new(Csv::new(Column::all(Selection::ALL, true), b',')),
        ];
        for (index, format) in formats.into_iter().enumerate() {
            let mut bytes = Vec::new();
            let mut printer = Printer::new(&mut bytes, format, Filter::default(), &origin);
            for event in &events {
                printer.item(&Item::Event(*event)).unwrap();
            }
            printer.finish().unwrap();
            let text = String::from_utf8(bytes).expect("output is UTF-8");
            prop_assert!(text.chars().all(|c| c == '\n' || (index == 0 && c == '\x1b') || !c.is_control()));
            if index == 2 {
                for line in text.lines() {
                    prop_assert!(serde_json::from_str::<serde_json::Value>(line).is_ok(), "{}", line);
                }
            } else {
                prop_assert!(text.lines().count() > events.len());
            }
        }
    }
}
