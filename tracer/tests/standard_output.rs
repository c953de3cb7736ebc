//! Every subcommand that prints says so when its output goes nowhere: standard output is closed, or takes no more. A
//! reader that went away has seen enough.

use std::path::Path;
use std::process::{Command, Output};

const FIXTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/traces/6.12-demo.data");

/// What the program does with words in which FILE stands for a recording, with standard output as the shell is told.
fn run(words: &str, redirection: &str) -> Output {
    let words = words.replace("FILE", FIXTURE);
    let line = format!("exec '{}' {words} {redirection}", env!("CARGO_BIN_EXE_rmapscope"));
    Command::new("sh").args(["-c", &line]).output().expect("a shell runs")
}

/// One line for each that prints, with its exit code when it can.
const PRINTERS: [(&str, i32); 24] = [
    ("script -i FILE", 0),
    ("script -i FILE --json", 0),
    ("script -i FILE --header", 0),
    ("script -i FILE --stats", 0),
    ("script -F list", 0),
    ("report -i FILE", 0),
    ("report -i FILE --json", 0),
    ("report -i FILE --page 0x1000", 0),
    ("check -i FILE", 0),
    ("check -i FILE --format ktap", 0),
    ("check --list", 0),
    ("explain fork-restores-exclusive", 0),
    ("export -i FILE -f chrome -o -", 0),
    ("export -i FILE -f folded -o -", 0),
    ("export -i FILE -f ndjson -o -", 0),
    ("export -i FILE -f perfetto -o -", 0),
    ("export -f list", 0),
    ("diff FILE FILE", 0),
    ("diff FILE FILE --json", 0),
    ("record -e list", 0),
    ("completions bash", 0),
    ("--help", 0),
    ("script --help", 0),
    ("--version", 0),
];

#[test]
fn output_that_goes_nowhere_is_an_error() {
    for (words, code) in PRINTERS {
        assert_eq!(run(words, "2>&1").status.code(), Some(code), "{words}");
        for (redirection, why) in [(">&-", "Bad file descriptor"), (">/dev/full", "No space left on device")]
        {
            let output = run(words, redirection);
            let error = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(2), "{words} {redirection}: {error}");
            assert!(error.contains(why) && error.contains("\n  try: "), "{words} {redirection}: {error}");
            assert!(!error.contains("events printed"), "{words} {redirection}: {error}");
        }
    }
}

#[test]
fn a_reader_that_went_away_has_seen_enough() {
    for (words, code) in PRINTERS {
        let words = words.replace("FILE", FIXTURE);
        let program = env!("CARGO_BIN_EXE_rmapscope");
        let line = format!("'{program}' {words} | head -c 1 > /dev/null; echo ${{PIPESTATUS[0]}}");
        let output = Command::new("bash").args(["-c", &line]).output().expect("a shell runs");
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), code.to_string(), "{words}");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(!error.contains("cannot write"), "{words}: {error}");
    }
}

#[test]
fn what_needs_no_standard_output_works_without() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("out.json");
    let output = run(&format!("export -i FILE -f chrome -o '{}'", file.display()), ">&-");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(Path::new(&file).metadata().is_ok_and(|metadata| metadata.len() > 0));
}
