//! The subcommand `report` on trace files, as a user runs it.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use rmapscope::event::{Body, Event, Header, Kind, ProcessEntry, Summary};
use rmapscope::kernel::Description;
use rmapscope::trace_file::{FileHeader, Writer};
use serde_json::Value;
use tracer_common::event::{FolioWalk, STACK_NONE};

/// What a process can call itself.
const HOSTILE: &str = "a\x1b[2J\nBUG: x";

/// A file with 100 events, each a millisecond after the other, half of each of two processes.
fn write(path: &Path, is_ended: bool) {
    let mut header = FileHeader::new(Description { release: "6.12.0".to_owned(), ..Description::default() });
    header.traced_command = Some(vec!["evil\x1b[2J".to_owned()]);
    let mut writer = Writer::create(path, &header).unwrap();
    for (pid, comm) in [(700, "quiet"), (701, HOSTILE)] {
        writer.process(&ProcessEntry { pid, tid: pid, parent: 1, comm: comm.to_owned() }).unwrap();
    }
    for index in 0..100 {
        let pid = 700 + (index % 2) as u32;
        let header = Header {
            time: 5_000_000_000 + index * 1_000_000,
            tid: pid,
            pid,
            kind: Kind::TryToUnmap as u16,
            cpu: 1,
            stack: STACK_NONE,
        };
        let walk = FolioWalk { page: 0, flags: 1, mapcount: 0, ttu_flags: 0x40, duration: 1 + index * 10 };
        writer.event(&Event { header, body: Body::TryToUnmap(walk) }).unwrap();
    }
    if is_ended {
        let summary = Summary { begin: 5_000_000_000, end: 5_100_000_000, ..Summary::default() };
        writer.finish(&summary).unwrap();
    } else {
        writer.flush().unwrap();
    }
}

struct Session {
    directory: tempfile::TempDir,
}

impl Session {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        write(&directory.path().join("rmapscope.data"), true);
        Self { directory }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("rmapscope.data")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rmapscope"));
        command.arg("report").args(arguments).current_dir(self.directory.path());
        command
    }

    fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let Output { status, stdout, stderr } = self.command(arguments).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (status.code().unwrap(), text(stdout), text(stderr))
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let (code, text, errors) = self.run(&[&["-j"], arguments].concat());
        assert_eq!((code, errors.as_str()), (0, ""), "{text}");
        serde_json::from_str(&text).unwrap()
    }
}

#[test]
fn text_says_what_happened() {
    let (code, text, errors) = Session::new().run(&[]);
    assert_eq!((code, errors.as_str()), (0, ""), "{text}");
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for wanted in ["Linux 6.12.0", "100 events in 100 ms", "no event lost", "Events", "try_to_unmap 100 "] {
        assert!(words.contains(wanted), "{wanted} in {text}");
    }
    assert!(text.lines().last().unwrap_or_default().len() <= 80, "{text}");
}

#[test]
fn names_cannot_change_the_terminal() {
    let session = Session::new();
    for arguments in [&[][..], &["-j"], &["--by", "comm"], &["-n", "!*quiet*"]] {
        let (code, text, _) = session.run(arguments);
        assert_eq!(code, 0);
        assert!(!text.contains('\x1b') && !text.contains("BUG:"), "{text}");
    }
    let report = session.json(&["--by", "comm"]);
    let named = |row: &Value| row["group"][0] == HOSTILE;
    assert!(report["by"]["rows"].as_array().unwrap().iter().any(named), "{report}");
}

#[test]
fn filters_narrow_the_sections_and_are_told() {
    let session = Session::new();
    let report = session.json(&["-p", "701", "--from", "50ms", "-e", "rmap"]);
    assert_eq!(report["total"]["count"], 25);
    assert_eq!(report["verdict"]["subject"]["events"], 100);
    assert_eq!(report["filter"], "-e rmap -p 701 --from 50ms");
    let (_, text, _) = session.run(&["-p", "701"]);
    assert!(text.contains("only -p 701: 50 of 100 events (the verdict is of all)"), "{text}");
    let (code, text, _) = session.run(&["-e", "swiotlb"]);
    assert!(code == 0 && text.contains("0 of 100 events") && text.contains("left out: events"), "{text}");
}

#[test]
fn tables_are_asked_for() {
    let session = Session::new();
    let report = session.json(&["--by", "event,pid", "--top", "1", "--sort", "time"]);
    let table = &report["by"];
    assert_eq!(table["keys"], serde_json::json!(["event", "pid"]));
    assert_eq!(table["rows"][0]["group"], serde_json::json!(["try_to_unmap", 701]));
    assert_eq!((&table["distinct"], &table["rest"]["count"]), (&Value::from(2), &Value::from(50)));
    let (_, text, _) = session.run(&["--section", "by,losses", "--by", "pid"]);
    assert!(text.contains("\nBy pid") && !text.contains("\nEvents"), "{text}");
}

