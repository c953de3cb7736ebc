//! Properties of whole graphs.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use quick_xml::Reader as XmlReader;
use quick_xml::events::Event as Xml;
use tracer_common::event::Kind;

use super::tree::Tree;
use super::*;
use crate::event::synthetic;
use crate::event::{Filter, Item, Sink};
use crate::event::{Weight, Weights};
use crate::trace_file::{FileHeader, Reader};

/// A profile of paths with counts and times.
fn profile(paths: &[(&str, u64, u64)]) -> Profile {
    let mut profile = Profile {
        duration: 1_000_000_000,
        origin: vec!["Linux <6.12> & \"x\"".to_owned()],
        ..Profile::default()
    };
    for (path, count, time) in paths {
        let path: Path = path.split(';').map(Arc::from).collect();
        let mut sum = Sum::of(Weights { count: 1, time: *time, pages: 1, bytes: 4096 });
        sum.add(&Sum::events(count - 1));
        profile.sums.entry(path).or_default().add(&sum);
    }
    profile
}

/// One frame of an SVG: vertical place, start, width, words.
#[derive(Debug)]
struct Shown {
    y: u64,
    start: u64,
    width: u64,
    title: String,
    fill: String,
}

/// Reads an SVG's frames.
fn frames(svg: &str) -> Vec<Shown> {
    let mut reader = XmlReader::from_str(svg);
    let mut frames = Vec::new();
    let mut title = String::new();
    let mut in_title = false;
    loop {
        match reader.read_event().expect("XML") {
            Xml::Eof => return frames,
            Xml::Start(start) if start.name().as_ref() == b"title" => {
                (in_title, title) = (true, String::new());
            }
            Xml::End(end) if end.name().as_ref() == b"title" => in_title = false,
            Xml::Text(text) if in_title => title += &text.decode().expect("text"),
            Xml::GeneralRef(entity) if in_title => {
                title += &format!("&{};", entity.decode().expect("entity"))
            }
            Xml::Empty(rect) if rect.try_get_attribute("fg:w").expect("attribute").is_some() => {
                let value = |name: &str| {
                    let value = rect.try_get_attribute(name).expect("attributes").expect("attribute");
                    String::from_utf8(value.value.into_owned()).expect("UTF-8")
                };
                let number = |name: &str| value(name).parse::<u64>().expect("number");
                frames.push(Shown {
                    y: number("y"),
                    start: number("fg:x"),
                    width: number("fg:w"),
                    title: title.clone(),
                    fill: value("fill"),
                });
            }
            _ => {}
        }
    }
}

/// Whether the frames upon each frame are no wider together, and lie within it.
fn assert_widths_add_up(svg: &str, total: u64) {
    let frames = frames(svg);
    let bottom = frames.iter().map(|frame| frame.y).max().expect("frames");
    let mut rows: BTreeMap<u64, Vec<&Shown>> = BTreeMap::new();
    for frame in &frames {
        rows.entry((bottom - frame.y) / 16).or_default().push(frame);
    }
    assert_eq!((rows[&0].len(), rows[&0][0].width), (1, total));
    for (depth, row) in rows.iter().filter(|(depth, _)| **depth > 0) {
        let mut used: BTreeMap<u64, u64> = BTreeMap::new();
        for frame in row {
            let below = rows[&(depth - 1)].iter().find(|below| {
                below.start <= frame.start && frame.start + frame.width <= below.start + below.width
            });
            *used.entry(below.expect("a frame below").start).or_default() += frame.width;
        }
        for below in &rows[&(depth - 1)] {
            assert!(used.get(&below.start).copied().unwrap_or_default() <= below.width, "{below:?}");
        }
    }
}

fn style(weight: Weight) -> Style {
    Style { weight, ..Style::default() }
}

