//! The works that the costs of tracers are measured with: each is nothing but one kind of event, and a clock around it.

mod work;

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Args;
use serde::{Deserialize, Serialize};

pub use work::Work;

/// Do one kind of work many times and measure it, for comparing tracers
#[derive(Args, Clone, Debug)]
pub struct Cost {
    /// What to do
    #[arg(long, value_enum, default_value_t = Work::Reclaim)]
    pub work: Work,
    /// Pages, VMAs or requests of each round
    #[arg(long, default_value_t = 4096)]
    pub units: usize,
    /// How often
    #[arg(long, default_value_t = 3)]
    pub rounds: u32,
    /// Append what was measured to this file, as a line of JSON
    #[arg(long, value_name = "FILE")]
    pub result: PathBuf,
    /// Leave the tracer's control group (cgroup v2) for this one
    #[arg(long, value_name = "DIR", requires = "tracer_cgroup")]
    pub own_cgroup: Option<PathBuf>,
    /// Read what the tracer used from this control group
    #[arg(long, value_name = "DIR")]
    pub tracer_cgroup: Option<PathBuf>,
}

/// What one run took. A tracer on the same CPU that runs meanwhile is included in the times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measured {
    /// Events that the work caused.
    pub events: u64,
    /// Nanoseconds from the beginning of the first round to the end of the last; where the work waits for a disk,
    /// the CPU time of the process and of the tracer's control group meanwhile.
    pub time: u64,
    /// Of the time, nanoseconds in the system calls that cause the events.
    pub calls: u64,
    /// Microseconds of CPU time that the tracer's control group had used when the first round began.
    pub tracer_before: u64,
    /// The same when the last round ended.
    pub tracer_after: u64,
}

/// Readings of the clock that goes while the work is done.
struct Reading {
    clock: Duration,
    tracer: u64,
}

impl Cost {
    /// Does the work and appends a [`Measured`] to the result file.
    ///
    /// # Errors
    /// When the work cannot be done, was not done in full, or when the control groups are not there.
    pub fn run(&self) -> anyhow::Result<()> {
        if let Some(group) = &self.own_cgroup {
            let file = group.join("cgroup.procs");
            fs::write(&file, "0").with_context(|| format!("cannot write {}", file.display()))?;
        }
        ensure!(self.rounds > 0, "the number of rounds must not be 0");
        let work = self.work.prepare(self.units)?;
        let mut calls = Duration::ZERO;
        let begin = self.read()?;
        for round in 0..self.rounds {
            calls += work.round(round)?;
        }
        let end = self.read()?;
        work.check()?;
        let mut time = end.clock - begin.clock;
        if self.work.waits() {
            time += Duration::from_micros(end.tracer - begin.tracer);
        }
        self.write(&Measured {
            events: work.events() * u64::from(self.rounds),
            time: nanoseconds(time)?,
            calls: nanoseconds(calls)?,
            tracer_before: begin.tracer,
            tracer_after: end.tracer,
        })
    }

    fn read(&self) -> anyhow::Result<Reading> {
        let tracer = self.tracer_cgroup.as_deref().map_or(Ok(0), cpu_time)?;
        Ok(Reading { clock: self.work.clock()?, tracer })
    }

    fn write(&self, measured: &Measured) -> anyhow::Result<()> {
        let mut line = serde_json::to_string(measured)?;
        line.push('\n');
        OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.result)
            .and_then(|mut file| file.write_all(line.as_bytes()))
            .with_context(|| format!("cannot write {}", self.result.display()))
    }
}

/// Microseconds of CPU time that a control group other than the root has used. `usage_usec` adds up the
/// scheduler's exact run times, not ticks (6.12 kernel/cgroup/rstat.c, `cgroup_base_stat_cputime_show()`).
fn cpu_time(group: &Path) -> anyhow::Result<u64> {
    let file = group.join("cpu.stat");
    let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let value = text.lines().find_map(|line| line.strip_prefix("usage_usec "));
    value
        .and_then(|value| value.trim().parse().ok())
        .with_context(|| format!("no usage in {}", file.display()))
}

fn nanoseconds(time: Duration) -> anyhow::Result<u64> {
    u64::try_from(time.as_nanos()).context("the run took centuries")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_is_read_from_a_group() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("cpu.stat"), "usage_usec 1234\nuser_usec 1000\nsystem_usec 234\n")
            .unwrap();
        assert_eq!(cpu_time(folder.path()).unwrap(), 1234);
        fs::write(folder.path().join("cpu.stat"), "user_usec 1000\n").unwrap();
        assert!(cpu_time(folder.path()).is_err());
        assert!(cpu_time(Path::new("/nowhere")).is_err());
    }
}
