//! The sessions of the scripts are those that the checks declare: none is missing, none is run for nothing.
//!
//! Read from the scripts' text: each session begins with `begin NAME`, or with a function that takes the name and
//! begins it, and the name is written out there. Planted bugs and selftests come from lists, and are not among them.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context, Result, bail, ensure};
use libtest_mimic::{Failed, Trial};
use xtask::workspace;

use crate::checks::{self, Applies};
use crate::runs;

/// The scripts with the runs that they know. Those after the first are read by it.
const SCRIPTS: [(&[&str], &[&str]); 3] = [
    (
        &["sessions.sh", "audits.sh", "clients.sh", "screens.sh", "common.sh"],
        &[runs::AUTO, runs::KPROBE, runs::LOCKDOWN, runs::MANY_CPUS],
    ),
    (&["verdicts.sh", "common.sh"], &[runs::HEALTHY, runs::LITTLE_ROOM, runs::MUTANTS]),
    (&["arm64.sh"], &[runs::RESTRICTED, runs::STOCK_ARM64]),
];

/// A test that needs no guest.
pub fn trial() -> Trial {
    Trial::test("sessions of the scripts are those of the checks", || {
        compare().map_err(|error| Failed::from(format!("{error:#}")))
    })
}

fn compare() -> Result<()> {
    reader_reads()?;
    for (files, runs) in SCRIPTS {
        let mut text = String::new();
        for file in files {
            let path = workspace::root().join("tests/tests/guest").join(file);
            text += &fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        }
        let there = sessions(&text).with_context(|| files[0].to_owned())?;
        // The kernel that has every session.
        let is_of_script =
            |check: &&checks::Check| runs.iter().any(|run| (check.applies)(KERNEL, run) != Applies::No);
        let declared: BTreeSet<&str> =
            checks::all().filter(is_of_script).flat_map(|check| check.sessions.iter().copied()).collect();
        let missing: Vec<_> = declared.difference(&there).collect();
        ensure!(missing.is_empty(), "{} does not run these sessions of checks: {missing:?}", files[0]);
        let idle: Vec<_> = there.difference(&declared).collect();
        ensure!(idle.is_empty(), "{} runs sessions that no check judges: {idle:?}", files[0]);
    }
    Ok(())
}

const KERNEL: &str = xtask::kernel::HMM;

/// The names that are written out in a script.
fn sessions(text: &str) -> Result<BTreeSet<&str>> {
    let mut beginners = BTreeSet::from(["begin"]);
    // Functions that hand their name on to one that begins it, until there are no more.
    loop {
        let before = beginners.len();
        let mut function = "";
        for line in text.lines() {
            if let Some((name, _)) = line.split_once("() {") {
                function = name;
            }
            if calls(line, &beginners).any(|name| name == "\"$1\"") {
                beginners.insert(function);
            }
        }
        if beginners.len() == before {
            break;
        }
    }
    let mut sessions = BTreeSet::new();
    for line in text.lines() {
        for name in calls(line, &beginners) {
            match name {
                "\"$1\"" | FROM_A_LIST => {}
                _ if name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') => {
                    sessions.insert(name);
                }
                _ => bail!("the name of a session is not written out: {}", line.trim()),
            }
        }
        let begins = calls(line, &BTreeSet::from(["begin"])).next().is_some();
        let heeds = [" || return", " && ", "! begin "].iter().any(|words| line.contains(words));
        ensure!(!begins || heeds, "a session that is not wanted goes on: {}", line.trim());
    }
    Ok(sessions)
}

/// How the loops over the lists of planted bugs and selftests call it.
const FROM_A_LIST: &str = "\"$name\"";

/// What follows one of these commands, where it stands as a command.
fn calls<'a>(line: &'a str, commands: &BTreeSet<&str>) -> impl Iterator<Item = &'a str> {
    let code = if line.trim_start().starts_with('#') { "" } else { line };
    let words: Vec<&str> = code.split_whitespace().collect();
    let is_command = |at: usize| {
        let before = at.checked_sub(1).map(|at| words[at]);
        before.is_none_or(|word| matches!(word, "!" | "if" | "&&" | "||" | "then" | "do" | "("))
    };
    let found: Vec<&str> = (0..words.len())
        .filter(|&at| commands.contains(words[at]) && is_command(at))
        .filter_map(|at| words.get(at + 1).copied())
        .collect();
    found.into_iter()
}

/// The reader finds what it must find.
fn reader_reads() -> Result<()> {
    let script = "\
check() {
    begin \"$1\" || return 0
    run rmapscope check \"$@\"
}
twice() {
    check \"$1\" a
}
# check comment
all() {
    check one -- true
    [ -e /dev/x ] && twice two
    check three -m 128M
    check \"$name\"
    ! begin four || cat five
}
";
    let read = sessions(script)?;
    ensure!(read == BTreeSet::from(["one", "two", "three", "four"]), "the reader of scripts finds {read:?}");
    for wrong in ["begin a\n", "begin \"x-$story\" || return\n"] {
        ensure!(sessions(wrong).is_err(), "the reader of scripts takes {wrong:?}");
    }
    Ok(())
}
