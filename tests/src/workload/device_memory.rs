//! Migration to a device's private memory and back.

use std::time::Duration;

use anyhow::ensure;
use clap::Args;

use super::fact::Facts;
use super::memory::Memory;
use super::mirror::{Mirror, range_calls};
use super::system::kernel_has;

/// Migrate pages to the private memory of /dev/hmm_dmirror0 and fault them back
#[derive(Args, Clone, Debug)]
pub struct DeviceMemory {
    /// Pages to migrate
    #[arg(long, default_value_t = 64)]
    pub pages: usize,
    /// How often
    #[arg(long, default_value_t = 1)]
    pub rounds: u64,
    /// Seconds to leave the pages on the device
    #[arg(long, default_value_t = 0)]
    pub hold: u64,
    /// Let the device read the pages before, ask what is mapped after, and close it while it has them
    #[arg(long, conflicts_with_all = ["hold", "rounds"])]
    pub close: bool,
}

impl DeviceMemory {
    /// Does the work and states the facts.
    ///
    /// # Errors
    /// When the test driver is missing or refuses a page, or when a page's content is lost.
    pub fn run(&self, facts: &mut Facts) -> anyhow::Result<()> {
        if self.close {
            return self.close_with_pages(facts);
        }
        let mirror = Mirror::open()?;
        let memory = Memory::filled(self.pages)?;
        facts.pages(memory.page_list()?)?;
        for _ in 0..self.rounds {
            mirror.migrate_to_device(&memory)?;
            let entries = memory.swapped()?;
            ensure!(entries == self.pages, "{entries} of {} pages are on the device", self.pages);
            std::thread::sleep(Duration::from_secs(self.hold));
            memory.check()?;
            ensure!(memory.swapped()? == 0, "a page is still on the device");
        }

        // To the device in chunks; back by one fault a page (dmirror_devmem_fault, lib/test_hmm.c).
        let pages = self.rounds * self.pages as u64;
        let calls = self.rounds * mirror.migrate_calls(self.pages)? + pages;
        for step in ["migrate_vma_setup", "migrate_vma_pages", "migrate_vma_finalize"] {
            facts.exactly(step, calls)?;
        }
        // The entries are set by migrate_vma_collect_pmd, which has no tracepoint; they are replaced
        // by the reverse map's remove_migration_pte, once on the way there and once on the way back.
        facts.exactly("migration_entry_set", 0)?;
        facts.exactly("migration_entry_removed", 2 * pages)?;
        facts.exactly("remove_migration_pte", 2 * pages)?;
        Ok(())
    }
    /// The device is closed while it has the pages: since 6.1 the driver takes them back then (dmirror_fops_release,
    /// lib/test_hmm.c), before that the CPU does.
    fn close_with_pages(&self, facts: &mut Facts) -> anyhow::Result<()> {
        let mirror = Mirror::open()?;
        let memory = Memory::filled(self.pages)?;
        facts.pages(memory.page_list()?)?;
        mirror.read(&memory)?;
        mirror.migrate_to_device(&memory)?;
        mirror.expect_on_device(&memory)?;
        let (calls, ranges) = (mirror.migrate_calls(self.pages)?, range_calls(self.pages));
        drop(mirror);

        let mut calls_back = 0;
        if kernel_has("migrate_device_range")? {
            ensure!(memory.swapped()? == 0, "a page is still on the device");
            facts.at_least_own(
                "migrate_device_range",
                1,
                "one for each chunk of memory that the driver has",
            )?;
        } else {
            calls_back = self.pages as u64;
        }
        memory.check()?;
        for step in ["migrate_vma_setup", "migrate_vma_pages", "migrate_vma_finalize"] {
            facts.exactly(step, calls + calls_back)?;
        }
        // Once to read, once to look. A look watches its range meanwhile (dmirror_range_snapshot); an open mirror, all.
        let bound = "newer drivers work on fewer pages at a time";
        facts.at_least_own("hmm_range_fault", 2 * ranges, bound)?;
        facts.at_least_own("mmu_interval_notifier_insert", 1 + ranges, bound)?;
        facts.at_least_own("mmu_interval_notifier_remove", 1 + ranges, bound)?;
        Ok(())
    }
}
