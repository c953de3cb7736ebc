//! The subcommand `script` on trace files, as a user runs it.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use rmapscope::event::{Body, Event, Header, Kind, Loss, LossCause, ProcessEntry, Summary};
use rmapscope::kernel::{Description, NamedValue};
use rmapscope::trace_file::{FileHeader, Writer};
use tracer_common::event::{FolioWalk, STACK_NONE};

const VMEMMAP: u64 = 0xffff_ea00_0000_0000;

fn event(index: u64) -> Event {
    let kind = if index.is_multiple_of(2) { Kind::TryToUnmap } else { Kind::TryToMigrate };
    let header = Header {
        time: 5_000_000_000 + index * 1_000_000,
        tid: 700 + (index % 3) as u32,
        pid: 700,
        kind: kind as u16,
        cpu: 1,
        stack: STACK_NONE,
    };
    let page = VMEMMAP + (0x1000 + index) * 64;
    let walk = FolioWalk { page, flags: 1, mapcount: 0, ttu_flags: 0x40, duration: index * 10 };
    let body = if kind == Kind::TryToUnmap { Body::TryToUnmap(walk) } else { Body::TryToMigrate(walk) };
    Event { header, body }
}

/// A file with `events` events, one loss of 3 among them, ended in order.
fn write(path: &Path, events: u64) {
    let named = |name: &str, value| NamedValue { name: name.to_owned(), value };
    let mut header = FileHeader::new(Description {
        release: "6.12.0".to_owned(),
        vmemmap_base: Some(VMEMMAP),
        struct_page_size: Some(64),
        page_flags: vec![named("PG_locked", 0)],
        enums: [("ttu_flags".to_owned(), vec![named("TTU_BATCH_FLUSH", 0x40)])].into(),
        ..Description::default()
    });
    header.traced_command = Some(vec!["evil\x1b[2J".to_owned()]);
    let mut writer = Writer::create(path, &header).unwrap();
    for (tid, comm) in [(700, "leader"), (701, "worker/1")] {
        writer.process(&ProcessEntry { pid: 700, tid, parent: 1, comm: comm.to_owned() }).unwrap();
    }
    for index in 0..events {
        writer.event(&event(index)).unwrap();
    }
    let (after, before) = (5_000_000_000, 5_000_000_000 + events * 1_000_000);
    writer
        .loss(&Loss { cause: LossCause::Lost, family: Some(2), count: 3, after, before, kind: None })
        .unwrap();
    writer.finish(&Summary { begin: after, end: before, ..Summary::default() }).unwrap();
}

struct Session {
    directory: tempfile::TempDir,
}

impl Session {
    fn new(events: u64) -> Self {
        let directory = tempfile::tempdir().unwrap();
        write(&directory.path().join("rmapscope.data"), events);
        Self { directory }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("rmapscope.data")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rmapscope"));
        command.args(arguments).current_dir(self.directory.path());
        command
    }

    fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let Output { status, stdout, stderr } = self.command(arguments).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (status.code().unwrap(), text(stdout), text(stderr))
    }
}

#[test]
fn text_is_the_default() {
    let (code, out, err) = Session::new(4).run(&["script"]);
    assert_eq!(code, 0, "{err}");
    let lines: Vec<_> = out.lines().collect();
    assert_eq!(lines.len(), 6);
    assert!(lines[0].contains("TIME(s)") && lines[0].ends_with("DETAILS"));
    assert_eq!(
        lines[2],
        "      0.001000   1 worker/1        700/701       try_to_migrate          pfn=0x1001 flags=locked \
         mapcount=0 ttu_flags=TTU_BATCH_FLUSH duration=10"
    );
    assert_eq!(lines[3].split_whitespace().nth(2), Some("?"));
    assert!(lines[5].starts_with("--- 3 rmap events lost (ring full) between 0.000000 s and"));
    assert!(
        err.starts_with("rmapscope: 4 of 4 events printed (rmap 4); lost 3 (ring full), missed 0"),
        "{err}"
    );
}

#[test]
fn filters_fields_and_notations() {
    let session = Session::new(10);
    let (_, out, err) =
        session.run(&["script", "-e", "try_to_unmap", "-F", "tid,pfn,mm", "-x", ";", "-t", "700"]);
    assert_eq!(out, "tid;pfn;mm\n700;0x1000;\n700;0x1006;\n;;\n", "{err}");
    let (_, out, _) = session.run(&["script", "-j", "-n", "worker/*", "--from", "3ms"]);
    let events: Vec<serde_json::Value> =
        out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let pfns: Vec<_> =
        events.iter().filter(|event| event["type"] == "event").map(|event| &event["pfn"]).collect();
    assert_eq!(pfns, ["0x1004", "0x1007"]);
    let (_, out, _) = session.run(&["script", "--min-latency", "85ns", "-n", "!nobody", "-F", "duration"]);
    assert_eq!(out.lines().filter(|line| !line.starts_with("---")).collect::<Vec<_>>(), ["DURATION", "90"]);
    let (_, out, _) = session.run(&["script", "--stats", "-f", "csv"]);
    assert!(out.contains("try_to_unmap,5,0.000000,0.008000\n"), "{out}");
    let (_, out, _) = session.run(&["script", "--header", "-e", "fork"]);
    assert!(out.contains("# traced command   evil\\x1b[2J\n"), "{out}");
}