#[test]
fn mistakes_are_told_with_a_remedy() {
    let session = Session::new();
    let refused = |arguments: &[&str], cause: &str| {
        let (code, text, errors) = session.run(arguments);
        assert_eq!((code, text.as_str()), (2, ""), "{arguments:?}: {errors}");
        assert!(errors.contains(cause), "{arguments:?}: {errors}");
    };
    refused(&["-i", "absent.data"], "absent.data");
    refused(&["-i", "."], ".");
    refused(&["-e", "try_to_unman"], "try_to_unmap");
    refused(&["--by", "proces"], "possible values: event, family, pid");
    refused(&["--sort", "size"], "possible values: count, time, pages, bytes");
    refused(&["--section", "latencies"], "'latency'");
    refused(&["--section", "latency", "-j"], "cannot be used with");
    refused(&["--live", "-i", "rmapscope.data"], "cannot be used with");
    std::fs::write(session.directory.path().join("perf.data"), b"PERFILE2 and more").unwrap();
    refused(&["-i", "perf.data"], "perf");
}

#[test]
fn files_are_opened_first_and_never_the_input() {
    let session = Session::new();
    let (before, input) = (std::fs::read(session.path()).unwrap(), "rmapscope.data");
    let refused = |arguments: &[&str], cause: &str| {
        let (code, text, errors) = session.run(arguments);
        assert_eq!((code, text.as_str()), (2, ""), "{arguments:?}: {errors}");
        assert!(errors.contains(cause) && errors.contains("try: "), "{arguments:?}: {errors}");
    };
    refused(&["--html", input], "is a trace file and is not overwritten");
    refused(&["--flame", input], "is a trace file and is not overwritten");
    refused(&["--html", "absent/report.html"], "cannot write absent/report.html");
    refused(&["--html", "-"], "standard output is used for the text");
    refused(&["--html", "a.svg", "--flame", "a.svg"], "the same file");
    assert_eq!(std::fs::read(session.path()).unwrap(), before);

    let (code, text, errors) =
        session.run(&["--html", "report.html", "--flame", "why.svg", "--weight", "time"]);
    assert!(code == 0 && errors.is_empty() && text.contains("\nEvents"), "{errors}");
    for (name, beginning) in [("report.html", "<!doctype html>"), ("why.svg", "<?xml")] {
        let written = std::fs::read_to_string(session.directory.path().join(name)).unwrap();
        assert!(written.to_lowercase().starts_with(beginning) && !written.contains('\x1b'), "{name}");
    }

    // Without a report there is no file of it, whatever went wrong after the file was opened.
    refused(&["-i", "absent.data", "--html", "new.html"], "absent.data");
    assert!(!session.directory.path().join("new.html").exists());
}

#[test]
fn one_page_is_told_instead() {
    let session = Session::new();
    let (code, text, errors) = session.run(&["--page", "0x12"]);
    assert!(code == 0 && errors.is_empty() && text.contains("page 0x12"), "{text}{errors}");
    let life = session.json(&["--addr", "700:0x7f0000000000"]);
    assert_eq!(life["target"]["address"]["pid"], 700);
    for arguments in [&["--page", "12x"][..], &["--addr", "0x12"], &["--page", "1", "-p", "2"]] {
        assert_eq!(session.run(arguments).0, 2, "{arguments:?}");
    }
}

#[test]
fn what_is_left_of_a_cut_file_is_reported() {
    let session = Session::new();
    let whole = std::fs::read(session.path()).unwrap();
    std::fs::write(session.path(), &whole[..whole.len() - 20]).unwrap();
    let (code, text, errors) = session.run(&[]);
    assert_eq!(code, 2, "{errors}");
    assert!(text.starts_with("incomplete: the trace file is cut"), "{text}");
    assert!(
        errors.contains("the trace file is cut") && errors.contains("what was reported is valid"),
        "{errors}"
    );
    let (code, text, _) = session.run(&["-j"]);
    let report: Value = serde_json::from_str(&text).unwrap();
    assert!(code == 2 && report["losses"]["incomplete"].is_string(), "{text}");
}

#[test]
fn a_recording_that_did_not_end_is_no_error() {
    let session = Session::new();
    write(&session.path(), false);
    let (code, text, errors) = session.run(&["-q"]);
    assert!(code == 0 && text.starts_with("incomplete: ") && text.contains("100 events"), "{text}");
    assert!(errors.contains("did not end in order"), "{errors}");
}

#[test]
fn standard_input_gives_the_same() {
    let session = Session::new();
    let mut child =
        session.command(&["-i", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(&std::fs::read(session.path()).unwrap()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), session.run(&[]).1);
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let session = Session::new();
    let mut child = session.command(&[]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let mut errors = String::new();
    child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
    assert_eq!((child.wait().unwrap().code(), errors.as_str()), (Some(0), ""));
}
