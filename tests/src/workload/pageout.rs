//! Reclaim of anonymous pages on request.

use anyhow::ensure;
use clap::Args;

use super::fact::Facts;
use super::memory::Memory;
use super::swap;
use super::system::is_error;

/// Page out anonymous memory: one try_to_unmap for each page of each round
#[derive(Args, Clone, Debug)]
pub struct Pageout {
    /// Pages of each round
    #[arg(long, default_value_t = 64)]
    pub pages: usize,
    /// How often to touch the pages and page them out
    #[arg(long, default_value_t = 1)]
    pub rounds: u32,
    /// mlock the pages; then the kernel must refuse to page them out
    #[arg(long)]
    pub locked: bool,
    /// Swap to a zram device of so many MiB where there is no swap yet
    #[arg(long, value_name = "MIB", default_value_t = 256)]
    pub zram: u64,
}

impl Pageout {
    /// Does the work and states the facts.
    ///
    /// # Errors
    /// When there is no swap, or when the kernel did not page out every page, or a locked one.
    pub fn run(&self, facts: &mut Facts) -> anyhow::Result<()> {
        swap::turn_on(self.zram << 20)?;
        let memory = Memory::filled(self.pages)?;
        facts.pages(memory.page_list()?)?;
        if self.locked {
            return run_locked(&memory, facts);
        }
        for round in 0..self.rounds {
            page_out(&memory)?;
            if round + 1 < self.rounds {
                // A write takes the page out of the swap cache, so that the next round finds it dirty.
                memory.fill();
            }
        }
        let folios = self.pages as u64 * u64::from(self.rounds);
        facts.exactly("try_to_unmap", folios)?;
        facts.exactly("try_to_unmap_one", folios)?;
        memory.check()?;
        Ok(())
    }
}

fn run_locked(memory: &Memory, facts: &mut Facts) -> anyhow::Result<()> {
    memory.lock()?;
    // EINVAL for every VMA that is locked (can_madv_lru_vma, 6.12 mm/madvise.c).
    if let Err(error) = memory.advise(libc::MADV_PAGEOUT)
        && !is_error(&error, libc::EINVAL)
    {
        return Err(error);
    }
    let gone = memory.swapped()?;
    memory.check()?;
    memory.unlock()?;
    ensure!(gone == 0, "{gone} locked pages were paged out");
    facts.exactly("try_to_unmap", 0)
}

/// Pages out everything with one `madvise(2)` call. A second call for pages that were left behind would
/// make the number of walks unknown, so that is an error.
pub(super) fn page_out(memory: &Memory) -> anyhow::Result<()> {
    memory.advise(libc::MADV_PAGEOUT)?;
    let swapped = memory.swapped()?;
    ensure!(swapped == memory.pages(), "MADV_PAGEOUT left {} pages behind", memory.pages() - swapped);
    Ok(())
}
