//! A file of a later version, with kinds of events that this one does not know: each reader names them.

mod trace_file_common;

use std::path::Path;
use std::process::Command;

use rmapscope::event::Kind;
use rmapscope::trace_file::KindLayout;
use serde_json::Value;
use trace_file_common::*;

/// A kind of a family that is known, and one of a later family.
const NEW: [(u16, &str); 2] = [(0x02f0, "walk_of_the_future"), (0x7001, "ksm\x1b[2Jmerge")];

/// A whole file: two walks, two events of the first new kind, one of the second.
fn write(path: &Path) {
    let mut header = header();
    header.program_version = "9.1.0".to_owned();
    header.kinds.extend(NEW.map(|(number, name)| KindLayout {
        number,
        name: name.to_owned(),
        ..header.kinds.iter().find(|kind| kind.number == Kind::TryToUnmap as u16).expect("a kind").clone()
    }));
    let mut noise = Noise(3);
    let mut of = |number: u16| {
        let mut record = record(Kind::TryToUnmap, 1, &mut noise);
        record[16..18].copy_from_slice(&number.to_le_bytes());
        record
    };
    let known = Kind::TryToUnmap as u16;
    let records = [known, NEW[0].0, NEW[1].0, known, NEW[0].0].map(&mut of).concat();
    let end = serde_json::to_string(&summary()).expect("a summary") + "\n";
    let bytes = [
        file(&header, &[]),
        frame(1, 0, 5, records.len() as u32, 0, &records),
        frame(5, 0, 1, end.len() as u32, 5, end.as_bytes()),
    ];
    std::fs::write(path, bytes.concat()).expect("room for the file");
}

/// What a command prints, standard error too.
fn run(arguments: &[&str]) -> String {
    let directory = tempfile::tempdir().expect("a folder");
    write(&directory.path().join("rmapscope.data"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_rmapscope"));
    // Without a file `check` is live.
    command.args(arguments).args(["-i", "rmapscope.data"]).current_dir(directory.path());
    let output = command.output().expect("it runs");
    String::from_utf8([output.stdout, output.stderr].concat()).expect("text")
}

#[test]
fn every_reader_names_them() {
    let readers: [&[&str]; 9] = [
        &["script"],
        &["script", "-f", "json"],
        &["script", "--stats"],
        &["script", "--stats", "-f", "csv"],
        &["report"],
        &["report", "--json"],
        &["check"],
        &["check", "--format", "json"],
        &["export", "-f", "chrome", "-o", "-"],
    ];
    for arguments in readers {
        let shown = run(arguments);
        assert!(shown.contains(NEW[0].1) && shown.contains("[2Jmerge"), "{arguments:?}: {shown}");
        assert!(!shown.contains('\x1b'), "{arguments:?}: {shown}");
    }
}

#[test]
fn people_are_told_how_many_and_what_reads_them() {
    let sentence = "3 events of kinds that this version does not know";
    let remedy = "read the file with rmapscope 9.1.0, which recorded it";
    for arguments in [&["script"][..], &["report"], &["check"], &["export", "-f", "ndjson", "-o", "-"]] {
        // Lines are broken to the width of the terminal.
        let shown = run(arguments).split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(shown.contains(sentence) && shown.contains(remedy), "{arguments:?}: {shown}");
    }
}

#[test]
fn programs_are_told_too() {
    let losses: Vec<Value> = run(&["script", "-q", "-f", "json"])
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .filter(|line: &Value| line["type"] == "loss")
        .collect();
    let shown = |loss: &Value| (loss["kind"].as_str().map(str::to_owned), loss["count"].as_u64());
    let expected = [(NEW[0], 2), (NEW[1], 1)].map(|((_, name), count)| (Some(name.to_owned()), Some(count)));
    assert_eq!(losses.iter().map(shown).collect::<Vec<_>>(), expected);
    assert_eq!(losses[1]["family"], Value::Null);
    let verdict: Value =
        serde_json::from_str(&run(&["check", "-q", "--format", "json"])).expect("a verdict alone");
    let counts = serde_json::json!({ NEW[0].1: 2, NEW[1].1: 1 });
    assert_eq!(verdict["subject"]["unknown_kinds"], counts);
}
