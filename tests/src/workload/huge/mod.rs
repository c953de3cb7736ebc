//! Huge pages (2 MiB), mapped as one by an entry of the page middle directory (PMD), or page by page (PTE).

mod device;
mod exclusive;
mod fork;
mod lock;
mod memory;
mod migrate;
mod pageout;
mod split;
mod statistics;

use clap::Subcommand;

use super::fact::Facts;

/// Move, split, page out, fork, lock, make exclusive or move to a device huge pages
#[derive(Subcommand, Clone, Debug)]
pub enum Huge {
    /// Move them to another NUMA node and back
    Migrate(migrate::Migrate),
    /// Split them through debugfs
    Split(split::Split),
    /// Swap them out
    Pageout(pageout::Pageout),
    /// Share them with a child
    Fork(fork::Fork),
    /// Lock them into memory
    Lock(lock::Lock),
    /// Make small parts of them device-exclusive
    Exclusive(exclusive::Exclusive),
    /// Move them to a device's memory and back
    Device(device::Device),
}

impl Huge {
    /// Does the work and states the facts.
    ///
    /// # Errors
    /// When the kernel gives no huge pages, when it lacks what the work needs, or when it does not do the work on
    /// every page.
    pub fn run(&self, facts: &mut Facts) -> anyhow::Result<()> {
        match self {
            Self::Migrate(work) => work.run(facts),
            Self::Split(work) => work.run(facts),
            Self::Pageout(work) => work.run(facts),
            Self::Fork(work) => work.run(facts),
            Self::Lock(work) => work.run(facts),
            Self::Exclusive(work) => work.run(facts),
            Self::Device(work) => work.run(facts),
        }
    }
}
