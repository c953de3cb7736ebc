//! Migration to a device's private memory of pages of which some cannot go.

use anyhow::ensure;
use clap::Args;

use super::fact::Facts;
use super::kept_child::KeptChild;
use super::memory::Memory;
use super::mirror::Mirror;
use super::ring;
use super::system::pipe_with;

/// Migrate pages to the private memory of /dev/hmm_dmirror0 that are in a pipe, registered with an `io_uring`, locked into
/// memory, shared with a child, or a file's, and pages that are none of that
#[derive(Args, Clone, Debug)]
pub struct DeviceRefused {
    /// Pages of each kind, at most 16
    #[arg(long, default_value_t = 8)]
    pub pages: usize,
}

/// What is done with each part of the pages, in the order of their addresses.
const PARTS: usize = 4;

impl DeviceRefused {
    /// Does the work and states the facts: addresses and page frames of a part with nothing, one in a pipe, one that is
    /// registered, one that is locked.
    ///
    /// # Errors
    /// When the test driver is missing, when other pages went to the device than could, or when a page's content is lost.
    pub fn run(&self, facts: &mut Facts) -> anyhow::Result<()> {
        let pages = self.pages;
        ensure!((1..=16).contains(&pages), "a pipe has room for 16 pages");
        let shared = Memory::filled(pages)?;
        let child = KeptChild::fork(|| shared.check(), || shared.check())?;
        let file = Memory::map_shared(pages)?;
        file.fill();

        let mirror = Mirror::open()?;
        let memory = Memory::filled(PARTS * pages)?;
        let pipe = pipe_with(memory.part(pages, pages)?)?;
        let ring = ring::open(0)?;
        ring::register(&ring, memory.part(2 * pages, pages)?)?;
        memory.lock_part(3 * pages, pages)?;
        facts.pages(memory.page_list()?)?;

        let mut refused = 3 * pages;
        ensure!(!mirror.migrate_what_goes(&memory)?, "all pages went to the device");
        let entries = memory.swapped()?;
        ensure!(entries == 2 * pages, "{entries} of {} pages are on the device", memory.pages());
        ensure!(!mirror.migrate_what_goes(&file)?, "pages of a file went to the device");
        mirror.migrate_to_device(&shared)?;
        drop(pipe);
        ring::unregister(&ring)?;

        // What nothing holds any more goes there, but for the page that the driver is told to have no room for.
        let fails = mirror.fail_once()?;
        ensure!(mirror.migrate_what_goes(&memory)? != fails, "another page stayed");
        refused += usize::from(fails);
        for memory in [&memory, &shared, &file] {
            memory.check()?;
        }
        child.finish()?;
        facts.exactly("migrate_vma_refused", refused as u64)
    }
}
