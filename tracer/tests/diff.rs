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
