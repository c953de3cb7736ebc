//! Huge pages split into small ones.

use std::fs;

use anyhow::{Context, ensure};
use clap::{Args, ValueEnum};

use super::super::fact::Facts;
use super::super::memory::page_size;
use super::memory::{Form, HugeMemory, pages_of_one};

const FILE: &str = "/sys/kernel/debug/split_huge_pages";

/// Split huge pages into small ones through debugfs
#[derive(Args, Clone, Debug)]
pub struct Split {
    #[command(flatten)]
    form: Form,
    /// What to do with a part of each huge page before, which splits its entry, but not the page
    #[arg(long, value_enum)]
    cut: Option<Cut>,
}

/// What can be done with a part of a huge page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Cut {
    /// Unmap the second half of the last one
    Munmap,
    /// Give up the second half
    Dontneed,
    /// Make one page in the middle read-only: three VMAs map the huge page
    Mprotect,
}

impl Split {
    /// Does the work and states the facts.
    pub(super) fn run(&self, facts: &mut Facts) -> anyhow::Result<()> {
        let mut memory = self.form.filled(facts)?;
        if let Some(cut) = self.cut {
            cut.of(&mut memory)?;
            ensure!(memory.large()? == present(&memory)?, "a huge page was split before it should be");
        }
        let present = present(&memory)?;
        let entries = present as u64;
        split(&memory)?;
        let large = memory.large()?;
        ensure!(large == 0, "{large} pages are parts of larger ones still");
        let content =
            |page: usize| self.cut != Some(Cut::Dontneed) || page % pages_of_one() < pages_of_one() / 2;
        memory.memory.check_pages((0..memory.memory.pages()).filter(|page| content(*page)))?;

        let folios = self.form.count();
        facts.exactly("try_to_migrate", folios)?;
        let vmas = if self.cut == Some(Cut::Mprotect) { 3 } else { 1 };
        facts.exactly("try_to_migrate_one", folios * vmas)?;
        // A huge entry becomes migration entries of small pages all at once, without a tracepoint
        // (__split_huge_pmd_locked, mm/huge_memory.c).
        let whole = (self.form.folios * pages_of_one() - self.gone()) as u64;
        let by_page = self.form.pte || self.cut.is_some();
        // What munmap cuts is the last huge page's; the others are mapped as before.
        let set = match self.cut {
            Some(Cut::Munmap) if !self.form.pte => (pages_of_one() / 2) as u64,
            _ if by_page => whole,
            _ => 0,
        };
        facts.exactly("migration_entry_set", set)?;
        facts.exactly("migration_entry_removed", entries)?;
        // Each small page is looked for in the VMAs that its place in the huge page belongs to, mapped or not
        // (remap_page, mm/huge_memory.c).
        facts.exactly("remove_migration_pte", memory.memory.pages() as u64)
    }

    /// Pages that are not mapped any more.
    fn gone(&self) -> usize {
        match self.cut {
            Some(Cut::Munmap) => pages_of_one() / 2,
            Some(Cut::Dontneed) => self.form.folios * pages_of_one() / 2,
            Some(Cut::Mprotect) | None => 0,
        }
    }
}

impl Cut {
    fn of(self, memory: &mut HugeMemory) -> anyhow::Result<()> {
        match self {
            Self::Munmap => memory.memory.cut(pages_of_one() / 2),
            Self::Dontneed => memory.firsts().try_for_each(|first| {
                memory.memory.advise_part(first + pages_of_one() / 2, pages_of_one() / 2, libc::MADV_DONTNEED)
            }),
            Self::Mprotect => memory.firsts().try_for_each(|first| {
                memory.memory.protect_part(first + pages_of_one() / 2, 1, libc::PROT_READ)
            }),
        }
    }
}

fn present(memory: &HugeMemory) -> anyhow::Result<usize> {
    memory.memory.count(super::super::pagemap::PageState::present)
}

/// Splits the huge pages; the kernel does not say when it cannot.
fn split(memory: &HugeMemory) -> anyhow::Result<()> {
    let begin = memory.memory.address();
    let range = format!(
        "{},{begin:#x},{:#x}",
        std::process::id(),
        begin + (memory.memory.pages() * page_size()) as u64
    );
    fs::write(FILE, range).with_context(|| format!("cannot write {FILE} (is debugfs mounted?)"))
}
