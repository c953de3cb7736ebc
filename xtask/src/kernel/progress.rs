//! Follows a kernel build: objects built, time gone.

use std::fs::{self, File};
use std::io::IsTerminal;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::process::duration;

/// Lines of a failed build that are shown.
const LAST_LINES: usize = 30;

/// Runs a command of the build with its output appended to `log`; on failure its last lines are shown.
pub fn run(what: &str, command: &mut Command, log: &Path) -> Result<()> {
    let file =
        File::options().create(true).append(true).open(log).with_context(|| log.display().to_string())?;
    let started = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(file.try_clone()?)
        .stderr(file)
        .spawn()
        .with_context(|| format!("cannot run {}", command.get_program().display()))?;
    let terminal = std::io::stderr().is_terminal();
    let every = if terminal { Duration::from_secs(1) } else { Duration::from_secs(30) };
    let mut next = every;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if started.elapsed() >= next {
            next += every;
            let line = format!("xtask: {what}: {}, {} objects", duration(started.elapsed()), objects(log));
            if terminal { eprint!("\r{line}\x1b[K") } else { eprintln!("{line}") }
        }
        thread::sleep(Duration::from_millis(100));
    };
    if terminal && started.elapsed() >= every {
        eprintln!();
    }
    if !status.success() {
        let text = fs::read(log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        let last = lines[lines.len().saturating_sub(LAST_LINES)..].join("\n");
        bail!("{what} failed: {status}; the whole log is {}\n{last}", log.display());
    }
    Ok(())
}

/// Objects that kbuild reported so far.
fn objects(log: &Path) -> usize {
    let text = fs::read(log).unwrap_or_default();
    String::from_utf8_lossy(&text).lines().filter(|line| is_object(line)).count()
}

fn is_object(line: &str) -> bool {
    matches!(line.split_whitespace().next(), Some("CC" | "AS" | "LD" | "AR" | "HOSTCC"))
        && line.starts_with("  ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_what_kbuild_prints() {
        assert!(is_object("  CC      mm/rmap.o"));
        assert!(!is_object("CC is gcc"));
        assert!(!is_object("  GEN     include/generated/x.h"));
    }

    #[test]
    fn a_failure_shows_the_last_lines() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let log = folder.path().join("log");
        let mut command = Command::new("sh");
        command.args(["-c", "echo first; echo last words; exit 2"]);
        let error = run("building", &mut command, &log).expect_err("it failed").to_string();
        assert!(error.contains("last words"), "{error}");
    }
}
