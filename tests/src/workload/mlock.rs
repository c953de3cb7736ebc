//! Memory locked and unlocked.

use std::sync::OnceLock;

use clap::Args;

use super::fact::Facts;
use super::memory::Memory;
use super::system::kernel_has;

/// Lock populated memory with mlock and unlock it with munlock
#[derive(Args, Clone, Debug)]
pub struct Mlock {
    /// Pages to lock
    #[arg(long, default_value_t = 64)]
    pub pages: usize,
}

impl Mlock {
    /// Does the work and states the facts.
    ///
    /// # Errors
    /// When the process may not lock so much.
    pub fn run(&self, facts: &mut Facts) -> anyhow::Result<()> {
        let memory = Memory::filled(self.pages)?;
        facts.pages(memory.page_list()?)?;
        memory.lock()?;
        memory.unlock()?;
        let pages = self.pages as u64;
        facts.exactly("mlock_folio", pages)?;
        if unlocks_in_batches()? {
            // Only pages with more than one mapping are looked for in other VMAs.
            facts.exactly("munlock_folio", 0)?;
            facts.exactly("page_mlock", 0)?;
        } else {
            facts.exactly("munlock_folio", pages)?;
        }
        facts.exactly("mlock_fixup", 2)
    }
}

/// Whether munlock(2) clears the pages' mark in batches, past `munlock_vma_page`, and then looks for other VMAs that
/// lock the page with `page_mlock`: so up to 5.17 (`__munlock_pagevec`, 5.15 mm/mlock.c).
pub(super) fn unlocks_in_batches() -> anyhow::Result<bool> {
    static KNOWN: OnceLock<bool> = OnceLock::new();
    match KNOWN.get() {
        Some(known) => Ok(*known),
        None => kernel_has("page_mlock").map(|has| *KNOWN.get_or_init(|| has)),
    }
}
