//! `rmapscope diff` on recordings of real kernels: the same workload twice shows no difference, gates have exit
//! codes and forms, and the JSON keeps its schema.

use std::path::PathBuf;
use std::process::{Command, Output};

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/traces").join(name)
}

fn diff(arguments: &[&str]) -> Output {
    let resolve = |argument: &&str| match argument.strip_suffix(".data") {
        Some(_) => fixture(argument).into_os_string(),
        None => argument.into(),
    };
    let mut command = Command::new(env!("CARGO_BIN_EXE_rmapscope"));
    command.arg("diff").args(arguments.iter().map(resolve)).output().expect("the program runs")
}

fn json(arguments: &[&str]) -> serde_json::Value {
    let output = diff(&[&["--json"], arguments].concat());
    let value = serde_json::from_slice(&output.stdout).expect("JSON");
    let schema = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/diff.schema.json"));
    let schema = serde_json::from_str(&schema.expect("the schema")).expect("JSON");
    let validator = jsonschema::draft202012::new(&schema).expect("the schema is one");
    let errors: Vec<String> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:?}");
    value
}

fn differences(value: &serde_json::Value) -> Vec<String> {
    let rows = value["rows"].as_array().expect("rows").iter();
    rows.filter(|row| matches!(row["verdict"]["word"].as_str(), Some("faster" | "slower" | "more" | "fewer")))
        .map(|row| format!("{}.{}", row["event"], row["quantity"]))
        .collect()
}

#[test]
fn the_same_workload_twice_shows_no_difference() {
    for kernel in ["6.1", "6.12", "hmm"] {
        let [a, b] = [1, 2].map(|run| format!("{kernel}-pageout-{run}.data"));
        let value = json(&[&a, &b]);
        assert_eq!(differences(&value), Vec::<String>::new(), "{kernel}");
        assert_eq!(value["basis"], "run");
        let is_rate = |row: &&serde_json::Value| row["event"] == "try_to_unmap" && row["quantity"] == "rate";
        let rate = value["rows"].as_array().unwrap().iter().find(is_rate).unwrap();
        assert_eq!(rate["verdict"]["word"], "same");
    }
}

#[test]
fn another_kernel_and_what_it_cannot_do_are_told() {
    let value = json(&["hmm-demo.data", "6.12-demo.data"]);
    let what: Vec<_> = value["differences"].as_array().unwrap().iter().map(|row| &row["what"]).collect();
    assert!(what.contains(&&"kernel".into()), "{what:?}");
    let rows = value["rows"].as_array().unwrap();
    let exclusive = rows.iter().find(|row| row["event"] == "make_device_exclusive").expect("a row");
    assert_eq!(exclusive["verdict"]["because"], "B did not watch it");
    assert!(value["rules"].as_array().unwrap().iter().any(|rule| rule["after"] == "not_exercised"));
}

#[test]
fn gates_have_exit_codes_and_forms() {
    let folder = tempfile::tempdir().expect("a folder");
    let [ktap, junit] =
        ["gates.ktap", "gates.xml"].map(|name| folder.path().join(name).display().to_string());
    let files = ["--ktap", &ktap, "--junit", &junit, "6.12-pageout-1.data", "6.12-pageout-2.data"];
    let gate = |gates: &[&str]| {
        let gates: Vec<&str> = gates.iter().flat_map(|gate| ["--gate", gate]).collect();
        diff(&[&files[..], &gates].concat()).status.code()
    };
    assert_eq!(gate(&["lost == 0", "rules.violated == 0", "try_to_unmap.p50 < +100%"]), Some(0));
    assert_eq!(gate(&["lost == 0", "copy_page_range.p99 < 2ms"]), Some(3));
    assert_eq!(gate(&["lost == 0", "copy_page_range.p99 < 2ms", "try_to_unmap.p50 < 1ns"]), Some(1));
    let ktap = std::fs::read_to_string(ktap).expect("KTAP");
    assert!(ktap.starts_with("KTAP version 1\n1..3\n"), "{ktap}");
    assert!(
        ktap.contains("\nok 1 lost == 0\n")
            && ktap.contains("\nnot ok 2 copy_page_range.p99 < 2ms # ERROR inconclusive: ")
    );
    assert!(ktap.contains("\nnot ok 3 try_to_unmap.p50 < 1ns\n"), "{ktap}");
    let junit = std::fs::read_to_string(junit).expect("XML");
    assert!(
        junit.contains("tests=\"3\"") && junit.contains("failures=\"1\"") && junit.contains("errors=\"1\""),
        "{junit}"
    );
}

/// A copy of a fixture without its last part.
fn cut(folder: &tempfile::TempDir, name: &str, keep: impl Fn(usize) -> usize) -> String {
    let bytes = std::fs::read(fixture(name)).expect("the fixture is there");
    let path = folder.path().join(format!("cut-{name}")).display().to_string();
    std::fs::write(&path, &bytes[..keep(bytes.len())]).expect("a copy");
    path
}

