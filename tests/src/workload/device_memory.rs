//! Migration to a device's private memory and back.

use std::time::Duration;

use anyhow::ensure;
use clap::Args;

use super::fact::Facts;
use super::memory::Memory;
use super::mirror::Mirror;

/// Migrate pages to the private memory of /dev/hmm_dmirror0 and fault them back
#[derive(Args, Clone, Debug)]
pub struct DeviceMemory {
    /// Pages to migrate
    #[arg(long, default_value_t = 64)]
    pub pages: usize,
    /// Seconds to leave the pages on the device
    #[arg(long, default_value_t = 0)]
    pub hold: u64,
}

impl DeviceMemory {
    /// Does the work and states the facts.
    ///
    /// # Errors
    /// When the test driver is missing or refuses a page, or when a page's content is lost.
    pub fn run(&self, facts: &mut Facts) -> anyhow::Result<()> {
        let mirror = Mirror::open()?;
        let memory = Memory::filled(self.pages)?;
        facts.pages(memory.page_list()?)?;
        mirror.migrate_to_device(&memory)?;
        let entries = memory.swapped()?;
        ensure!(entries == self.pages, "{entries} of {} pages are on the device", self.pages);
        std::thread::sleep(Duration::from_secs(self.hold));
        memory.check()?;
        ensure!(memory.swapped()? == 0, "a page is still on the device");

        let pages = self.pages as u64;
        // To the device in chunks; back by one fault a page (dmirror_devmem_fault, lib/test_hmm.c).
        facts.exactly("migrate_vma_setup", mirror.migrate_calls(self.pages)? + pages)?;
        // The entries are set by migrate_vma_collect_pmd, which has no tracepoint; they are replaced
        // by the reverse map's remove_migration_pte, once on the way there and once on the way back.
        facts.exactly("migration_entry_set", 0)?;
        facts.exactly("migration_entry_removed", 2 * pages)?;
        facts.exactly("remove_migration_pte", 2 * pages)?;
        Ok(())
    }
}
