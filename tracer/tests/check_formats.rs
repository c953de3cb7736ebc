//! The forms of a verdict: against golden files, against log scanners, against their schemas.

mod check_common;
mod golden_common;

use check_common::{full, single};
use golden_common::assert_golden;
use rmapscope::check::formats::{Form, Origin};
use rmapscope::check::{Outcome, Verdict};
use serde_json::{Value, json};

/// Names that a thread, a device or a command line can have, and more.
const HOSTILE: [&str; 12] = [
    "BUG: x",
    "WARNING: a",
    "Oops: 0",
    "\u{1b}[2Jx\n\r\t",
    "kernel BUG at mm/rmap.c:1\nOops - BUG:\nWARNING: CPU: 0\nCall Trace:\nKernel panic - not syncing: x",
    "------------[ cut here ]------------\n---[ end trace 0 ]---",
    "not ok 1 x # y\nok 2\n1..7\n# Subtest: x\nKTAP version 1\nreboot: System halted",
    "::error title=x::y\n##[error]x",
    "]]><failure/>&amp;\"'<x>\u{0}\u{1}\u{fffe}",
    "%0A::error::x",
    "\u{202e}\u{2028}\u{200b}",
    "\"}],\"x\":[{\"",
];

fn forms() -> [(&'static str, Form); 7] {
    let origin = Origin::new("rmapscope_test", "other_ci:build-1").expect("an origin");
    [
        ("check.txt", Form::Text { color: false }),
        ("check-color.txt", Form::Text { color: true }),
        ("check.ktap", Form::Ktap),
        ("check.junit.xml", Form::Junit),
        ("check.json", Form::Json),
        ("check.kcidb.json", Form::Kcidb(origin)),
        ("check.github", Form::Github),
    ]
}

fn render(form: &Form, verdict: &Verdict) -> String {
    form.render(verdict).expect("a verdict can be written")
}

#[test]
fn golden_files() {
    for (name, form) in forms() {
        let printed = render(&form, &full("evil\u{1b}[2J <&> BUG: #"));
        assert_golden(format!("tests/golden/{name}"), &printed);
    }
}

/// What SQUAD (squad/plugins/linux_log_parser.py, 2d1bf924) looks for in a log, without its regular expressions.
fn alarms(line: &str) -> Option<&'static str> {
    let behind_something = |word: &str| line.find(word).is_some_and(|place| place > 0);
    let one_liners =
        ["Oops -", "Oops:", "Unhandled fault", "WARNING:", " kernel BUG at", "BUG:", "invalid opcode:"];
    let anywhere = ["Kernel panic - ", "[ cut here ]", "[ end trace", "Internal error: Oops", "Call Trace:"];
    one_liners
        .into_iter()
        .find(|word| behind_something(word))
        .or_else(|| anywhere.into_iter().find(|word| line.contains(word)))
}

#[test]
fn log_scanners_find_no_kernel_failure() {
    for hostile in HOSTILE {
        for (name, form) in forms() {
            for line in render(&form, &full(hostile)).lines() {
                assert_eq!(alarms(line), None, "{name}: {line}");
                assert!(!line.contains("##["), "{name}: {line}");
                let is_command = line.trim_start().starts_with("::");
                assert!(!is_command || form == Form::Github, "{name}: {line}");
            }
        }
    }
}

#[test]
fn names_add_no_lines_and_no_terminal_codes() {
    for (name, form) in forms() {
        for hostile in HOSTILE {
            let printed = render(&form, &full(hostile));
            let strange = |character: char| character.is_control() && !matches!(character, '\n' | '\u{1b}');
            assert!(!printed.contains(strange), "{name}: {hostile:?}");
            if name != "check-color.txt" {
                assert!(!printed.contains('\u{1b}'), "{name}: {hostile:?}");
            }
            assert!(!printed.contains('\u{202e}'), "{name}");
        }
    }
}

#[test]
fn lines_are_at_most_a_hundred_columns_wide() {
    for form in [Form::Text { color: false }, Form::Ktap] {
        for line in render(&form, &full("name")).lines().filter(|line| !line.contains("ok ")) {
            assert!(line.chars().count() <= 100, "{line}");
        }
    }
}

#[test]
fn ktap_has_a_plan_and_a_line_for_each_rule() {
    for hostile in HOSTILE {
        let printed = render(&Form::Ktap, &full(hostile));
        let mut lines = printed.lines().filter(|line| !line.starts_with("# "));
        assert_eq!(lines.next(), Some("KTAP version 1"));
        assert_eq!(lines.next(), Some("1..5"));
        assert_eq!(lines.next(), Some("ok 1 migration-entry-locked"));
        assert_eq!(lines.next(), Some("not ok 2 fork-restores-exclusive"));
        assert!(lines.next().is_some_and(|line| line.starts_with("not ok 3 swiotlb-paired # ERROR ")));
        assert!(lines.next().is_some_and(|line| line.starts_with("not ok 4 restore-remlocks # ERROR ")));
        assert!(lines.next().is_some_and(|line| line.starts_with("ok 5 munlock-walk-complete # SKIP ")));
        assert_eq!(lines.next(), None);
        // The kernel's parser takes this for the head of a nested test.
        assert!(!printed.lines().any(|line| line.trim_start().starts_with("# Subtest:")));
        assert!(!printed.contains("reboot: "));
    }
}

