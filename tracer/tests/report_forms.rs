//! The report as text and JSON: against golden files, against log scanners, against its schema.

#[expect(dead_code, reason = "other tests use the rest of it")]
mod check_common;
mod golden_common;
mod report_common;

use golden_common::assert_golden;
use report_common::full;
use rmapscope::check::Verdict;
use rmapscope::event::Weight;
use rmapscope::report::model::Report;
use rmapscope::report::text::{Layout, Section, render};
use rmapscope::report::{aggregate, json};
use rmapscope::trace_file::Reader;
use serde_json::Value;

const HOSTILE: &str = "evil\u{1b}[2J\u{202e} <&> BUG: #";

fn golden(name: &str, printed: &str) {
    assert_golden(format!("tests/golden/{name}"), printed);
}

fn text(report: &Report, layout: Layout) -> String {
    render(report, &Section::ALL, Weight::Count, layout)
}

fn made() -> Report {
    full(HOSTILE, check_common::full(HOSTILE))
}

/// The report of a recorded trace of `tests/fixtures/traces`.
fn recorded(name: &str) -> Report {
    let path = format!("{}/../tests/fixtures/traces/{name}", env!("CARGO_MANIFEST_DIR"));
    let mut reader = Reader::open(path).expect("a recorded trace");
    let options = aggregate::Options { top: 10, ..aggregate::Options::default() };
    let mut aggregator = aggregate::Aggregator::new(reader.header(), options);
    let incomplete = reader.drive(&mut aggregator).unwrap();
    aggregator.finish(incomplete)
}

const RECORDED: [&str; 4] = ["hmm-demo", "6.12-demo", "6.1-demo", "6.1-pageout-1"];

#[test]
fn golden_files() {
    let report = made();
    golden("report.txt", &text(&report, Layout::default()));
    golden(
        "report-unicode.txt",
        &text(&report, Layout { width: 120, color: true, unicode: true, frames: 99 }),
    );
    golden("report.json", &json::render(&report).expect("JSON"));
    for name in RECORDED {
        golden(&format!("report-{name}.txt"), &text(&recorded(&format!("{name}.data")), Layout::default()));
    }
}

#[test]
fn lines_fit() {
    let mut reports = vec![made()];
    reports.extend(RECORDED.map(|name| recorded(&format!("{name}.data"))));
    for report in reports {
        for (width, unicode) in [(80, false), (100, true), (200, true)] {
            for line in text(&report, Layout { width, unicode, ..Layout::default() }).lines() {
                assert!(line.chars().count() <= width, "{width}: {line}");
            }
        }
    }
}

#[test]
fn names_alarm_nobody_and_change_no_terminal() {
    for printed in [text(&made(), Layout::default()), json::render(&made()).expect("JSON")] {
        assert!(!printed.contains("BUG:") && !printed.contains('\u{1b}') && !printed.contains('\u{202e}'));
        assert!(printed.contains("evil"));
    }
    assert!(text(&made(), Layout::default()).is_ascii());
}

#[test]
fn sections_are_chosen_and_the_empty_ones_named() {
    let report = recorded("6.1-pageout-1.data");
    let layout = Layout::default();
    let chosen = render(&report, &[Section::Stacks, Section::Events], Weight::Count, layout);
    assert!(chosen.contains("\nEvents") && !chosen.contains("\nLatency"), "{chosen}");
    assert!(chosen.ends_with("left out: stacks (no stacks recorded: record with -g)\n"), "{chosen}");
}

#[test]
fn json_keeps_to_its_schema() {
    let read = |name: &str| -> Value {
        let path = format!("{}/../docs/{name}", env!("CARGO_MANIFEST_DIR"));
        serde_json::from_str(&std::fs::read_to_string(path).expect("the schema")).expect("JSON")
    };
    let registry = jsonschema::Registry::new()
        .add("json-schema:///verdict.schema.json", read("verdict.schema.json"))
        .and_then(jsonschema::RegistryBuilder::prepare)
        .expect("schemas");
    let schema = read("report.schema.json");
    let validator = jsonschema::options().with_registry(&registry).build(&schema).expect("the schema is one");
    let mut reports = vec![made()];
    reports.extend(RECORDED.map(|name| recorded(&format!("{name}.data"))));
    let nothing = Verdict { rules: vec![], diagnoses: vec![], probes: vec![], ..check_common::full("x") };
    reports.push(Report { by: None, filter: None, verdict: nothing, ..made() });
    for report in reports {
        let printed: Value = serde_json::from_str(&json::render(&report).expect("JSON")).expect("JSON");
        let errors: Vec<String> = validator
            .iter_errors(&printed)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{errors:?}");
        assert_eq!(printed["verdict"]["type"], "verdict");
        assert_eq!(printed["total"]["count"], report.total.count);
    }
}