#[test]
fn the_time_of_an_inner_call_counts_once() {
    let profile = profile(&[
        ("sh;reclaim;try_to_unmap", 2, 100),
        ("sh;reclaim;try_to_unmap;rmap_walk;try_to_unmap_one", 3, 60),
        ("sh;reclaim;try_to_unmap;rmap_walk;try_to_unmap_one;lock", 3, 70),
        ("sh;fork", 1, 5),
    ]);
    let folded: Vec<_> = profile.folded(Weight::Time).collect();
    assert_eq!(
        folded,
        [
            ("sh;fork".to_owned(), 5),
            ("sh;reclaim;try_to_unmap".to_owned(), 30),
            ("sh;reclaim;try_to_unmap;rmap_walk;try_to_unmap_one;lock".to_owned(), 70),
        ]
    );
    assert_eq!(profile.totals().time, 235);
    let counts: u64 = profile.folded(Weight::Count).map(|(_, count)| count).sum();
    assert_eq!(counts, 9);
}

#[test]
fn a_name_that_sorts_between_a_function_and_its_callees_does_not_split_it() {
    let profile = profile(&[("sh;a", 1, 0), ("sh;a;b", 1, 0), ("sh;a.isra.0", 1, 0), ("sh;a b;c", 1, 0)]);
    let svg = svg(&profile, &style(Weight::Count)).unwrap();
    let shown = frames(&svg);
    assert_eq!(shown.iter().filter(|frame| frame.title.starts_with("a (")).count(), 1);
    assert!(shown.iter().any(|frame| frame.title == "a (2 events, 50.00%)"));
    assert_widths_add_up(&svg, 4);
}

#[test]
fn the_same_profile_gives_the_same_bytes_and_nothing_of_it_is_markup() {
    let profile = profile(&[("<script>alert(1)</script>&\"';f", 7, 0), ("b;f", 3, 0)]);
    let first = svg(&profile, &style(Weight::Count)).unwrap();
    assert_eq!(first, svg(&profile, &style(Weight::Count)).unwrap());
    assert!(!first.contains("<script>alert"));
    assert!(first.contains("Linux &lt;6.12&gt; &amp; "));
    assert!(matches!(svg(&Profile::default(), &style(Weight::Time)), Err(FlameError::Nothing("time"))));
}

#[test]
fn losses_are_frames_and_are_said() {
    let mut profile = profile(&[("sh;f", 7, 50)]);
    profile.missing = [3, 0, 0];
    profile.sums.insert(Box::new([Arc::from("[lost: ring full]")]), Sum::events(3));
    let counts = svg(&profile, &style(Weight::Count)).unwrap();
    assert!(frames(&counts).iter().any(|frame| frame.title == "[lost: ring full] (3 events, 30.00%)"));
    assert!(counts.contains("3 events are missing and frames at the root: 3 lost: ring full"));
    assert_eq!(profile.totals().count, 7);
    let times = svg(&profile, &style(Weight::Time)).unwrap();
    assert!(times.contains("3 events are missing and in no frame: 3 lost: ring full"));
}

#[test]
fn a_difference_colours_every_level_and_keeps_what_vanished() {
    let before = profile(&[("sh;reclaim;unmap", 1000, 0), ("sh;fork", 500, 0), ("old;gone", 100, 0)]);
    let after = profile(&[("sh;reclaim;unmap", 3000, 0), ("sh;fork", 510, 0)]);
    let svg =
        difference_svg(&before, &after, &Basis::second(&before, &after).unwrap(), &style(Weight::Count))
            .unwrap();
    let shown = frames(&svg);
    let frame = |name: &str| shown.iter().find(|frame| frame.title.starts_with(name)).unwrap();
    let colour = |name: &str| -> Vec<i32> {
        let fill = frame(name).fill.trim_start_matches("rgb(").trim_end_matches(')').to_owned();
        fill.split(',').map(|part| part.parse().unwrap()).collect()
    };
    for name in ["unmap +200%", "reclaim +200%", "sh +134%"] {
        assert!(colour(name)[0] > colour(name)[2], "{name}: {:?}", colour(name));
    }
    for name in ["old gone", "gone gone"] {
        assert!(colour(name)[0] < colour(name)[2], "{name}: {:?}", colour(name));
    }
    assert_eq!(colour("fork"), [226, 226, 226]);
    assert!(
        frame("fork (before 500 events = 500 events per second, after 510 events")
            .title
            .contains("within noise")
    );
    assert_eq!(frame("gone gone").width, frame("old gone").width);
}

