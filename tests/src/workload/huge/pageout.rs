//! Huge pages swapped out.

use anyhow::ensure;
use clap::Args;

use super::super::fact::Facts;
use super::super::pageout::page_out;
use super::super::swap;
use super::memory::{Form, pages_of_one};
use super::statistics::Statistics;

/// Page out huge pages with MADV_PAGEOUT
#[derive(Args, Clone, Debug)]
pub struct Pageout {
    #[command(flatten)]
    form: Form,
    /// Swap to a zram device of so many MiB where there is no swap yet
    #[arg(long, value_name = "MIB", default_value_t = 256)]
    zram: u64,
}

impl Pageout {
    /// Does the work and states the facts.
    pub(super) fn run(&self, facts: &mut Facts) -> anyhow::Result<()> {
        swap::turn_on(self.zram << 20)?;
        let memory = self.form.filled(facts)?;
        let before = Statistics::read()?;
        page_out(&memory.memory)?;
        let after = Statistics::read()?;

        // The kernel may swap out a huge page as one, or split it first: always where it is mapped page by page (to
        // 6.8, madvise_cold_or_pageout_pte_range), or where the swap device has no free piece that large.
        let split = after.split - before.split;
        let whole = after.swapped_out - before.swapped_out;
        let folios = self.form.count();
        ensure!(
            whole + split == folios,
            "{whole} huge pages were swapped out and {split} split, of {folios}"
        );
        let pages = pages_of_one() as u64;
        facts.exactly("try_to_unmap", whole + split * pages)?;
        facts.exactly("try_to_unmap_one", whole + split * pages)?;
        facts.exactly("try_to_migrate", split)?;
        facts.exactly("migration_entry_set", if self.form.pte { split * pages } else { 0 })?;
        facts.exactly("migration_entry_removed", split * pages)?;
        memory.memory.check()
    }
}
