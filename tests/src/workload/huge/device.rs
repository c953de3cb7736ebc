//! Huge pages moved to a device's private memory and back.

use anyhow::ensure;
use clap::Args;

use super::super::fact::Facts;
use super::super::mirror::Mirror;
use super::super::system::is_error;
use super::memory::{Form, pages_of_one};

/// Migrate huge pages to the private memory of /dev/hmm_dmirror0 and fault them back
#[derive(Args, Clone, Debug)]
pub struct Device {
    #[command(flatten)]
    form: Form,
}

/// What happens to a huge page.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// It moves as one.
    Whole,
    /// It is split, and its pages move one by one.
    Split,
    /// It stays where it is.
    Refused,
}

impl Device {
    /// Does the work and states the facts.
    pub(super) fn run(&self, facts: &mut Facts) -> anyhow::Result<()> {
        let mirror = Mirror::open()?;
        // The driver must ask for huge pages (MIGRATE_VMA_SELECT_COMPOUND); otherwise they are split where they have
        // one entry, and left where they have not (migrate_vma_collect_pmd, 6.12 mm/migrate_device.c; 7.3 splits
        // both).
        let kind = match (mirror.takes_huge_pages()?, self.form.pte) {
            (true, false) => Kind::Whole,
            (true, true) | (false, false) => Kind::Split,
            (false, true) => Kind::Refused,
        };
        let memory = self.form.filled(facts)?;
        let result = mirror.migrate_to_device(&memory.memory);
        let there = memory.memory.swapped()?;
        if kind == Kind::Refused {
            let refused = result.is_err_and(|error| is_error(&error, libc::ENOENT));
            ensure!(refused && there == 0, "{there} pages are on the device");
        } else {
            result?;
            ensure!(
                there == memory.memory.pages(),
                "{there} of {} pages are on the device",
                memory.memory.pages()
            );
        }
        memory.memory.check()?;
        ensure!(memory.memory.swapped()? == 0, "a page is still on the device");
        if kind == Kind::Whole {
            let whole = memory.mapped_as_one()?;
            ensure!(whole == self.form.folios, "{whole} huge pages came back; the driver had none free");
        }

        let folios = self.form.count();
        let pages = folios * pages_of_one() as u64;
        let calls = mirror.migrate_calls(memory.memory.pages())?;
        let split = if kind == Kind::Split { pages } else { 0 };
        // To the device, and back by one fault each.
        let (calls, moved) = match kind {
            Kind::Whole => (calls + folios, folios),
            Kind::Split => (calls + pages, pages),
            Kind::Refused => (calls, 0),
        };
        for step in ["migrate_vma_setup", "migrate_vma_pages", "migrate_vma_finalize"] {
            facts.exactly(step, calls)?;
        }
        facts.exactly("migrate_vma_refused", if kind == Kind::Refused { pages } else { 0 })?;
        facts.exactly("try_to_migrate", split / pages_of_one() as u64)?;
        // Entries of small pages are set without a tracepoint (migrate_vma_collect_pmd), huge ones with one; and so
        // are those of a split, if the page was mapped by page.
        let set = match kind {
            Kind::Whole => 2 * moved,
            Kind::Split if self.form.pte => split,
            Kind::Split | Kind::Refused => 0,
        };
        facts.exactly("migration_entry_set", set)?;
        facts.exactly("migration_entry_removed", split + 2 * moved)?;
        facts.exactly("remove_migration_pte", split + 2 * moved)
    }
}
