//! Huge pages moved to another NUMA node.

use anyhow::{bail, ensure};
use clap::Args;

use super::super::fact::Facts;
use super::super::kept_child::KeptChild;
use super::super::move_pages::{MPOL_MF_MOVE_ALL, move_addresses};
use super::super::numa::memory_nodes;
use super::memory::{Form, pages_of_one};

/// Move huge pages to another NUMA node and back with move_pages(2)
#[derive(Args, Clone, Debug)]
pub struct Migrate {
    #[command(flatten)]
    form: Form,
    /// A child maps them, too
    #[arg(long)]
    shared: bool,
}

impl Migrate {
    /// Does the work and states the facts.
    pub(super) fn run(&self, facts: &mut Facts) -> anyhow::Result<()> {
        let nodes = memory_nodes()?;
        ensure!(nodes.len() > 1, "move_pages needs two NUMA nodes with memory");
        let memory = self.form.filled(facts)?;
        let child = if self.shared {
            Some(KeptChild::fork(|| memory.memory.check(), || memory.memory.check())?)
        } else {
            None
        };

        let here = move_addresses(&memory.addresses(), None, MPOL_MF_MOVE_ALL)?[0];
        let Some(away) = nodes.iter().copied().find(|node| *node != here) else { bail!("no other node") };
        let mut count = Counts::default();
        for node in [away, here] {
            let moved = move_addresses(&memory.addresses(), Some(node), MPOL_MF_MOVE_ALL)?;
            ensure!(moved.iter().all(|place| *place == node), "not all moved to node {node}: {moved:?}");
            count.calls += 1;
            let large = memory.large()?;
            if large == 0 {
                count.split(self.form);
                break;
            }
            ensure!(large == memory.memory.pages(), "{large} pages are parts of huge ones still");
            let one = if self.form.pte { 0 } else { self.form.folios };
            ensure!(memory.mapped_as_one()? == one, "the kernel maps the pages in another way than before");
            count.whole(self.form);
        }
        memory.memory.check()?;
        child.map_or(Ok(()), KeptChild::finish)?;

        let sharers = if self.shared { 2 } else { 1 };
        facts.exactly("try_to_migrate", count.walks)?;
        facts.exactly("try_to_migrate_one", count.walks * sharers)?;
        facts.exactly("migration_entry_set", count.set * sharers)?;
        facts.exactly("migration_entry_removed", count.removed * sharers)?;
        facts.exactly("remove_migration_pte", count.returns * sharers)?;
        facts.exactly("migrate_pages", count.calls)
    }
}

/// What moves must have led to, for each process that maps the pages.
#[derive(Default)]
struct Counts {
    calls: u64,
    walks: u64,
    set: u64,
    removed: u64,
    returns: u64,
}

impl Counts {
    /// Every huge page moved as one.
    fn whole(&mut self, form: Form) {
        self.walks += form.count();
        self.returns += form.count();
        self.set += form.entries();
        self.removed += form.entries();
    }

    /// Every huge page was split, and then its small pages were moved. The kernel does so where the node has no free
    /// piece that large; and from 6.12 on with one that was moved before while it was mapped page by page, which it
    /// then takes for partially mapped (`migrate_folio_move` and `migrate_pages_batch`, 6.12 mm/migrate.c).
    fn split(&mut self, form: Form) {
        let pages = form.count() * pages_of_one() as u64;
        self.walks += form.count() + pages;
        // A huge entry becomes migration entries of small pages all at once, without a tracepoint
        // (`__split_huge_pmd_locked`, mm/huge_memory.c).
        self.set += pages + if form.pte { pages } else { 0 };
        // Splitting gives each small page its entry back, and so does moving it.
        self.removed += 2 * pages;
        self.returns += 2 * pages;
    }
}