#[test]
fn gates_on_a_part_of_a_file_are_inconclusive() {
    let folder = tempfile::tempdir().expect("a folder");
    let [ktap, junit] =
        ["gates.ktap", "gates.xml"].map(|name| folder.path().join(name).display().to_string());
    let whole = fixture("6.12-pageout-1.data").display().to_string();
    let part = cut(&folder, "6.12-pageout-2.data", |length| length - length / 4);
    let gate = ["--gate", "lost == 0", "--ktap", &ktap, "--junit", &junit];
    for files in [
        vec![whole.as_str(), part.as_str()],
        vec!["--before", &whole, &whole, "--after", &whole, &part],
        vec!["--before", &part, "--after", &part, &whole],
    ] {
        let output = diff(&[&files[..], &gate].concat());
        let text = String::from_utf8(output.stdout).expect("text");
        assert_eq!(output.status.code(), Some(3), "{files:?}: {text}");
        assert!(text.lines().next().is_some_and(|line| line.ends_with("B is incomplete")), "{text}");
        let ktap = std::fs::read_to_string(&ktap).expect("KTAP");
        assert!(
            ktap.contains("not ok 1 lost == 0 # ERROR inconclusive: 0 in B, but B is incomplete"),
            "{ktap}"
        );
        let junit = std::fs::read_to_string(&junit).expect("XML");
        assert!(junit.contains("errors=\"1\"") && junit.contains("B is incomplete"), "{junit}");
    }
    let value = json(&[&whole, &part, "--gate", "lost == 0"]);
    assert_eq!(value["gates"][0]["outcome"], "inconclusive");
    assert!(value["after"][0]["incomplete"].as_str().is_some_and(|why| why.contains("cut")), "{value}");
    let rows = value["rows"].as_array().expect("rows");
    let rate = rows.iter().find(|row| row["event"] == "try_to_unmap" && row["quantity"] == "rate");
    assert_eq!(rate.expect("a row")["verdict"]["because"], "B is incomplete");
}

/// Where the frame of the summary begins.
fn before_summary(name: &str) -> usize {
    let bytes = std::fs::read(fixture(name)).expect("the fixture is there");
    let magic = *b"\xf5RMF";
    bytes.windows(magic.len()).rposition(|window| window == magic).expect("a frame")
}

#[test]
fn a_recording_without_an_end_lasted_from_its_first_event_to_its_last() {
    let folder = tempfile::tempdir().expect("a folder");
    let name = "6.12-demo.data";
    let unfinished = cut(&folder, name, |_| before_summary(name));
    let run = |words: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_rmapscope")).args(words).output().expect("it runs");
        let [out, error] = [output.stdout, output.stderr]
            .map(|bytes| String::from_utf8_lossy(&bytes).replace("\n    ", " "));
        (output.status.code(), out, error)
    };
    let first_and_last = |time: &str| -> f64 { time.trim().parse().expect("seconds") };
    let (_, times, _) = run(&["script", "-i", &unfinished, "-x", "tab", "-F", "time"]);
    let last = first_and_last(times.lines().last().expect("a line"));
    assert!(last > 1.0, "{last}");

    let (code, text, _) = run(&["check", "-i", &unfinished]);
    assert_eq!(code, Some(3));
    let shown = text.split(" events in ").nth(1).and_then(|rest| rest.split(" s, incomplete").next());
    let shown = first_and_last(shown.expect("a number of seconds"));
    assert!((shown - last).abs() < 1e-4, "{shown} is not {last}: {text}");
    assert!(text.contains("no summary: the recording did not end in order"), "{text}");
    let (_, document, _) = run(&["check", "-i", &unfinished, "--format", "json"]);
    let verdict: serde_json::Value = serde_json::from_str(&document).expect("JSON");
    let seconds = verdict["subject"]["duration"].as_f64().expect("a number") / 1e9;
    assert!((seconds - last).abs() < 1e-4 && verdict["subject"]["incomplete"].is_string(), "{seconds}");

    let (code, report, error) = run(&["report", "-i", &unfinished]);
    assert_eq!(code, Some(0), "{error}");
    assert!(report.starts_with("incomplete: the trace file has no summary"), "{report}");
    assert!(!report.contains("events in 0 "), "{report}");
    let (_, _, error) = run(&["script", "-i", &unfinished]);
    assert!(error.contains("no summary"), "{error}");
    let value = json(&[&unfinished, &unfinished, "--gate", "lost == 0"]);
    assert!((value["after"][0]["duration"].as_f64().expect("a number") / 1e9 - last).abs() < 1e-4, "{value}");
    assert_eq!(value["gates"][0]["outcome"], "inconclusive");
}

#[test]
fn mistakes_have_remedies() {
    let output = diff(&["--gate", "try_to_unmap.p99 < fast", "6.12-pageout-1.data", "6.12-pageout-2.data"]);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2));
    assert!(error.contains("\n  try_to_unmap.p99 < fast\n                     ^\n"), "{error}");
    assert_eq!(diff(&["6.12-pageout-1.data"]).status.code(), Some(2));
    assert_eq!(diff(&["--before", "6.12-pageout-1.data"]).status.code(), Some(2));
    assert_eq!(diff(&["-", "-"]).status.code(), Some(2));
    let copied = tempfile::NamedTempFile::new().expect("a file");
    std::fs::copy(fixture("6.12-pageout-1.data"), copied.path()).expect("a copy");
    let path = copied.path().display().to_string();
    assert_eq!(diff(&[&path, &path, "--gate", "lost == 0", "--ktap", &path]).status.code(), Some(2));
    assert!(
        std::fs::metadata(copied.path()).is_ok_and(|metadata| metadata.len() > 0),
        "no input is overwritten"
    );
}

#[test]
fn several_files_a_side_and_a_flame_graph() {
    let folder = tempfile::tempdir().expect("a folder");
    let svg = folder.path().join("difference.svg").display().to_string();
    let side = ["hmm-demo.data", "hmm-demo.data"];
    let output = diff(
        &[&["--before"], &side[..], &["--after"], &side[..1], &["--flame", &svg, "--weight", "time"]]
            .concat(),
    );
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("text");
    assert!(text.starts_with("no difference beyond noise"), "{text}");
    assert_eq!(text.matches("\nA: ").count(), 2);
    assert!(std::fs::read_to_string(svg).expect("a graph").contains("<svg"));
}
