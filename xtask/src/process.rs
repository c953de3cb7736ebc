//! Runs programs of this machine, saying what and how long.

use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// A program that ended badly; its own messages were shown.
#[derive(Debug, thiserror::Error)]
#[error("{what} failed: {status}")]
pub struct Failed {
    /// What was being done.
    pub what: String,
    /// How the program ended.
    pub status: ExitStatus,
}

/// Runs a program with its output shown, and reports on standard error what was done and for how long.
pub fn run(what: &str, command: &mut Command) -> Result<()> {
    eprintln!("xtask: {what}");
    let started = Instant::now();
    let status =
        command.status().with_context(|| format!("cannot run {}", command.get_program().display()))?;
    if !status.success() {
        bail!(Failed { what: what.into(), status });
    }
    eprintln!("xtask: {what}: done in {}", duration(started.elapsed()));
    Ok(())
}

/// What a program printed, trimmed, if it ran and succeeded.
pub fn output(command: &mut Command) -> Option<String> {
    let output = command.output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Where PATH finds a program.
pub fn find(program: &str) -> Option<std::path::PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// A duration for people: `3.2 s`, `4 min 05 s`.
pub fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..60 => format!("{:.1} s", time.as_secs_f64()),
        _ => format!("{} min {:02} s", seconds / 60, seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_well() {
        assert_eq!(duration(Duration::from_millis(3240)), "3.2 s");
        assert_eq!(duration(Duration::from_secs(245)), "4 min 05 s");
    }

    #[test]
    fn a_failing_program_is_an_error() {
        assert!(run("nothing", &mut Command::new("false")).is_err());
        assert_eq!(output(Command::new("echo").arg("x")).as_deref(), Some("x"));
        assert_eq!(output(&mut Command::new("false")), None);
    }
}
