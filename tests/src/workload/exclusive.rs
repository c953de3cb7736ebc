//! Device-exclusive pages: how they are made, and each way in which that ends.

use std::time::Duration;

use anyhow::ensure;
use clap::Args;

use super::fact::Facts;
use super::fork::{SMAPS_LENGTH, count_copied_vmas};
use super::memory::Memory;
use super::mirror::{Mirror, exclusive_calls, works_in_ranges};
use super::mlock::unlocks_in_batches;
use super::pagemap::clear_soft_dirty;
use super::system::{fork_child, wait_for_success};
use super::userfault::WriteProtection;

/// Make pages device-exclusive through /dev/hmm_dmirror0, and end it by one of --fork, --fault, --munmap
#[derive(Args, Clone, Debug, Default)]
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
    /// Make them exclusive and end that by CPU access so many times before
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub rounds_before: u32,
    /// Seconds to keep the exclusive entries before they end
    #[arg(long, default_value_t = 0)]
    pub hold: u64,
    /// mlock the pages before
    #[arg(long)]
    pub mlock: bool,
    /// Move the exclusive entries with mremap
    #[arg(long)]
    pub mremap: bool,
    /// Take write permission from the exclusive entries with mprotect
    #[arg(long)]
    pub mprotect: bool,
    /// Write-protect the exclusive entries with userfaultfd; whatever ends it must keep the bit
    #[arg(long, requires = "fault")]
    pub uffd_wp: bool,
    /// End by reads, which must keep the soft-dirty bit
    #[arg(long, requires = "fault")]
    pub soft_dirty: bool,
    /// Look neither at what the pages hold nor at the bits of their entries; the child of --fork does nothing
    #[arg(long)]
    pub unchecked: bool,
    /// Others move and swap out pages meanwhile, which since 6.15 ends exclusive entries, too.
    #[arg(skip)]
    pub disturbed: bool,
}

/// Events of pages that are mlocked.
#[derive(Default)]
struct Locked {
    mlocked: u64,
    munlocked: u64,
    fixups: u64,
}

impl Exclusive {
    /// Does the work and states the facts.
    ///
    /// # Errors
    /// When the test driver is missing or refuses a page, or when a page loses its content or a bit of its
    /// entry.
    pub fn run(&self, facts: &mut Facts) -> anyhow::Result<()> {
        let mirror = Mirror::open()?;
        let mut memory = Memory::filled(self.pages)?;
        let pages = self.pages as u64;
        let rounds = u64::from(self.rounds_before) + 1;
        let mut locked = Locked::default();
        // Up to 6.14 an exclusive page leaves the reverse map, and with it the mlocked pages
        // (folio_remove_rmap_pte and folio_add_anon_rmap_pte, 6.12 mm/rmap.c).
        let leaves_rmap = works_in_ranges()?;
        if self.soft_dirty {
            clear_soft_dirty()?;
            memory.fill();
        }
        if self.mlock {
            memory.lock()?;
            locked.mlocked += pages;
            locked.fixups += 1;
        }

        facts.pages(memory.page_list()?)?;
        for _ in 0..self.rounds_before {
            mirror.make_exclusive(&memory)?;
            memory.fill();
        }
        mirror.make_exclusive(&memory)?;
        let lasts = leaves_rmap || !self.disturbed;
        let exclusive_type = memory.highest_swap_type()?;
        ensure!(exclusive_type.is_some() || !lasts, "no page has an exclusive entry");
        facts.exactly("make_device_exclusive", exclusive_calls(self.pages)? * rounds)?;
        facts.exactly("exclusive_page", pages * rounds)?;
        if leaves_rmap {
            facts.exactly("exclusive_vma", pages * rounds)?;
            locked.munlocked += pages * rounds;
            locked.mlocked += pages * (rounds - 1);
        }
        let entries = memory.swapped()?;
        ensure!(entries == self.pages || !lasts, "{entries} of {pages} pages have an exclusive entry");

        let protection = self.uffd_wp.then(|| WriteProtection::of(&memory)).transpose()?;
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
            let child = fork_child(|| if self.unchecked { Ok(()) } else { memory.check() })?;
            facts.exactly("copy_page_range", vmas)?;
            wait_for_success(child)?;
        }
        if self.munmap {
            drop(memory);
            facts.exactly("restore_exclusive", pages * (rounds - 1))?;
            facts.exactly("exclusive_fault", pages * (rounds - 1))?;
        } else if self.fork || self.fault {
            self.touch(&memory)?;
            // Reclaim and compaction may have put other entries there meanwhile.
            let left =
                memory.count(|state| exclusive_type.is_some() && state.swap_type() == exclusive_type)?;
            ensure!(left == 0 || !lasts, "{left} exclusive entries are left");
            facts.exactly("restore_exclusive", pages * rounds)?;
            facts.exactly("exclusive_fault", pages * if self.fork { rounds - 1 } else { rounds })?;
            if leaves_rmap {
                locked.mlocked += pages;
            }
            if self.mlock {
                memory.unlock()?;
                locked.munlocked += pages;
                locked.fixups += 1;
            }
        }
        drop(protection);
        if self.mlock {
            facts.exactly("mlock_folio", locked.mlocked)?;
            // Up to 5.17 pages are unlocked in batches, without that call.
            if !unlocks_in_batches()? {
                facts.exactly("munlock_folio", locked.munlocked)?;
            }
            facts.exactly("mlock_fixup", locked.fixups)?;
        }
        Ok(())
    }

    /// Touches every page, by writing where that is allowed and leaves the entry as it should be.
    fn touch(&self, memory: &Memory) -> anyhow::Result<()> {
        if !self.mprotect && !self.fork && !self.soft_dirty && !self.uffd_wp {
            memory.fill();
        }
        let content = memory.check();
        if self.unchecked {
            return Ok(());
        }
        content?;
        if self.soft_dirty {
            let kept = memory.count(|state| state.soft_dirty())?;
            ensure!(kept == self.pages, "{} pages lost the soft-dirty bit", self.pages - kept);
        }
        if self.uffd_wp {
            let kept = memory.count(|state| state.write_protected())?;
            ensure!(kept == self.pages, "{} pages lost the write protection", self.pages - kept);
        }
        Ok(())
    }
}
