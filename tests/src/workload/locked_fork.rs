//! A fork while a driver holds the lock of an exclusive page.

use anyhow::ensure;
use clap::Args;

use super::fact::Facts;
use super::memory::Memory;
use super::mirror::Mirror;
use super::system::{fork_child, is_error, wait_for_success};

/// Make pages exclusive and fork; with the kernel's mutant `exclusive-lock-held` that fails with ENOMEM
#[derive(Args, Clone, Debug)]
pub struct LockedFork {
    /// Pages to make exclusive
    #[arg(long, default_value_t = 16)]
    pub pages: usize,
    /// An error when the fork does not fail
    #[arg(long)]
    pub must_fail: bool,
}

impl LockedFork {
    /// Does the work and states the facts.
    ///
    /// # Errors
    /// When the test driver is missing or refuses a page, or when fork fails for another reason.
    pub fn run(&self, facts: &mut Facts) -> anyhow::Result<()> {
        let mirror = Mirror::open()?;
        let memory = Memory::filled(self.pages)?;
        facts.pages(memory.page_list()?)?;
        mirror.make_exclusive(&memory)?;
        facts.exactly("exclusive_page", self.pages as u64)?;
        match fork_child(|| Ok(())) {
            // try_restore_exclusive_pte() does not wait for the lock: -EBUSY, which copy_pmd_range() turns
            // into -ENOMEM (6.12 mm/memory.c).
            Err(error) if is_error(&error, libc::ENOMEM) => {}
            Err(error) => return Err(error),
            Ok(child) => {
                wait_for_success(child)?;
                ensure!(!self.must_fail, "the fork did not fail");
            }
        }
        // The last close makes the driver give up the lock, without which no page could be touched.
        drop(mirror);
        memory.check()?;
        wait_for_success(fork_child(|| memory.check())?)?;
        facts.exactly("restore_exclusive", self.pages as u64)
    }
}
