//! What must hold in the recordings, one file a subject.

mod at_once;
mod audit;
mod clients;
mod device_memory;
mod diagnoses;
mod endings;
mod exclusive;
mod exit_codes;
mod false_alarm;
mod filters;
mod huge;
mod loss;
mod mlock_and_fork;
mod mutant;
mod namespaces;
mod peer;
mod plan;
mod reclaim_and_migration;
mod report;
mod restricted;
mod selftest;
mod silent_pass;
mod stat;
mod swiotlb;
mod tasks;
mod top;

use anyhow::ensure;

use crate::kernels::has_test_driver;
use crate::recording::{Recording, Session};
use crate::runs;

pub use mutant::planted_bug;
pub use selftest::selftest;

/// The sessions of one run in a guest.
pub struct Run<'a> {
    /// As `--kernel` takes it: `6.1`, `6.12-hmm`, `latest`.
    pub kernel: &'a str,
    /// `auto`, `kprobe`, `lockdown`, `many-cpus`, `healthy`, `little-room`, `mutants`, `restricted` or
    /// `large-pages`.
    pub method: &'a str,
    /// The sessions that may be opened, as whoever judges has declared them.
    pub sessions: &'a [String],
    /// Opens a session by its name.
    pub open: &'a dyn Fn(&str) -> anyhow::Result<Session>,
}

impl Run<'_> {
    /// The session of that name. Under a filter of names only those that are declared have been run.
    pub fn session(&self, name: &str) -> anyhow::Result<Session> {
        ensure!(
            self.sessions.iter().any(|declared| declared == name),
            "{name} is not among the sessions of this check: {}",
            self.sessions.join(" ")
        );
        (self.open)(name)
    }

    /// The session of that name, which went well and recorded all, and has these events as often as its workload says.
    pub fn complete(&self, name: &str, events: &[&str]) -> anyhow::Result<(Session, Recording)> {
        let session = self.session(name)?;
        session.expect_status(0)?;
        let recording = session.recording()?;
        recording.check_complete()?;
        session.check_counts(&recording, events)?;
        Ok((session, recording))
    }
}

/// Whether something can be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applies {
    /// It is judged.
    Yes,
    /// It has no meaning there.
    No,
    /// It should be judged, but cannot be, because.
    Skipped(&'static str),
}

impl From<bool> for Applies {
    fn from(applies: bool) -> Self {
        if applies { Self::Yes } else { Self::No }
    }
}

/// Something that must hold.
pub struct Check {
    /// Its name.
    pub name: &'static str,
    /// Whether it can be judged on that kernel in that run.
    pub applies: fn(kernel: &str, method: &str) -> Applies,
    /// The sessions that it is judged by.
    pub sessions: &'static [&'static str],
    /// Judges it.
    pub judge: fn(&Run<'_>) -> anyhow::Result<()>,
}

/// Everything that is checked.
pub fn all() -> impl Iterator<Item = &'static Check> {
    [
        reclaim_and_migration::CHECKS,
        stat::CHECKS,
        top::CHECKS,
        exclusive::CHECKS,
        device_memory::CHECKS,
        peer::CHECKS,
        huge::CHECKS,
        mlock_and_fork::CHECKS,
        swiotlb::CHECKS,
        filters::CHECKS,
        tasks::CHECKS,
        namespaces::CHECKS,
        loss::CHECKS,
        at_once::CHECKS,
        endings::CHECKS,
        plan::CHECKS,
        audit::CHECKS,
        clients::CHECKS,
        silent_pass::CHECKS,
        exit_codes::CHECKS,
        diagnoses::CHECKS,
        report::CHECKS,
        restricted::CHECKS,
        false_alarm::CHECKS,
        mutant::CHECKS,
    ]
    .into_iter()
    .flatten()
}

/// The names of sessions, without what is said of each.
const fn names<T: Copy, const COUNT: usize>(sessions: [(&'static str, T); COUNT]) -> [&'static str; COUNT] {
    let mut names = [""; COUNT];
    let mut at = 0;
    while at < COUNT {
        names[at] = sessions[at].0;
        at += 1;
    }
    names
}

/// Every kernel, fentry and kprobe.
fn always(_kernel: &str, method: &str) -> Applies {
    matches!(method, runs::AUTO | runs::KPROBE).into()
}

/// Kernels that have namespaces.
fn with_namespaces(kernel: &str, method: &str) -> Applies {
    match always(kernel, method) {
        Applies::Yes if kernel == xtask::kernel::HMM => {
            Applies::Skipped("tests/kernels/6.12-hmm.config has no namespaces")
        }
        applies => applies,
    }
}

/// Sessions that do not depend on the attach method and are run once.
fn once(_kernel: &str, method: &str) -> Applies {
    (method == runs::AUTO).into()
}

/// What depends on the program and hardly on the kernel: not on the oldest one, where it would only take time.
fn of_the_program(kernel: &str, method: &str) -> Applies {
    if kernel == xtask::kernel::OLDEST { Applies::No } else { always(kernel, method) }
}

/// The same of sessions that are run once.
fn of_the_program_once(kernel: &str, method: &str) -> Applies {
    if kernel == xtask::kernel::OLDEST { Applies::No } else { once(kernel, method) }
}

/// Kernels with the test driver for device memory.
fn with_test_driver(kernel: &str, method: &str) -> Applies {
    if has_test_driver(kernel) { always(kernel, method) } else { Applies::No }
}

/// A kernel that is booted with eight CPUs.
fn many_cpus(_kernel: &str, method: &str) -> Applies {
    (method == runs::MANY_CPUS).into()
}

/// Verdicts on every kernel as it is.
fn healthy(_kernel: &str, method: &str) -> Applies {
    (method == "healthy").into()
}

/// Verdicts on a kernel with the test driver for device memory.
fn healthy_with_test_driver(kernel: &str, method: &str) -> Applies {
    match healthy(kernel, method) {
        Applies::Yes if !has_test_driver(kernel) => Applies::Skipped("this kernel has no test_hmm"),
        applies => applies,
    }
}

/// Verdicts of sessions that do not depend on the kernel and are run once.
fn healthy_once(kernel: &str, method: &str) -> Applies {
    (kernel == "6.12-hmm" && method == "healthy").into()
}

/// Verdicts with a small pool of bounce buffers.
fn little_room(_kernel: &str, method: &str) -> Applies {
    (method == runs::LITTLE_ROOM).into()
}

/// Verdicts on a kernel with planted bugs, beside the one of each bug.
fn mutants(_kernel: &str, method: &str) -> Applies {
    (method == runs::MUTANTS).into()
}