#[test]
fn junit_can_be_read_back() {
    for hostile in HOSTILE {
        let printed = render(&Form::Junit, &full(hostile));
        let report = quick_junit::Report::deserialize_from_str(&printed).expect(&printed);
        let suite = &report.test_suites[0];
        assert_eq!((suite.tests, suite.failures, suite.errors, suite.skipped), (5, 1, 2, 1));
        assert_eq!(suite.time.map(|time| time.as_secs()), Some(14));
    }
}

#[test]
fn json_keeps_to_its_schema() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/verdict.schema.json");
    let schema: Value =
        serde_json::from_str(&std::fs::read_to_string(path).expect("docs/verdict.schema.json"))
            .expect("the schema is JSON");
    let validator = jsonschema::draft202012::new(&schema).expect("the schema is one");
    let mut verdicts: Vec<Verdict> = HOSTILE.map(full).into();
    verdicts.push(Verdict { rules: vec![], diagnoses: vec![], probes: vec![], ..full("name") });
    for verdict in verdicts {
        let printed: Value = serde_json::from_str(&render(&Form::Json, &verdict)).expect("JSON");
        let errors: Vec<String> = validator.iter_errors(&printed).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{errors:?}");
        assert_eq!(printed["counts"]["rules"], json!(verdict.rules.len()));
        if let Some(evidence) = printed.pointer("/rules/1/evidence/0") {
            assert_eq!(evidence["address"], "0x7f1234567000");
            assert_eq!(evidence["pfn"], "0x12345");
            assert_eq!(evidence["actor"]["comm"], json!(verdict.rules[1].evidence[0].actor.comm));
            assert_eq!(evidence["actor"]["stack"][0]["address"], "0xffffffff812346a2");
        }
    }
}

/// Everything that the schema 5.3 of kcidb-io asks of a test and that can be asked without it.
#[test]
fn kcidb_keeps_to_the_schema() {
    let form = Form::Kcidb(Origin::new("maestro_2", "maestro:0af").expect("an origin"));
    for hostile in HOSTILE {
        let mut verdict = full(hostile);
        verdict.rules[1].evidence = vec![verdict.rules[1].evidence[0].clone(); 100];
        let document: Value = serde_json::from_str(&render(&form, &verdict)).expect("JSON");
        assert_eq!(document["version"], json!({ "major": 5, "minor": 3 }));
        let tests = document["tests"].as_array().expect("tests");
        let mut ids = std::collections::HashSet::new();
        for test in tests {
            let text = |name: &str| test[name].as_str().expect(name);
            assert!(text("id").starts_with("maestro_2:") && ids.insert(text("id")));
            assert_eq!((text("origin"), text("build_id")), ("maestro_2", "maestro:0af"));
            let mut words = text("path").split('.');
            assert!(words.all(|word| {
                !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c))
            }));
            assert!(text("log_excerpt").chars().count() <= 16384 && !text("log_excerpt").contains('\0'));
            assert!(text("comment").find('\0').is_none());
            assert_eq!(text("start_time"), "2025-11-22T19:00:00.123456Z");
            assert_eq!(test["duration"], json!(14.0));
            assert!(test["number"]["value"].is_u64() || test.get("number").is_none());
            let known = ["environment", "status", "misc", "number"];
            assert!(known[..3].iter().all(|name| !test[*name].is_null()));
        }
        let statuses: Vec<&str> = tests.iter().filter_map(|test| test["status"].as_str()).collect();
        assert_eq!(statuses, ["PASS", "FAIL", "ERROR", "MISS", "SKIP"]);
    }
}

#[test]
fn origins_are_those_that_kcidb_takes() {
    assert!(Origin::new("maestro", "maestro:1:2").is_ok());
    for (name, build) in [("", "a:b"), ("A", "a:b"), ("a", "b"), ("a", ":b"), ("a", "B:c"), ("a-b", "a:b")] {
        assert!(Origin::new(name, build).is_err(), "{name} {build}");
    }
}

#[test]
fn annotations_are_one_line_each() {
    let printed = render(&Form::Github, &full("100%\r\n::error::"));
    let lines: Vec<&str> = printed.lines().collect();
    assert_eq!(lines.len(), 4);
    assert!(lines[0].starts_with("::error title=rmapscope fork-restores-exclusive::2 of 37: "));
    assert!(lines[0].contains("100%25") && lines[0].contains("%0A"));
    assert!(lines[1].starts_with("::warning title=rmapscope swiotlb-paired::"));
    assert!(lines[3].starts_with("::notice title=rmapscope fork-enomem-exclusive::"));
    assert_eq!(render(&Form::Github, &single(Outcome::NotExercised)).lines().count(), 1);
}
