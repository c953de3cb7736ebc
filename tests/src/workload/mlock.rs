//! Memory locked and unlocked.

use clap::Args;

use super::fact::Facts;
use super::memory::Memory;

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
        facts.exactly("munlock_folio", pages)?;
        facts.exactly("mlock_fixup", 2)
    }
}