#[test]
fn a_difference_needs_its_basis() {
    let some = profile(&[("sh;f", 1, 0)]);
    let mut none = some.clone();
    none.duration = 0;
    let refused = Basis::second(&some, &none);
    assert!(matches!(refused, Err(FlameError::NoBasis { side: "after", basis }) if basis == "second"));
    assert!(difference_svg(&some, &none, &Basis::raw(), &style(Weight::Count)).is_ok());
}

#[test]
fn every_event_and_loss_of_a_stream_is_in_the_profile() {
    let mut header = FileHeader::new(synthetic::description());
    header.options.stacks = true;
    let mut profiler = Profiler::new(&header, Filter::default(), Grouping::Process);
    let mut decoded = Profiler::new(&header, Filter::default(), Grouping::Process);
    let (mut events, mut lost) = (0, 0);
    for item in synthetic::stream() {
        decoded.item(&item).unwrap();
        match &item {
            Item::Event(event) => {
                events += 1;
                profiler.record(&[event.header.bytes(), event.body.bytes()].concat()).unwrap();
            }
            item => {
                if let Item::Loss(loss) = item {
                    lost += loss.count;
                }
                profiler.item(item).unwrap();
            }
        }
    }
    let profile = profiler.finish(None);
    assert_eq!(profile.sums, decoded.finish(None).sums);
    assert_eq!(profile.totals().count, events);
    assert!(profile.events_missing() >= lost);
    let folded: u64 = profile.folded(Weight::Count).map(|(_, count)| count).sum();
    assert_eq!(folded, events + profile.events_missing());
}

#[test]
fn a_stack_id_that_is_given_again_means_the_new_stack() {
    let header = FileHeader::new(synthetic::description());
    let mut profiler = Profiler::new(&header, Filter::default(), Grouping::Comm);
    let event = synthetic::stream()
        .into_iter()
        .find_map(|item| match item {
            Item::Event(event) if event.kind() == Kind::TryToUnmap => Some(event),
            _ => None,
        })
        .expect("an event");
    let stack = |symbol: &str| {
        let frame =
            crate::event::Frame { address: 1, symbol: Some(symbol.to_owned()), offset: 40, module: None };
        Item::Stack(crate::event::StackEntry { id: 5, frames: vec![frame] })
    };
    let mut event = event;
    event.header.stack = 5;
    for symbol in ["one", "two"] {
        profiler.item(&stack(symbol)).unwrap();
        profiler.item(&Item::Event(event)).unwrap();
    }
    event.header.stack = -17;
    profiler.item(&Item::Event(event)).unwrap();
    let folded: Vec<_> = profiler.finish(None).folded(Weight::Count).map(|(path, _)| path).collect();
    assert_eq!(folded.len(), 3, "{folded:?}");
    for part in [";one;", ";two;", ";[stack lost: EEXIST];"] {
        assert!(folded.iter().any(|path| path.contains(part)), "{folded:?}");
    }
}

/// A trace that was recorded.
fn recorded(name: &str) -> Profile {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/traces");
    let mut reader = Reader::open(folder.join(name)).expect("a trace");
    let mut profiler = Profiler::new(reader.header(), Filter::default(), Grouping::Comm);
    assert_eq!(reader.drive(&mut profiler).unwrap(), None);
    profiler.finish(None)
}

#[test]
fn recorded_traces_are_drawn_whole_and_the_probed_function_is_once_the_leaf() {
    for name in ["hmm-demo.data", "6.12-demo.data", "6.1-demo.data"] {
        let profile = recorded(name);
        for weight in Weight::ALL {
            let total: u64 = profile.folded(weight).map(|(_, own)| own).sum();
            assert_widths_add_up(&svg(&profile, &style(weight)).unwrap(), total);
        }
        let counts: u64 = profile.folded(Weight::Count).map(|(_, own)| own).sum();
        assert_eq!(counts, profile.totals().count + profile.events_missing(), "{name}");
        for (path, _) in profile.folded(Weight::Count) {
            assert!(!path.contains("bpf_trace_run") && !path.contains("bpf_prog"), "{name}: {path}");
            let frames: Vec<&str> = path.split(';').collect();
            let leaf = frames.last().unwrap();
            assert!(profile.families.contains_key(*leaf) || leaf.starts_with('['), "{name}: {path}");
            assert!(frames.len() < 2 || frames[frames.len() - 2] != *leaf, "{name}: {path}");
        }
    }
}

