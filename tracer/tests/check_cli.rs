//! The subcommands `check` and `explain`, as a user and a CI system run them, on trace files.

mod attached_common;

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use rmapscope::event::{Body, Event, Header, Kind, Summary};
use rmapscope::kernel::{Description, NamedValue};
use rmapscope::trace_file::{FileHeader, Writer};
use tracer_common::event::{FolioWalk, STACK_NONE};

/// The rule that these files exercise: the callers of try_to_unmap hold the folio's lock.
const RULE: &str = "rmap-caller-locked";

const LOCKED: u64 = 1;

/// A folder with a trace file.
struct Case {
    folder: tempfile::TempDir,
}

impl Case {
    /// One try_to_unmap for each word of page flags.
    fn new(flags: &[u64]) -> Self {
        let case = Self { folder: tempfile::tempdir().expect("a folder") };
        let named = |name: &str, value| NamedValue { name: name.to_owned(), value };
        let mut header = FileHeader::new(Description {
            release: "6.12.0".to_owned(),
            page_flags: vec![named("PG_locked", 0)],
            enums: [("ttu_flags".to_owned(), vec![named("TTU_BATCH_FLUSH", 0x40)])].into(),
            ..Description::default()
        });
        header.probes = Kind::ALL.iter().map(attached_common::point).collect();
        let mut writer = Writer::create(case.path("trace.data"), &header).expect("a file");
        for (index, flags) in flags.iter().enumerate() {
            let header = Header {
                time: 1000 + index as u64,
                tid: 7,
                pid: 7,
                kind: Kind::TryToUnmap as u16,
                cpu: 0,
                stack: STACK_NONE,
            };
            let walk = FolioWalk { page: 64, flags: *flags, mapcount: 0, ttu_flags: 0x40, duration: 0 };
            writer.event(&Event { header, body: Body::TryToUnmap(walk) }).expect("room");
        }
        writer.finish(&Summary { begin: 1000, end: 2000, ..Summary::default() }).expect("room");
        case
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).expect(name)
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rmapscope"));
        command.current_dir(self.folder.path()).args(words).stdin(Stdio::null());
        command
    }

    /// `check -i trace.data --rules …` with more words.
    fn check(&self, words: &[&str]) -> Output {
        let mut command = self.command(&["check", "-i", "trace.data", "--rules", RULE]);
        command.args(words).output().expect("rmapscope runs")
    }

    fn code(&self, words: &[&str]) -> Option<i32> {
        self.check(words).status.code()
    }
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("UTF-8")
}

#[test]
fn the_exit_code_is_the_verdict() {
    let pass = Case::new(&[LOCKED, LOCKED]);
    let output = pass.check(&[]);
    assert_eq!(output.status.code(), Some(0), "{}", stdout(&output) + &stderr(&output));
    assert!(stdout(&output).starts_with("pass: 1 rule\n"), "{}", stdout(&output));
    let violated = Case::new(&[LOCKED, 0]);
    let output = violated.check(&[]);
    assert!(stdout(&output).starts_with("violated: 1 rule\n"), "{}", stdout(&output));
    for (words, code) in
        [(&[][..], 1), (&["--exit", "bisect"][..], 1), (&["--exit=kselftest", "--inconclusive=skip"][..], 1)]
    {
        assert_eq!(violated.code(words), Some(code), "{words:?}");
    }
    let idle = Case::new(&[]);
    assert_eq!(idle.code(&[]), Some(0));
    assert_eq!(idle.code(&["--require", RULE]), Some(3));
    assert_eq!(idle.code(&["--require", "all=5"]), Some(3));
    assert_eq!(pass.code(&["--require", &format!("{RULE}=2")]), Some(0));
    assert_eq!(pass.code(&["--require", &format!("{RULE}=3")]), Some(3));
}

