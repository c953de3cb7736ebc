//! Where a trace file may be written to, and what happens when that goes wrong.

mod trace_file_common;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;

use rmapscope::event::Item;
use rmapscope::trace_file::{CreateError, Ending, Reader, WriteError, Writer};
use trace_file_common::*;

fn read_path(path: &std::path::Path) -> (Vec<Item>, Ending) {
    read(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn a_new_file_is_for_its_owner_only() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("rmapscope.data");
    let mut writer = Writer::create(&path, &header()).unwrap();
    write(&mut writer, &unmap_records(100, true, false)).unwrap();
    writer.finish(&summary()).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(&path).unwrap().len(), writer.bytes_written());
    let (items, ending) = read_path(&path);
    assert_eq!((items.len(), ending), (101, Ending::Complete));
    assert!(Reader::open(&path).unwrap().next_item().unwrap().is_some());
}

#[test]
fn an_earlier_recording_becomes_old_and_nothing_else_is_touched() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data");
    let old = directory.path().join("data.old");
    let record = |pid| {
        let mut writer = Writer::create(&path, &header())?;
        writer.process(&process(pid))?;
        writer.flush().map_err(CreateError::from)
    };
    fs::write(&path, "").unwrap();
    for pid in 1..=3 {
        record(pid).unwrap();
    }
    assert_eq!(read_path(&path).0, [Item::Process(process(3))]);
    assert_eq!(read_path(&old).0, [Item::Process(process(2))]);

    fs::write(&old, "a letter").unwrap();
    assert!(matches!(record(4), Err(CreateError::Occupied { .. })));
    assert_eq!(fs::read(&old).unwrap(), b"a letter");
    assert_eq!(read_path(&path).0, [Item::Process(process(3))]);

    fs::write(&path, "another letter").unwrap();
    assert!(matches!(record(5), Err(CreateError::Occupied { .. })));
    assert_eq!(fs::read(&path).unwrap(), b"another letter");
}

#[test]
fn links_directories_and_missing_directories() {
    let directory = tempfile::tempdir().unwrap();
    let target = directory.path().join("target");
    fs::write(&target, "").unwrap();
    let link = directory.path().join("link");
    symlink(&target, &link).unwrap();
    assert!(matches!(
        Writer::create(&link, &header()),
        Err(CreateError::Occupied { what: "a symbolic link", .. })
    ));
    assert_eq!(fs::read(&target).unwrap(), b"");
    let dangling = directory.path().join("dangling");
    symlink(directory.path().join("nowhere"), &dangling).unwrap();
    assert!(Writer::create(&dangling, &header()).is_err());
    assert!(!directory.path().join("nowhere").exists());
    assert!(matches!(Writer::create(directory.path(), &header()), Err(CreateError::Occupied { .. })));
    let error = Writer::create(directory.path().join("no/where"), &header()).err().unwrap();
    assert!(matches!(error, CreateError::Io { .. }));
    assert!(rmapscope::Error::from(error).remedy.contains("directory"));
}

#[test]
fn a_fifo_carries_the_stream() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("fifo");
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    let reader = {
        let path = path.clone();
        std::thread::spawn(move || {
            let mut reader = Reader::open(path).unwrap();
            let mut items = Vec::new();
            while let Some(item) = reader.next_item().unwrap() {
                items.push(item);
            }
            (items, reader.ending().cloned())
        })
    };
    let (_, items) = small_file();
    let mut writer = Writer::create(&path, &header()).unwrap();
    for item in &items {
        rmapscope::event::Sink::item(&mut writer, item).unwrap();
    }
    drop(writer);
    assert_eq!(reader.join().unwrap(), (items, Some(Ending::Complete)));
}

#[test]
fn a_reader_that_goes_away_is_told_apart() {
    let (reader, writer) = std::io::pipe().unwrap();
    let mut writer = Writer::new(writer, &header()).unwrap();
    drop(reader);
    write(&mut writer, &unmap_records(10, true, false)).unwrap();
    let error = writer.flush().unwrap_err();
    let WriteError::Io { source, .. } = &error else { panic!("{error}") };
    assert_eq!(source.kind(), std::io::ErrorKind::BrokenPipe, "{error}");
}

#[test]
fn a_full_device() {
    let error = Writer::create("/dev/full", &header()).err().unwrap();
    let CreateError::Write(WriteError::Io { written: 0, source }) = &error else { panic!("{error}") };
    assert_eq!(source.kind(), std::io::ErrorKind::StorageFull);
    assert!(rmapscope::Error::from(error).remedy.contains("free disk space"));
}

/// The limit holds for a process, so that it is set in one of its own: this test program again.
#[test]
fn past_the_file_size_limit() {
    const PATH: &str = "RMAPSCOPE_TEST_LIMITED_FILE";
    if let Some(path) = std::env::var_os(PATH) {
        let mut writer = Writer::create(path, &header()).unwrap();
        let records = unmap_records(1000, false, false);
        let error = loop {
            if let Err(error) = write(&mut writer, &records).and_then(|()| writer.flush()) {
                break error;
            }
        };
        let WriteError::Io { written, source } = &error else { panic!("{error}") };
        assert_eq!((*written, source.kind()), (writer.bytes_written(), std::io::ErrorKind::FileTooLarge));
        assert!(matches!(writer.finish(&summary()), Err(WriteError::Ended)));
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data");
    let status = Command::new("sh")
        // 200 blocks of 512 bytes.
        .args(["-c", "ulimit -f 200 && exec \"$0\" past_the_file_size_limit"])
        .arg(std::env::current_exe().unwrap())
        .env(PATH, &path)
        .stdout(std::process::Stdio::null())
        .status()
        .unwrap();
    assert!(status.success(), "{status}");
    let bytes = fs::read(&path).unwrap();
    assert!(bytes.len() > 50_000 && bytes.len() < 200 * 512, "{}", bytes.len());
    let (items, ending) = read(&bytes).unwrap();
    assert_eq!(ending, Ending::NoSummary);
    assert!(items.len() % 1000 == 0 && !items.is_empty());
}
