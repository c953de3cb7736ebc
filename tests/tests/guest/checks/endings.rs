//! How sessions end, well and badly.

use anyhow::ensure;

use super::{Check, Run, names, of_the_program, of_the_program_once};
use crate::recording::Session;

pub const CHECKS: &[Check] = &[
    Check {
        name: "the command's status is passed on",
        applies: of_the_program,
        sessions: &["status-0", "status-7", "status-kill", "duration", "status-not-found"],
        judge: command_status,
    },
    Check {
        name: "SIGINT and SIGTERM end a session in order",
        applies: of_the_program,
        sessions: &["signal-INT", "signal-TERM"],
        judge: signals,
    },
    Check {
        name: "SIGHUP ends a session, unless it was ignored before",
        applies: of_the_program,
        sessions: &["nohup", "hangup"],
        judge: hangup,
    },
    Check {
        name: "a session raises the limit on open files, not its command's",
        applies: of_the_program,
        sessions: &["few-files-for-now"],
        judge: few_files,
    },
    Check {
        name: "SIGKILL leaves a readable file",
        applies: of_the_program,
        sessions: &["signal-KILL"],
        judge: killed,
    },
    Check {
        name: "a full disk leaves a readable file",
        applies: of_the_program_once,
        sessions: &["disk-full"],
        judge: disk_full,
    },
    Check {
        name: "bad input is refused with cause and remedy",
        applies: of_the_program_once,
        sessions: &names(BAD_INPUT),
        judge: bad_input,
    },
    Check {
        name: "without privilege, or open files, nothing is recorded",
        applies: of_the_program_once,
        sessions: &["few-files", "no-privilege"],
        judge: no_privilege,
    },
];

/// Sessions that are refused, and what the message names.
const BAD_INPUT: [(&str, &str); 4] = [
    ("unknown-event", "nonsense"),
    ("unknown-pid", "4194303"),
    ("unwritable", "/proc/no/such/folder"),
    ("ring-too-large", "ring"),
];

fn command_status(run: &Run<'_>) -> anyhow::Result<()> {
    for (name, status) in [("status-0", 0), ("status-7", 7), ("status-kill", 128 + 9), ("duration", 0)] {
        let session = run.session(name)?;
        session.expect_status(status)?;
        session.recording()?.summary()?;
    }
    // What a shell says of a command that it cannot find.
    let missing = run.session("status-not-found")?;
    missing.expect_status(127)?;
    explains_itself(&missing, "/no/such/command")
}

fn signals(run: &Run<'_>) -> anyhow::Result<()> {
    for name in ["signal-INT", "signal-TERM"] {
        run.complete(name, &["mlock_folio", "munlock_folio", "mlock_fixup"])?;
    }
    Ok(())
}

fn hangup(run: &Run<'_>) -> anyhow::Result<()> {
    let ended = run.session("hangup")?;
    ended.expect_status(0)?;
    let reason = ended.recording()?.summary()?["reason"].clone();
    ensure!(reason == "SIGHUP", "it ended by {reason}");
    run.complete("nohup", &["mlock_folio", "munlock_folio", "mlock_fixup"]).map(drop)
}

fn few_files(run: &Run<'_>) -> anyhow::Result<()> {
    let session = run.session("few-files-for-now")?;
    session.expect_status(0)?;
    session.recording()?.check_complete()
}

fn killed(run: &Run<'_>) -> anyhow::Result<()> {
    let session = run.session("signal-KILL")?;
    session.expect_status(128 + 9)?;
    let recording = session.recording()?;
    session.check_counts(&recording, &["mlock_folio", "munlock_folio", "mlock_fixup"])?;
    ensure!(recording.lines("summary").is_empty(), "a killed session cannot have a summary");
    ensure!(!recording.status().is_empty(), "script does not say that the end is missing");
    Ok(())
}

fn disk_full(run: &Run<'_>) -> anyhow::Result<()> {
    let session = run.session("disk-full")?;
    session.expect_status(2)?;
    explains_itself(&session, "space")?;
    let recording = session.recording()?;
    ensure!(!recording.events().is_empty(), "nothing of the file can be read");
    ensure!(!recording.status().is_empty(), "script does not say that the end is missing");
    Ok(())
}

fn bad_input(run: &Run<'_>) -> anyhow::Result<()> {
    for (name, named) in BAD_INPUT {
        let session = run.session(name)?;
        session.expect_status(2)?;
        explains_itself(&session, named)?;
    }
    Ok(())
}

fn no_privilege(run: &Run<'_>) -> anyhow::Result<()> {
    let session = run.session("few-files")?;
    session.expect_status(4)?;
    explains_itself(&session, "ulimit -n")?;
    let session = run.session("no-privilege")?;
    session.expect_status(4)?;
    explains_itself(&session, "CAP_BPF")
}

/// One line of cause that names the culprit and one of remedy.
fn explains_itself(session: &Session, named: &str) -> anyhow::Result<()> {
    let said = session.text("stderr")?;
    let lower = said.to_lowercase();
    ensure!(lower.contains(&named.to_lowercase()), "{named} is not named: {said}");
    ensure!(said.lines().any(|line| line.starts_with("rmapscope: ")), "no line of cause: {said}");
    ensure!(said.lines().any(|line| line.trim_start().starts_with("try: ")), "no line of remedy: {said}");
    ensure!(!said.contains("panicked"), "a panic: {said}");
    Ok(())
}
