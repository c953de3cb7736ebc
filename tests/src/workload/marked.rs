//! Entries without a page: markers of userfaultfd write protection; and poisoned pages.

use std::time::Duration;

use clap::Args;

use super::fact::Facts;
use super::memory::Memory;
use super::userfault::WriteProtection;

/// Write-protect pages of shared memory that were never touched, through userfaultfd
#[derive(Args, Clone, Debug)]
pub struct Marked {
    /// Pages to mark
    #[arg(long, default_value_t = 16)]
    pub pages: usize,
    /// Pages to poison, for good: each costs the machine a page of memory
    #[arg(long, default_value_t = 0)]
    pub poison: usize,
    /// Seconds to keep the entries
    #[arg(long, default_value_t = 0)]
    pub hold: u64,
}

impl Marked {
    /// Does the work; there is no event to state, only the poisoned pages.
    ///
    /// # Errors
    /// When the kernel has no write protection of shared memory by userfaultfd (5.19 on), or refuses to poison.
    pub fn run(&self, facts: &mut Facts) -> anyhow::Result<()> {
        let shared = Memory::map_shared(self.pages)?;
        let _protection = WriteProtection::of(&shared)?;
        let poisoned = (self.poison > 0).then(|| Memory::filled(self.poison)).transpose()?;
        if let Some(memory) = &poisoned {
            facts.pages(memory.page_list()?)?;
            memory.advise(libc::MADV_HWPOISON)?;
        }
        std::thread::sleep(Duration::from_secs(self.hold));
        Ok(())
    }
}
