//! Single pages of huge ones that become device-exclusive.

use anyhow::ensure;
use clap::{Args, ValueEnum};

use super::super::fact::Facts;
use super::super::fork::{SMAPS_LENGTH, count_copied_vmas};
use super::super::mirror::{Mirror, works_in_ranges};
use super::super::system::{fork_child, is_error, wait_for_success};
use super::memory::{Form, pages_of_one};

/// Make small parts of a huge page device-exclusive; up to 6.14 the kernel refuses all but its first page
#[derive(Args, Clone, Debug)]
pub struct Exclusive {
    #[command(flatten)]
    form: Form,
    /// First page
    #[arg(long, default_value_t = 3)]
    first: usize,
    /// Pages to make exclusive, one after the other
    #[arg(long, default_value_t = 8)]
    pages: usize,
    /// How it ends
    #[arg(long, value_enum, default_value_t = End::Fault)]
    end: End,
}

/// How exclusive access ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum End {
    /// By CPU access
    Fault,
    /// By fork
    Fork,
    /// By munmap: nothing is restored
    Munmap,
}

impl Exclusive {
    /// Does the work and states the facts.
    pub(super) fn run(&self, facts: &mut Facts) -> anyhow::Result<()> {
        let mirror = Mirror::open()?;
        let memory = self.form.filled(facts)?;
        let pages = self.pages as u64;
        let entries = match mirror.make_part_exclusive(&memory.memory, self.first, self.pages) {
            Err(error) if works_in_ranges()? && is_error(&error, libc::EBUSY) => {
                self.refused(facts)?;
                memory.memory.swapped()? as u64
            }
            Err(error) => return Err(error),
            Ok(()) => {
                facts.exactly("make_device_exclusive", pages)?;
                facts.exactly("exclusive_page", pages)?;
                pages
            }
        };
        let seen = memory.memory.swapped()? as u64;
        ensure!(seen == entries, "{seen} of {entries} pages have an exclusive entry");
        ensure!(memory.mapped_as_one()? < self.form.folios, "the huge page has one entry still");

        let restored = match self.end {
            End::Fault => {
                memory.memory.fill();
                facts.exactly("exclusive_fault", entries)?;
                entries
            }
            End::Fork => {
                let mut smaps = vec![0; SMAPS_LENGTH];
                facts.exactly("copy_page_range", count_copied_vmas(&mut smaps)?)?;
                let child = fork_child(|| memory.memory.check())?;
                wait_for_success(child)?;
                facts.exactly("exclusive_fault", 0)?;
                entries
            }
            End::Munmap => {
                drop(memory);
                facts.exactly("exclusive_fault", 0)?;
                return facts.exactly("restore_exclusive", 0);
            }
        };
        memory.memory.check()?;
        ensure!(memory.memory.swapped()? == 0, "an exclusive entry is left");
        facts.exactly("restore_exclusive", restored)
    }

    /// Up to 6.14 a page that is not the first of its folio is left out. The first one takes all entries of the folio
    /// with it (page_make_device_exclusive_one, 6.12 mm/rmap.c), and the driver gives up after the first of its calls,
    /// because a page is missing.
    fn refused(&self, facts: &mut Facts) -> anyhow::Result<()> {
        let firsts =
            (self.first..self.first + self.pages).filter(|page| page % pages_of_one() == 0).count() as u64;
        facts.exactly("make_device_exclusive", 1)?;
        facts.exactly("exclusive_page", firsts)?;
        facts.exactly("exclusive_vma", firsts)
    }
}
