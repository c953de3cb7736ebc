//! `clients` of made-up machines (`fixtures/procfs`): text and JSON against golden files, twice, with a second between.

mod golden_common;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use golden_common::assert_golden;
#[cfg(feature = "metrics")]
use rmapscope::clients::Metrics;
use rmapscope::clients::{Look, Looks, Sight, State, Tracker, json, text};
use rmapscope::kernel::SystemFiles;
use serde_json::Value;

/// Lays out what a file of `fixtures/procfs` describes.
fn lay_out(name: &str, root: &Path) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/procfs").join(name);
    let tree = fs::read_to_string(path).expect("a fixture");
    for part in tree.split("== ").skip(1) {
        let (head, text) = part.split_once('\n').unwrap_or((part, ""));
        let mut words = head.splitn(3, ' ');
        let path = root.join(words.next().expect("a path"));
        match (words.next(), words.next()) {
            (Some("gone"), _) => fs::remove_dir_all(&path).expect("it was there"),
            (action, argument) => {
                fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
                // A link is written through, not over.
                let _ = fs::remove_file(&path);
                let argument = argument.unwrap_or_default();
                match action {
                    Some("->") => symlink(argument, &path).expect("a link"),
                    Some("x") => {
                        fs::write(&path, text.repeat(argument.parse().expect("a number"))).expect("a file")
                    }
                    _ => fs::write(&path, text).expect("a file"),
                }
            }
        }
    }
    // Processes without open files have the folder all the same.
    for entry in fs::read_dir(root.join("proc")).expect("a folder").flatten() {
        if entry.path().is_dir() {
            fs::create_dir_all(entry.path().join("fd")).expect("a folder");
        }
    }
}

const SECOND: u64 = 1_000_000_000;

/// A look at that machine, as if taken after so many seconds.
fn look(root: &Path, seconds: u64) -> Look {
    let mut look = Looks::default().next(&SystemFiles::below(root)).expect("there is a procfs");
    look.time = seconds * SECOND;
    look.clients.iter_mut().for_each(|client| client.time = seconds * SECOND);
    look.effort.time = 1_234_567;
    look
}

/// What the two looks at the desktop show.
fn desktop() -> [Sight; 2] {
    let root = tempfile::tempdir().expect("a folder");
    let mut tracker = Tracker::default();
    lay_out("desktop.tree", root.path());
    let first = tracker.next(look(root.path(), 10));
    lay_out("desktop-later.tree", root.path());
    [first, tracker.next(look(root.path(), 11))]
}

#[test]
fn golden_files() {
    let sights = desktop();
    let (mut shown, mut lines) = (String::new(), String::new());
    json::header(&mut lines, "6.12.0");
    for sight in &sights {
        text::sight(&mut shown, sight);
        json::sight(&mut lines, sight);
    }
    assert_golden("tests/golden/clients.txt", &shown);
    // The program's version is not held here.
    assert_golden("tests/golden/clients.json", &lines.replace(env!("CARGO_PKG_VERSION"), "VERSION"));
}

#[test]
fn nothing_of_a_name_reaches_the_terminal() {
    for sight in desktop() {
        let (mut shown, mut lines) = (String::new(), String::new());
        text::sight(&mut shown, &sight);
        json::sight(&mut lines, &sight);
        for text in [&shown, &lines] {
            assert!(!text.contains('\u{1b}'), "{text:?}");
        }
        for line in lines.lines() {
            let object: Value = serde_json::from_str(line).expect("JSON");
            assert!(object["type"].is_string());
        }
    }
}

#[test]
fn a_client_is_counted_once_whoever_holds_it() {
    let [first, _] = desktop();
    let client = first
        .clients
        .iter()
        .find(|seen| seen.client.fdinfo.as_ref().is_ok_and(|fdinfo| fdinfo.client_id == Some(41)));
    let holders = &client.expect("client 41").client.holders;
    let held: Vec<_> = holders.iter().map(|holder| (holder.pid, holder.descriptors.clone())).collect();
    assert_eq!(held, [(100, vec![9, 10]), (120, vec![9])]);
}

#[test]
fn a_second_look_measures_and_finds_who_came_and_went() {
    let [first, second] = desktop();
    let count = |sight: &Sight, state| sight.states().get(&state).copied().unwrap_or(0);
    assert_eq!([count(&first, State::Busy), count(&first, State::Idle), count(&first, State::Gone)], [0; 3]);
    assert_eq!(count(&second, State::Gone), 1);
    assert_eq!(count(&second, State::FirstLook), 1);
    let busy: Vec<_> = second
        .clients
        .iter()
        .filter(|seen| seen.state == State::Busy)
        .map(|seen| (seen.client.fdinfo.as_ref().unwrap().client_id.unwrap(), seen.busy().unwrap()))
        .collect();
    assert_eq!(busy, [(41, 0.5), (u64::MAX, 0.25), (428, 0.03), (21, 1.0)]);
    assert_eq!((second.oddities.backwards, second.oddities.clamped), (1, 1));
}

#[test]
#[cfg(feature = "metrics")]
fn metrics_are_sums_by_device() {
    let mut metrics = Metrics::default();
    desktop().iter().for_each(|sight| metrics.add(sight));
    let text = metrics.text().expect("text");
    // No series tells of a process or a client.
    for private in ["Xwayland", "game", "pid", "428", "level"] {
        assert!(!text.contains(private), "{private}: {text}");
    }
    // `tests/exports/metrics.py` reads this file with another program's parser.
    assert_golden("tests/golden/clients.openmetrics", &text);
}

#[test]
#[cfg(feature = "metrics")]
fn metrics_are_served_to_whoever_asks_for_them() {
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::TcpStream;
    use std::process::{Command, Stdio};

    let root = tempfile::tempdir().expect("a folder");
    lay_out("desktop.tree", root.path());
    let mut program = Command::new(env!("CARGO_BIN_EXE_rmapscope"))
        .args(["clients", "--metrics", "0", "--root"])
        .arg(root.path())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    let mut line = String::new();
    let mut said = BufReader::new(program.stderr.take().expect("a pipe"));
    said.read_line(&mut line).expect("it says where");
    let address = line
        .trim()
        .strip_prefix("rmapscope: metrics at http://")
        .and_then(|rest| rest.strip_suffix("/metrics"));
    let address = address.unwrap_or_else(|| panic!("{line}")).to_owned();
    assert!(address.starts_with("127.0.0.1:"), "{address}");
    let ask = |request: &str| {
        let mut stream = TcpStream::connect(&address).expect("it listens");
        stream.write_all(request.as_bytes()).expect("it takes the request");
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        answer
    };
    let answer = ask("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("# EOF\n"), "{answer}");
    assert!(
        answer
            .contains("rmapscope_gpu_clients{device=\"renderD128\",driver=\"i915\",state=\"first-look\"} 2")
    );
    assert!(ask("GET /other HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 404 "));
    assert!(ask("POST /metrics HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 405 "));
    // Neither one that says too much nor one that says nothing ends it.
    ask(&"x".repeat(20_000));
    drop(TcpStream::connect(&address).expect("it listens"));
    assert!(ask("GET /metrics HTTP/1.0\r\n\r\n").starts_with("HTTP/1.1 200 OK\r\n"));
    program.kill().expect("it still runs");
    program.wait().expect("it ended");
}
