//! Huge pages locked into memory.

use clap::Args;

use super::super::fact::Facts;
use super::memory::Form;

/// Lock huge pages with mlock and unlock them with munlock
#[derive(Args, Clone, Debug)]
pub struct Lock {
    #[command(flatten)]
    form: Form,
}

impl Lock {
    /// Does the work and states the facts.
    pub(super) fn run(&self, facts: &mut Facts) -> anyhow::Result<()> {
        let memory = self.form.filled(facts)?;
        memory.memory.lock()?;
        // A huge page counts once. Up to 6.6 the kernel passes over those that are mapped page by page (mlock_pte_range,
        // mm/mlock.c).
        let mlocked = memory.mlocked()? as u64;
        memory.memory.unlock()?;
        facts.exactly("mlock_folio", mlocked)?;
        facts.exactly("munlock_folio", mlocked)?;
        facts.exactly("mlock_fixup", 2)
    }
}
