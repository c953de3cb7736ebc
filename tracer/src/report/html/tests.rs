//! Tests of the page as text; those in a browser are `tests/tests/browser.rs`.

use std::collections::BTreeMap;

use super::*;
use crate::report::aggregate::{Aggregator, Options};
use crate::trace_file::Reader;

const HOSTILE: &str = "</script><script>alert(1)</script>\"'\u{202e}";

fn report() -> Report {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/traces/hmm-demo.data");
    let file = std::fs::File::open(path).expect("fixture");
    let mut reader = Reader::new(file).expect("header");
    let mut aggregator = Aggregator::new(reader.header(), Options::default());
    let incomplete = reader.drive(&mut aggregator).unwrap();
    aggregator.finish(incomplete)
}

fn html(report: &Report, flames: &[Flame]) -> String {
    let mut out = Vec::new();
    write(report, flames, &mut out).expect("memory");
    String::from_utf8(out).expect("UTF-8")
}

#[test]
fn names_become_neither_markup_nor_direction() {
    let mut report = report();
    report.verdict.subject.host = HOSTILE.to_owned();
    report.verdict.subject.command = Some(vec![HOSTILE.to_owned()]);
    report.losses.incomplete = Some(HOSTILE.to_owned());
    for page in &mut report.pages.hot.entries {
        page.comm = HOSTILE.to_owned();
    }
    for stack in &mut report.stacks.entries {
        stack.frames.push(HOSTILE.to_owned());
    }
    let flame = Flame { title: HOSTILE.to_owned(), svg: "<svg height=\"9\"></svg>".to_owned() };
    let html = html(&report, &[flame]);
    assert!(!html.contains("<script>alert") && !html.contains('\u{202e}'));
    assert_eq!(html.matches("</script>").count(), 1);
}

#[test]
fn nothing_is_fetched() {
    let html = html(&report(), &[]);
    for reach in ["http:", "https:", "url(\"", " src=", "@import", " style=\"", " onclick="] {
        assert!(!html.contains(reach), "{reach}");
    }
    assert!(html.contains("default-src &#39;none&#39;"));
}

#[test]
fn losses_are_on_top() {
    let mut report = report();
    report.losses.lost = BTreeMap::from([("rmap".to_owned(), 7)]);
    let html = html(&report, &[]);
    let alarm = html.find("7 events lost").expect("alarm");
    assert!(alarm < html.find("<main").expect("main"));
}

#[test]
fn text_contrasts_with_what_it_stands_on() {
    let schemes: Vec<BTreeMap<&str, f64>> = page::STYLE
        .lines()
        .filter(|line| line.contains(":root {"))
        .map(|line| {
            let declarations = line.split(['{', ';', '}']).filter_map(|part| part.trim().strip_prefix("--"));
            declarations
                .filter_map(|part| part.split_once(": #"))
                .map(|(name, hex)| (name, luminance(hex)))
                .collect()
        })
        .collect();
    assert_eq!(schemes.len(), 2);
    for scheme in &schemes {
        for (names, least) in
            [(&["text", "dim", "link", "good", "bad", "doubtful"][..], 4.5), (&["bar", "gap", "dim"], 3.0)]
        {
            for (name, paper) in names.iter().flat_map(|name| [(name, "paper"), (name, "panel")]) {
                let (one, other) = (scheme[name] + 0.05, scheme[paper] + 0.05);
                let contrast = one.max(other) / one.min(other);
                assert!(contrast >= least, "{name} on {paper}: {contrast:.2}");
            }
        }
    }
}

/// Relative luminance (WCAG 2.2).
fn luminance(hex: &str) -> f64 {
    let part = |place: usize| {
        let value = f64::from(u8::from_str_radix(&hex[place..place + 2], 16).expect("colour")) / 255.0;
        if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    };
    0.2126 * part(0) + 0.7152 * part(2) + 0.0722 * part(4)
}
