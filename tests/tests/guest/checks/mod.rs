//! What must hold in the recordings, one file a subject.

mod audit;
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
mod plan;
mod reclaim_and_migration;
mod report;
mod selftest;
mod silent_pass;
mod swiotlb;
mod tasks;

use crate::kernels::has_test_driver;
use crate::recording::Session;

pub use mutant::planted_bug;
pub use selftest::selftest;

/// The sessions of one run in a guest.
pub struct Run<'a> {
    /// As `--kernel` takes it: `6.1`, `6.12-hmm`, `latest`.
    pub kernel: &'a str,
    /// `auto`, `kprobe`, `lockdown`, `healthy`, `little-room` or `mutants`.
    pub method: &'a str,
    /// Opens a session by its name.
    pub open: &'a dyn Fn(&str) -> anyhow::Result<Session>,
}

impl Run<'_> {
    /// The session of that name.
    pub fn session(&self, name: &str) -> anyhow::Result<Session> {
        (self.open)(name)
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
    /// Judges it.
    pub judge: fn(&Run<'_>) -> anyhow::Result<()>,
}

/// Everything that is checked.
pub fn all() -> impl Iterator<Item = &'static Check> {
    [
        reclaim_and_migration::CHECKS,
        exclusive::CHECKS,
        huge::CHECKS,
        mlock_and_fork::CHECKS,
        swiotlb::CHECKS,
        filters::CHECKS,
        tasks::CHECKS,
        namespaces::CHECKS,
        loss::CHECKS,
        endings::CHECKS,
        plan::CHECKS,
        audit::CHECKS,
        silent_pass::CHECKS,
        exit_codes::CHECKS,
        diagnoses::CHECKS,
        report::CHECKS,
        false_alarm::CHECKS,
        mutant::CHECKS,
    ]
    .into_iter()
    .flatten()
}

/// Every kernel, fentry and kprobe.
fn always(_kernel: &str, method: &str) -> Applies {
    matches!(method, "auto" | "kprobe").into()
}

/// Sessions that do not depend on the attach method and are run once.
fn once(_kernel: &str, method: &str) -> Applies {
    (method == "auto").into()
}

/// Kernels with the test driver for device memory.
fn with_test_driver(kernel: &str, method: &str) -> Applies {
    if has_test_driver(kernel) { always(kernel, method) } else { Applies::No }
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
    (method == "little-room").into()
}

/// Verdicts on a kernel with planted bugs, beside the one of each bug.
fn mutants(_kernel: &str, method: &str) -> Applies {
    (method == "mutants").into()
}
