//! Pages that several VMAs and processes map, some of them locked into memory.

use clap::Args;

use super::fact::Facts;
use super::kept_child::KeptChild;
use super::memory::{Memory, page_size};
use super::mlock::unlocks_in_batches;
use super::system::file_in_memory;

/// Lock pages of a file and private pages in several VMAs and a child, and unlock one mapping after the other
#[derive(Args, Clone, Debug)]
pub struct SharedLock {
    /// Pages of the file, and private pages
    #[arg(long, default_value_t = 32)]
    pub pages: usize,
}

/// The mappings. The child has what its parent has.
struct Mappings {
    file: [Memory; 2],
    private: Memory,
    scrap: Memory,
}

/// What a process did, in calls of mlock and munlock of all pages of a mapping.
#[derive(Clone, Copy, Default)]
struct Calls {
    locked: u64,
    unlocked: u64,
    /// Mappings that were locked when the process ended.
    at_exit: u64,
    /// VMAs of the pages, added up over all times that a mapping stopped to be locked and no other one was.
    visits: u64,
}

impl SharedLock {
    /// Does the work and states the facts.
    ///
    /// # Errors
    /// When the process may not lock so much.
    pub fn run(&self, facts: &mut Facts) -> anyhow::Result<()> {
        let file = file_in_memory(self.pages * page_size())?;
        let mappings = Mappings {
            file: [Memory::of_file(&file, self.pages)?, Memory::of_file(&file, self.pages)?],
            private: Memory::filled(self.pages)?,
            scrap: Memory::filled(1)?,
        };
        mappings.file.iter().for_each(Memory::fill);
        // Locking memory that may be written gives each process pages of its own.
        mappings.private.protect(libc::PROT_READ)?;
        facts.pages(mappings.private.page_list()?)?;

        let child = KeptChild::fork(|| mappings.lock_in_child(), || self.unlock_in_child(&mappings, facts))?;
        let [first, second] = &mappings.file;
        for memory in [first, second, &mappings.private] {
            memory.lock()?;
        }
        // Each time the page stays locked by another mapping.
        for memory in [first, second, &mappings.private] {
            mappings.unlock(memory)?;
        }
        child.finish()?;
        self.state(facts, Calls { locked: 3, unlocked: 3, ..Calls::default() })
    }

    fn unlock_in_child(&self, mappings: &Mappings, facts: &mut Facts) -> anyhow::Result<()> {
        // Two VMAs of each process are of the file, whether they map the page or not; the private page has one of each.
        mappings.unlock(&mappings.file[0])?;
        mappings.drain()?;
        self.state(facts, Calls { locked: 2, unlocked: 1, at_exit: 1, visits: 4 + 2 })
    }

    fn state(&self, facts: &mut Facts, calls: Calls) -> anyhow::Result<()> {
        let pages = self.pages as u64;
        let ends = (calls.unlocked + calls.at_exit) * pages;
        facts.exactly("mlock_fixup", calls.locked + calls.unlocked)?;
        let locks = calls.locked * pages;
        if !unlocks_in_batches()? {
            facts.exactly("mlock_folio", locks)?;
            return facts.exactly("munlock_folio", ends);
        }
        // The kernel walks the VMAs of each page that has more than one mapping, until it finds one that is locked, and
        // locks the page again for that one (5.15 mm/rmap.c, page_mlock_one).
        facts.exactly("munlock_folio", 0)?;
        facts.exactly("page_mlock", ends)?;
        if calls.visits > 0 {
            facts.exactly("mlock_folio", locks)?;
            return facts.exactly("page_mlock_one", calls.visits * pages);
        }
        facts.exactly("mlock_folio", locks + ends)?;
        facts.at_least_own("page_mlock_one", ends, "the walk ends at the first locked VMA that it meets")
    }
}

impl Mappings {
    fn lock_in_child(&self) -> anyhow::Result<()> {
        // The child of a fork maps no page of a file yet.
        self.file[0].check()?;
        self.private.check()?;
        self.file[0].lock()?;
        self.private.lock()
    }

    fn unlock(&self, memory: &Memory) -> anyhow::Result<()> {
        self.drain()?;
        memory.unlock()
    }

    /// Pages that were locked or unlocked last wait in a batch of this CPU. Up to 5.17 munlock passes over pages that
    /// are on no list of the LRU; MADV_COLD puts them there first (madvise_cold, mm/madvise.c).
    fn drain(&self) -> anyhow::Result<()> {
        self.scrap.advise(libc::MADV_COLD)
    }
}