#[test]
fn a_cut_file_is_inconclusive() {
    let case = Case::new(&[LOCKED; 100]);
    let bytes = std::fs::read(case.path("trace.data")).expect("the file");
    std::fs::write(case.path("trace.data"), &bytes[..bytes.len() - 20]).expect("room");
    for (words, code) in [
        (&[][..], 3),
        (&["--exit", "bisect"][..], 125),
        (&["--exit", "kselftest"][..], 1),
        (&["--exit", "kselftest", "--inconclusive=skip"][..], 4),
    ] {
        assert_eq!(case.code(words), Some(code), "{words:?}");
    }
    let output = case.check(&["-f", "ktap"]);
    assert!(stdout(&output).contains(&format!("not ok 1 {RULE} # ERROR ")), "{}", stdout(&output));
}

#[test]
fn errors_have_their_numbers_and_their_reports() {
    let case = Case::new(&[LOCKED]);
    std::fs::write(case.path("trace.data"), "no trace file").expect("room");
    assert_eq!(case.code(&[]), Some(2));
    assert_eq!(case.code(&["--exit", "bisect"]), Some(128));
    assert_eq!(case.code(&["--exit", "kselftest"]), Some(1));
    assert_eq!(case.code(&["--exit", "bisect", "--no-such-option"]), Some(128));
    let output = case.check(&["--junit", "out.xml", "-f", "ktap"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stdout(&output).contains(&format!("not ok 1 {RULE} # ERROR ")), "{}", stdout(&output));
    assert!(case.text("out.xml").contains("errors=\"1\""));
    assert_eq!(stdout(&case.check(&[])), "", "people read the error");
}

#[test]
fn every_form_goes_to_files_and_to_standard_output() {
    let case = Case::new(&[LOCKED, 0]);
    let kcidb = ["--kcidb-origin", "ci", "--kcidb-build", "ci:1"];
    let mut words = kcidb.to_vec();
    for form in ["text", "ktap", "junit", "json"] {
        words.extend([
            ["--text", "--ktap", "--junit", "--json"]
                .into_iter()
                .find(|option| option.ends_with(form))
                .expect("an option"),
            form,
        ]);
    }
    words.extend(["--kcidb", "kcidb", "--annotate", "github"]);
    std::fs::write(case.path("json"), "what an earlier run left, and longer than nothing").expect("room");
    let output = case.check(&words);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert_eq!(stdout(&output), case.text("text"));
    assert!(stderr(&output).contains(&format!("::error title=rmapscope {RULE}::")), "{}", stderr(&output));
    for form in ["text", "ktap", "junit", "json", "kcidb"] {
        let mut words = kcidb.to_vec();
        words.extend(["-f", form]);
        assert_eq!(stdout(&case.check(&words)), case.text(form), "{form}");
    }
    assert_eq!(stdout(&case.check(&["--ktap", "-"])), case.text("ktap"));
    assert!(stdout(&case.check(&["-f", "github"])).starts_with("::error "));
}

#[test]
fn a_pipe_is_judged_as_the_file_is() {
    let case = Case::new(&[LOCKED, 0, LOCKED]);
    let mut piped = case.command(&["check", "-i", "-", "--rules", RULE, "-f", "json"]);
    let mut child = piped.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("rmapscope runs");
    let bytes = std::fs::read(case.path("trace.data")).expect("the file");
    child.stdin.take().expect("an input").write_all(&bytes).expect("a reader");
    let output = child.wait_with_output().expect("its end");
    assert_eq!(output.stdout, case.check(&["-f", "json"]).stdout);
}

#[test]
fn outputs_are_opened_first_and_overwrite_nothing_of_value() {
    let case = Case::new(&[LOCKED]);
    let trace = std::fs::read(case.path("trace.data")).expect("the file");
    let refused = |words: &[&str], cause: &str| {
        let output = case.check(words);
        assert_eq!(output.status.code(), Some(2), "{words:?}");
        assert!(stderr(&output).contains(cause) && stderr(&output).contains("try: "), "{}", stderr(&output));
    };
    refused(&["--json", "trace.data"], "is the trace file to judge already");
    refused(&["--json", "a", "--junit", "./a"], "is another output of the verdict already");
    refused(&["--json", "missing/a"], "No such file");
    refused(&["--json", "."], "cannot write the verdict to .");
    refused(&["--json", "-", "--ktap", "-"], "two formats of the verdict cannot share standard output");
    refused(&["-f", "kcidb"], "KCIDB requires");
    refused(&["-f", "kcidb", "--kcidb-origin", "A", "--kcidb-build", "a:1"], "a-z");
    assert_eq!(std::fs::read(case.path("trace.data")).expect("the file"), trace);
}

#[test]
fn a_full_disk_loses_one_report_alone() {
    let case = Case::new(&[LOCKED]);
    let output = case.check(&["--json", "/dev/full", "--ktap", "out.ktap"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("/dev/full"), "{}", stderr(&output));
    assert!(case.text("out.ktap").contains(&format!("ok 1 {RULE}\n")));
    assert!(stdout(&output).starts_with("pass: "));
}

#[test]
fn a_reader_that_goes_away_changes_no_exit_code() {
    let case = Case::new(&[0; 50]);
    let mut command = case.command(&["check", "-i", "trace.data", "--rules", RULE, "-f", "json"]);
    command.args(["--evidence", "50"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("rmapscope runs");
    drop(child.stdout.take());
    let mut said = String::new();
    child.stderr.take().expect("standard error").read_to_string(&mut said).expect("UTF-8");
    assert_eq!((child.wait().expect("its end").code(), said.as_str()), (Some(1), ""));
}

#[test]
fn fail_fast_says_that_it_did_not_read_on() {
    let case = Case::new(&[0; 3]);
    let output = case.check(&["--fail-fast"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stdout(&output).contains("--fail-fast"), "{}", stdout(&output));
}

#[test]
fn rules_are_chosen_by_name() {
    let case = Case::new(&[LOCKED]);
    let run = |words: &[&str]| case.command(words).output().expect("rmapscope runs");
    let output = run(&["check", "-i", "trace.data", "--rules", "rmap-caller-lock"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains(RULE), "{}", stderr(&output));
    let list = stdout(&run(&["check", "--list"]));
    let rules: Vec<&str> = rmapscope::check::rules().iter().map(|rule| rule.name).collect();
    assert!(rules.iter().all(|rule| list.contains(rule)), "{list}");
    let ktap = stdout(&run(&["check", "-i", "trace.data", "-f", "ktap", "--not-rule", "swiotlb-paired"]));
    assert!(ktap.contains(&format!("1..{}\n", rules.len() - 1)) && !ktap.contains("swiotlb-paired\n"));
    for words in [
        &["check", "-i", "trace.data", "--", "true"][..],
        &["check", "-i", "trace.data", "-d", "5"],
        &["check", "-i", "trace.data", "--record", "x"],
        &["check", "-i", "trace.data", "-p", "1"],
        &["check", "--kcidb", "x"],
    ] {
        assert_eq!(run(words).status.code(), Some(2), "{words:?}");
    }
}

#[test]
fn explain_knows_every_name_and_says_which_are_near() {
    let case = Case::new(&[]);
    let explain = |words: &[&str]| case.command(&["explain"]).args(words).output().expect("rmapscope runs");
    let all = stdout(&explain(&[]));
    assert!(all.contains(RULE) && all.contains("try_to_unmap") && all.contains("exit-codes"));
    assert!(stdout(&explain(&[RULE])).contains("Legal exceptions"));
    assert!(stdout(&explain(&["try_to_unmap", "ENOMEM"])).contains("error number ENOMEM, 12"));
    let output = explain(&["try_to_unmpa"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("`try_to_unmap`"), "{}", stderr(&output));
}

#[test]
fn a_trace_file_needs_no_privilege_and_is_left_as_it_was() {
    let case = Case::new(&[LOCKED]);
    let before = std::fs::metadata(case.path("trace.data")).expect("the file").modified().expect("a time");
    assert_eq!(case.code(&[]), Some(0));
    let left: Vec<_> = std::fs::read_dir(case.folder.path())
        .expect("the folder")
        .map(|entry| entry.expect("an entry").file_name())
        .collect();
    assert_eq!(left, ["trace.data"]);
    let after = std::fs::metadata(Path::new(&case.path("trace.data"))).expect("the file");
    assert_eq!(after.modified().expect("a time"), before);
}
