//! Huge pages that parent and child share.

use clap::Args;

use super::super::fact::Facts;
use super::super::fork::{SMAPS_LENGTH, count_copied_vmas};
use super::super::system::{fork_child, wait_for_success};
use super::memory::Form;

/// Fork; the child reads the huge pages of its parent and writes to one small page of each
#[derive(Args, Clone, Debug)]
pub struct Fork {
    #[command(flatten)]
    form: Form,
}

impl Fork {
    /// Does the work and states the facts.
    pub(super) fn run(&self, facts: &mut Facts) -> anyhow::Result<()> {
        let memory = self.form.filled(facts)?;
        let mut smaps = vec![0; SMAPS_LENGTH];
        let vmas = count_copied_vmas(&mut smaps)?;
        let child = fork_child(|| {
            memory.memory.check()?;
            // The child gets small pages of its own; no entry of another process changes.
            memory.firsts().for_each(|first| memory.memory.fill_page(first));
            memory.memory.check()
        })?;
        wait_for_success(child)?;
        memory.memory.fill();
        memory.memory.check()?;
        facts.exactly("copy_page_range", vmas)?;
        for event in ["try_to_migrate", "try_to_unmap", "remove_migration_pte", "restore_exclusive"] {
            facts.exactly(event, 0)?;
        }
        Ok(())
    }
}
