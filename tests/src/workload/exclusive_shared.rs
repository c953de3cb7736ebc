//! Exclusive access to pages that are not anonymous, which the kernel must refuse.

use anyhow::ensure;
use clap::Args;

use super::fact::Facts;
use super::memory::Memory;
use super::mirror::{Mirror, exclusive_calls};
use super::system::is_error;

/// Ask for exclusive access to shared memory, and read it; the driver must refuse
#[derive(Args, Clone, Debug)]
pub struct ExclusiveShared {
    /// Pages to ask for
    #[arg(long, default_value_t = 16)]
    pub pages: usize,
}

impl ExclusiveShared {
    /// Does the work and states the facts.
    ///
    /// # Errors
    /// When the test driver is missing, or when the kernel made a page exclusive.
    pub fn run(&self, facts: &mut Facts) -> anyhow::Result<()> {
        let mirror = Mirror::open()?;
        let memory = Memory::map_shared(self.pages)?;
        memory.fill();
        facts.pages(memory.page_list()?)?;
        let result = mirror.make_exclusive(&memory);
        let exclusive = memory.swapped()?;
        memory.check()?;
        ensure!(exclusive == 0, "{exclusive} pages of a file became exclusive");
        // A page is missing (up to 6.14), or the kernel says that it has no such pages (6.15 on).
        if let Err(error) = result
            && ![libc::EBUSY, libc::EOPNOTSUPP].iter().any(|number| is_error(&error, *number))
        {
            return Err(error);
        }
        // The driver gives up after the first of its calls (dmirror_exclusive, lib/test_hmm.c).
        facts.exactly("make_device_exclusive", exclusive_calls(self.pages)?.min(1))?;
        facts.exactly("exclusive_page", 0)?;
        facts.exactly("restore_exclusive", 0)
    }
}