#[test]
fn the_same_work_twice_shows_no_difference_and_more_of_it_does() {
    for kernel in ["hmm", "6.12", "6.1"] {
        let [one, two] = ["1", "2"].map(|run| recorded(&format!("{kernel}-pageout-{run}.data")));
        for weight in [Weight::Count, Weight::Time] {
            let same = difference_svg(&one, &two, &Basis::raw(), &style(weight)).unwrap();
            for frame in frames(&same) {
                assert!(frame.title.contains("within noise"), "{kernel} {}: {frame:?}", weight.name());
            }
            let mut more = two.clone();
            more.merge(two.clone());
            let more = difference_svg(&one, &more, &Basis::raw(), &style(weight)).unwrap();
            let is_shown = frames(&more).iter().any(|frame| frame.title.starts_with("try_to_unmap +"));
            // A few calls that took long, in a guest whose CPU is emulated, leave twice the time within noise.
            assert!(is_shown || weight == Weight::Time, "{kernel}");
            let runs = Basis::new("run", [1.0, 2.0]).unwrap();
            let mut twice = two.clone();
            twice.merge(two.clone());
            let each = difference_svg(&one, &twice, &runs, &style(weight)).unwrap();
            assert!(frames(&each).iter().all(|frame| frame.title.contains("within noise")));
        }
    }
}

fn paths() -> impl Strategy<Value = Vec<(String, u64, u64)>> {
    let path = proptest::collection::vec("[ab][ab. ]{0,2}x", 1..6).prop_map(|path| path.join(";"));
    proptest::collection::vec((path, 1_u64..1000, 0_u64..10_000), 1..30)
}

fn profile_of(paths: &[(String, u64, u64)]) -> Profile {
    profile(&paths.iter().map(|(path, count, time)| (&**path, *count, *time)).collect::<Vec<_>>())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn widths_add_up(paths in paths(), inverted: bool) {
        let profile = profile_of(&paths);
        for weight in Weight::ALL {
            let total: u64 = profile.folded(weight).map(|(_, own)| own).sum();
            if total > 0 {
                let svg = svg(&profile, &Style { inverted: false, ..style(weight) }).unwrap();
                assert_widths_add_up(&svg, total);
            }
        }
        let time: u64 = profile.folded(Weight::Time).map(|(_, own)| own).sum();
        prop_assert!(time <= profile.totals().time);
        prop_assert_eq!(profile.folded(Weight::Count).map(|(_, own)| own).sum::<u64>(), profile.totals().count);
        let upside_down = svg(&profile, &Style { inverted, ..Style::default() });
        prop_assert!(upside_down.is_ok());
    }

    #[test]
    fn differences_add_up(before in paths(), after in paths()) {
        let (before, after) = (profile_of(&before), profile_of(&after));
        let bases = [Ok(Basis::raw()), Basis::second(&before, &after), Basis::event(&before, &after), Basis::page(&before, &after)];
        for basis in bases {
            let svg = difference_svg(&before, &after, &basis.unwrap(), &style(Weight::Count)).unwrap();
            let whole = frames(&svg).iter().map(|frame| frame.width).max().unwrap();
            assert_widths_add_up(&svg, whole);
        }
        let tree = Tree::new([&before, &after], Weight::Count, |own| own[0].max(own[1]) as u64);
        let root = tree.nodes[0].sides.map(|side| side.value as u64);
        prop_assert_eq!(root, [before.totals().count, after.totals().count]);
        let same = Tree::new([&before, &before], Weight::Time, |own| own[0] as u64);
        for node in &same.nodes {
            prop_assert_eq!(node.sides[0], node.sides[1]);
            prop_assert!(node.width as f64 == node.sides[0].value);
        }
    }
}