#[test]
fn quiet_still_tells_losses() {
    let session = Session::new(1);
    assert!(session.run(&["script", "-q"]).2.contains("lost 3"));
    assert_eq!(session.run(&["-q", "script", "-e", "list"]).2, "");
}

#[test]
fn bad_input_is_one_line_of_cause_and_one_of_remedy() {
    let session = Session::new(1);
    for (arguments, cause, remedy) in [
        (
            vec!["script", "-e", "try_to_unmab"],
            "there is no event or family `try_to_unmab`",
            "did you mean `try_to_unmap`?",
        ),
        (vec!["script", "-F", "pnf"], "there is no field `pnf`", "did you mean `pfn`?"),
        (vec!["script", "-i", "none"], "cannot open none", "record one"),
        (vec!["script", "-i", "/bin/true"], "not an rmapscope trace file", "use a file"),
        (vec!["script", "-f", "text", "-x", ";"], "only CSV has a separator", "--format csv"),
    ] {
        let (code, out, err) = session.run(&arguments);
        assert_eq!((code, out.as_str()), (2, ""), "{arguments:?}");
        let lines: Vec<_> = err.lines().collect();
        assert_eq!(lines.len(), 2, "{err}");
        assert!(lines[0].starts_with("rmapscope: ") && lines[0].contains(cause), "{err}");
        assert!(lines[1].starts_with("  try: ") && lines[1].contains(remedy), "{err}");
    }
    for arguments in
        [vec!["script", "--no-such"], vec!["script", "-p", "x"], vec!["script", "--from", "y"], vec![]]
    {
        assert_eq!(session.run(&arguments).0, 2, "{arguments:?}");
    }
}

#[test]
fn what_can_be_read_of_a_cut_file_is_printed() {
    let session = Session::new(1000);
    let bytes = std::fs::read(session.path()).unwrap();
    std::fs::write(session.path(), &bytes[..bytes.len() - 9]).unwrap();
    let (code, out, err) = session.run(&["script", "-F", "pfn"]);
    assert_eq!(code, 2);
    assert_eq!(out.lines().filter(|line| line.starts_with("0x")).count(), 1000);
    assert!(err.contains("1000 of 1000 events printed") && err.contains("cut"), "{err}");
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let session = Session::new(20_000);
    let mut child =
        session.command(&["script"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut output = child.stdout.take().unwrap();
    output.read_exact(&mut [0; 100]).unwrap();
    drop(output);
    let Output { status, stderr, .. } = child.wait_with_output().unwrap();
    assert_eq!((status.code(), String::from_utf8(stderr).unwrap().as_str()), (Some(0), ""));
}

#[test]
fn a_full_disk_is_told() {
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let output = Session::new(1).command(&["script"]).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(
        String::from_utf8(output.stderr).unwrap().starts_with("rmapscope: cannot write the output: No space")
    );
}

#[test]
fn manual_pages_are_written_one_a_subcommand() {
    let folder = tempfile::tempdir().expect("a folder");
    let manual = |folder: &std::path::Path| {
        let program = env!("CARGO_BIN_EXE_rmapscope");
        std::process::Command::new(program).arg("man").arg(folder).output().expect("it runs")
    };
    let output = manual(folder.path());
    assert!(output.status.success() && output.stdout.is_empty(), "{output:?}");
    for name in ["rmapscope.1", "rmapscope-record.1", "rmapscope-check.1"] {
        let page = std::fs::read_to_string(folder.path().join(name)).expect(name);
        assert!(page.contains(".TH rmapscope") && page.contains(".SH OPTIONS"), "{name}");
    }
    let output = manual(&folder.path().join("missing"));
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("choose an existing"), "{output:?}");
}

#[test]
fn help_version_and_completions() {
    let session = Session::new(0);
    for (arguments, text) in [
        (vec!["--help"], "Exit codes:"),
        (vec!["--version"], "rmapscope "),
        (vec!["script", "--help"], "Filters:"),
        (vec!["script", "-e", "list"], "    try_to_unmap\n"),
        (vec!["script", "-F", "list"], "\npfn\n"),
        (vec!["completions", "bash"], "_rmapscope"),
    ] {
        let (code, out, _) = session.run(&arguments);
        assert_eq!(code, 0, "{arguments:?}");
        assert!(out.contains(text), "{arguments:?}: {out}");
    }
}
