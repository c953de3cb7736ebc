use std::collections::HashMap;
use std::path::PathBuf;

use tracer_common::event::{MIGRATE_SELECT_SYSTEM, MigrateVma, STACK_NONE, UNCOUNTED};

use super::{BadTarget, Entry, Episode, MOST, PageHistory, PageHistoryCollector, State, Target, json, text};
use crate::event::Subject;
use crate::event::synthetic;
use crate::event::{Body, Decoder, Event, Header, Item, Loss, LossCause, Sink};
use crate::golden_common::assert_golden;
use crate::trace_file::{FileHeader, Reader};

const FIXTURES: [&str; 3] = ["hmm-demo.data", "6.12-demo.data", "6.1-demo.data"];

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/traces").join(name)
}

fn history(name: &str, target: &str, most: usize) -> PageHistory {
    let mut reader = Reader::open(fixture(name)).expect("a fixture");
    let target = target.parse().expect("a target");
    let mut page_history = PageHistoryCollector::new(reader.header(), target).with_most(most);
    let incomplete = reader.drive(&mut page_history).unwrap();
    page_history.finish(incomplete)
}

fn events(history: &PageHistory) -> usize {
    let is_about = |entry: &&Entry| matches!(entry, Entry::Event(moment) if moment.about);
    history.entries.iter().filter(is_about).count()
}

/// The events of every page of a fixture, counted without the collector.
fn pages(name: &str) -> HashMap<u64, usize> {
    let mut reader = Reader::open(fixture(name)).expect("a fixture");
    let decoder = Decoder::new(&reader.header().kernel);
    let mut pages: HashMap<u64, usize> = HashMap::new();
    while let Some(item) = reader.next_item().expect("a whole file") {
        let Item::Event(event) = item else { continue };
        let [first, second] =
            Subject::of(&event, &decoder).frames.map(|frames| frames.map(|frames| frames.pfn));
        for pfn in first.into_iter().chain(second.filter(|_| second != first)) {
            *pages.entry(pfn).or_default() += 1;
        }
    }
    pages
}

#[test]
fn targets_are_read_and_refused() {
    assert_eq!("0x1a2b".parse(), Ok(Target::Page { pfn: 0x1a2b }));
    assert_eq!("6699".parse(), Ok(Target::Page { pfn: 6699 }));
    assert_eq!("12:0x7f00".parse(), Ok(Target::Address { pid: 12, address: 0x7f00 }));
    for text in ["", "1a2b", "-1", "+1", "0x+1", "0x"] {
        assert_eq!(text.parse::<Target>(), Err(BadTarget::Page(text.to_owned())), "{text}");
    }
    for text in ["12", ":1", "12:", "12:zz", "-1:0x1"] {
        assert_eq!(Target::address(text), Err(BadTarget::Address(text.to_owned())), "{text}");
    }
}

#[test]
fn every_event_of_a_page_is_in_its_life() {
    for name in FIXTURES {
        let pages = pages(name);
        assert!(pages.len() > 50, "{name}");
        // Every page with many events, and some of the others.
        for (pfn, count) in pages.into_iter().filter(|(pfn, count)| *count > 30 || pfn % 16 == 0) {
            let history = history(name, &format!("{pfn:#x}"), MOST);
            assert!(events(&history) >= count, "{name} {pfn:#x}: {count} {}", events(&history));
            assert_eq!(history.events as usize, events(&history));
            // Further ones are bounces of its memory.
            let bounces = history.entries.iter().filter(
                |entry| matches!(entry, Entry::Event(moment) if moment.about && moment.event.starts_with("swiotlb")),
            );
            assert_eq!(events(&history) - count, bounces.count(), "{name} {pfn:#x}");
            is_in_order(&history);
        }
    }
}

/// Episodes of the mapping follow one another without a gap, except where events are missing.
fn is_in_order(history: &PageHistory) {
    let is_mapping = |episode: &&Episode| !matches!(episode.state, State::Mlocked | State::Bounced);
    let states: Vec<&Episode> = history.states.iter().filter(is_mapping).collect();
    for pair in states.windows(2) {
        assert!(pair[0].began <= pair[1].began);
        if let Some(to) = pair[0].to {
            assert_eq!(to, pair[1].from);
            assert_eq!(pair[0].ended, Some(pair[1].began));
            assert_eq!(pair[0].lasted, Some(to - pair[0].from));
        }
    }
}

fn golden(name: &str, shown: &str) {
    assert_golden(format!("../tests/fixtures/page_history/{name}"), shown);
}

#[test]
fn a_life_as_text_and_json() {
    let page = history("hmm-demo.data", "0x2459f", MOST);
    golden("page.txt", &text(&page, false, false));
    golden("page.json", &json(&page));
    golden("address.txt", &text(&history("hmm-demo.data", "124:0x7f65ee508123", MOST), true, false));
    serde_json::from_str::<serde_json::Value>(&json(&page)).expect("JSON");
}

