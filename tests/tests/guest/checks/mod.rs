//! What must hold in the recordings, one file a subject.

mod endings;
mod exclusive;
mod filters;
mod loss;
mod mlock_and_fork;
mod plan;
mod reclaim_and_migration;
mod swiotlb;

use crate::recording::Session;

/// The sessions of one guest with one attach method.
pub struct Run<'a> {
    /// `6.1`, `6.12` or `6.12-hmm`.
    pub kernel: &'a str,
    /// `auto`, `kprobe` or `lockdown`.
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

/// Something that must hold.
pub struct Check {
    /// Its name.
    pub name: &'static str,
    /// Whether it can be judged on that kernel with that method.
    pub applies: fn(kernel: &str, method: &str) -> bool,
    /// Judges it.
    pub judge: fn(&Run<'_>) -> anyhow::Result<()>,
}

/// Everything that is checked.
pub fn all() -> impl Iterator<Item = &'static Check> {
    [
        reclaim_and_migration::CHECKS,
        exclusive::CHECKS,
        mlock_and_fork::CHECKS,
        swiotlb::CHECKS,
        filters::CHECKS,
        loss::CHECKS,
        endings::CHECKS,
        plan::CHECKS,
    ]
    .into_iter()
    .flatten()
}

/// Every kernel, fentry and kprobe.
fn always(_kernel: &str, method: &str) -> bool {
    method != "lockdown"
}

/// Sessions that do not depend on the attach method and are run once.
fn once(_kernel: &str, method: &str) -> bool {
    method == "auto"
}

/// Kernels with the test driver for device memory.
fn with_test_driver(kernel: &str, method: &str) -> bool {
    kernel == "6.12-hmm" && always(kernel, method)
}
