//! Device-exclusive pages: how they are made, and each way in which that ends.

use std::time::Duration;

use anyhow::ensure;
use clap::Args;

use super::fact::Facts;
use super::fork::{SMAPS_LENGTH, count_copied_vmas};
use super::memory::Memory;
use super::mirror::{Mirror, exclusive_calls, works_in_ranges};
use super::system::{fork_child, wait_for_success};

/// Make pages device-exclusive through /dev/hmm_dmirror0, and end it by one of --fork, --fault, --munmap
#[derive(Args, Clone, Debug)]
pub struct Exclusive {
    /// Pages to make exclusive
    #[arg(long, default_value_t = 64)]
    pub pages: usize,
    /// End by fork: the parent's entries are restored, the child gets none
    #[arg(long, conflicts_with_all = ["fault", "munmap"])]
    pub fork: bool,
    /// End by CPU access
    #[arg(long, conflicts_with = "munmap")]
    pub fault: bool,
    /// End by munmap: nothing is restored
    #[arg(long)]
    pub munmap: bool,
    /// mlock the pages before
    #[arg(long)]
    pub mlock: bool,
    /// Move the exclusive entries with mremap
    #[arg(long)]
    pub mremap: bool,
    /// Take write permission from the exclusive entries with mprotect
    #[arg(long)]
    pub mprotect: bool,
    /// Seconds to keep the exclusive entries before they end
    #[arg(long, default_value_t = 0)]
    pub hold: u64,
}

impl Exclusive {
    /// Does the work and states the facts.
    ///
    /// # Errors
    /// When the test driver is missing or refuses a page, or when a page's content is lost.
    pub fn run(&self, facts: &mut Facts) -> anyhow::Result<()> {
        let mirror = Mirror::open()?;
        let mut memory = Memory::filled(self.pages)?;
        let pages = self.pages as u64;
        let mut mlocked = 0;
        let mut munlocked = 0;
        let mut fixups = 0;
        // To 6.14 an exclusive page leaves the reverse map, and with it the mlocked pages
        // (folio_remove_rmap_pte and folio_add_anon_rmap_pte, 6.12 mm/rmap.c).
        let leaves_rmap = works_in_ranges()?;
        if self.mlock {
            memory.lock()?;
            mlocked += pages;
            fixups += 1;
        }

        facts.pages(memory.page_list()?)?;
        mirror.make_exclusive(&memory)?;
        facts.exactly("make_device_exclusive", exclusive_calls(self.pages)?)?;
        facts.exactly("exclusive_page", pages)?;
        if leaves_rmap {
            facts.exactly("exclusive_vma", pages)?;
        }
        if self.mlock && leaves_rmap {
            munlocked += pages;
        }
        let entries = memory.swapped()?;
        ensure!(entries == self.pages, "{entries} of {pages} pages have an exclusive entry");

        if self.mprotect {
            memory.protect(libc::PROT_READ)?;
        }
        if self.mremap {
            memory.move_away()?;
        }
        std::thread::sleep(Duration::from_secs(self.hold));
        if self.fork {
            let mut smaps = vec![0; SMAPS_LENGTH];
            let vmas = count_copied_vmas(&mut smaps)?;
            let child = fork_child(|| memory.check())?;
            facts.exactly("copy_page_range", vmas)?;
            wait_for_success(child)?;
        }
        if self.munmap {
            drop(memory);
            facts.exactly("restore_exclusive", 0)?;
            facts.exactly("exclusive_fault", 0)?;
        } else if self.fork || self.fault {
            if !self.mprotect && !self.fork {
                memory.fill();
            }
            memory.check()?;
            ensure!(memory.swapped()? == 0, "an exclusive entry is left");
            facts.exactly("restore_exclusive", pages)?;
            facts.exactly("exclusive_fault", if self.fork { 0 } else { pages })?;
            if self.mlock && leaves_rmap {
                mlocked += pages;
            }
            if self.mlock {
                memory.unlock()?;
                munlocked += pages;
                fixups += 1;
            }
        }
        if self.mlock {
            facts.exactly("mlock_folio", mlocked)?;
            facts.exactly("munlock_folio", munlocked)?;
            facts.exactly("mlock_fixup", fixups)?;
        }
        Ok(())
    }
}