/// States of an address whose range of so many pages migrates by these calls: from system memory or not, pages moved.
fn migrated(npages: u64, calls: &[(bool, u32)]) -> Vec<(State, Option<u64>)> {
    let header = FileHeader::new(synthetic::description());
    let mut page_history = PageHistoryCollector::new(&header, Target::Address { pid: 7, address: 0x5000 });
    for ((is_system, migrated), time) in calls.iter().zip(1..) {
        let body = Body::MigrateVmaFinalize(MigrateVma {
            mm: 0xff11_0000,
            start: 0x5000,
            end: 0x5000 + npages * 4096,
            npages,
            collected: npages,
            migrated: *migrated,
            filled: 0,
            select: if *is_system { MIGRATE_SELECT_SYSTEM } else { 1 << 1 },
            reserved: 0,
            owner: 1,
            fault_page: 0,
            duration: 0,
        });
        let header = Header { time, tid: 7, pid: 7, kind: body.kind() as u16, cpu: 0, stack: STACK_NONE };
        page_history.item(&Item::Event(Event { header, body })).unwrap();
    }
    let states = page_history.finish(None).states.into_iter();
    states.map(|episode| (episode.state, episode.lasted)).collect()
}

#[test]
fn what_a_whole_range_did_each_address_of_it_did() {
    let there_and_back = [(true, 2), (false, 2), (true, 2)];
    assert_eq!(
        migrated(2, &there_and_back),
        [(State::OnDevice, Some(1)), (State::Mapped, Some(1)), (State::OnDevice, None)]
    );
    // Which one moved is not said; that none did is.
    let in_part = [(true, 2), (false, 1), (true, 2), (false, 0), (true, UNCOUNTED)];
    assert_eq!(
        migrated(2, &in_part),
        [
            (State::OnDevice, Some(1)),
            (State::Unknown, Some(1)),
            (State::OnDevice, Some(2)),
            (State::Unknown, None)
        ]
    );
}

#[test]
fn an_address_is_of_one_process_alone() {
    let other = history("hmm-demo.data", "120:0x7f65ee508000", MOST);
    // The end of its own address space is all there is.
    assert_eq!((other.events, other.entries.len()), (0, 1));
    assert_eq!(other.others, [124]);
    assert!(text(&other, false, false).contains("of other processes at that address: 124"));
}

#[test]
fn what_is_over_the_bound_is_told() {
    let whole = history("hmm-demo.data", "0x2459f", MOST);
    let short = history("hmm-demo.data", "0x2459f", 4);
    let left_out = whole.entries.len() as u64 - 8;
    assert_eq!(short.entries[4], Entry::LeftOut(left_out));
    assert_eq!(short.entries.len(), 9);
    assert_eq!(short.entries[..4], whole.entries[..4]);
    assert_eq!(short.events, whole.events);
    assert!(text(&short, false, false).contains(&format!("{left_out} entries were left out here")));
}

/// A page's history on a made-up kernel, with what `change` does to the stream.
fn made_up(change: impl Fn(&mut Vec<Item>)) -> PageHistory {
    let header = FileHeader::new(synthetic::description());
    let mut page_history = PageHistoryCollector::new(&header, Target::Page { pfn: 0x12345 });
    let mut items = synthetic::stream();
    change(&mut items);
    items.iter().for_each(|item| page_history.item(item).unwrap());
    page_history.finish(None)
}

#[test]
fn a_loss_ends_what_was_known() {
    let is_exclusive =
        |item: &Item| matches!(item, Item::Event(Event { body: crate::event::Body::ExclusivePage(_), .. }));
    let whole = made_up(|_| {});
    assert!(whole.states.iter().any(|episode| episode.state == State::Exclusive && episode.lasted.is_some()));
    let lossy = made_up(|items| {
        let place = items.iter().position(is_exclusive).expect("an exclusive page");
        let loss =
            Loss { cause: LossCause::Lost, family: None, count: 3, after: 0, before: u64::MAX, kind: None };
        items.insert(place + 1, Item::Loss(loss));
    });
    let exclusive = lossy.states.iter().find(|episode| episode.state == State::Exclusive).expect("the state");
    assert_eq!((exclusive.to, exclusive.lasted), (None, None));
    assert_eq!(exclusive.ended_by.as_deref(), Some("events are missing"));
    assert!(text(&lossy, false, false).contains("3 events were lost here"));
}

#[test]
fn names_cannot_speak() {
    let history = made_up(|items| {
        for item in items {
            if let Item::Event(Event { body: crate::event::Body::ProcessExec(exec), .. }) = item {
                exec.comm = *b"BUG: \x1b[31mx\0\0\0\0\0";
            }
        }
    });
    for shown in [text(&history, true, false), json(&history)] {
        assert!(!shown.contains("BUG:") && !shown.contains('\u{1b}'));
    }
}
