//! Exclusive pages that the kernel cannot move or swap out: they have references that it cannot explain.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;

use super::fact::Facts;
use super::memory::{Memory, PAGE_SIZE};
use super::mirror::Mirror;
use super::system::compact_memory;
use super::{reclaim, swap};

const MEMORY_BLOCKS: &str = "/sys/devices/system/memory";

/// More bytes than a guest has.
const EVERYTHING: u64 = 1 << 40;

/// Make pages exclusive, then reclaim and compact memory; or take their memory offline, which fails so long
#[derive(Args, Clone, Debug)]
pub struct ExclusiveObstacle {
    /// Pages to make exclusive
    #[arg(long, default_value_t = 256)]
    pub pages: usize,
    /// Try to take the memory block of the first page offline, for so many seconds; the block must be one
    /// that can go offline (boot with movablecore=512M)
    #[arg(long, value_name = "SECONDS")]
    pub offline: Option<u64>,
    /// Swap to a zram device of so many MiB where there is no swap yet
    #[arg(long, value_name = "MIB", default_value_t = 256)]
    pub zram: u64,
}

impl ExclusiveObstacle {
    /// Does the work and states the facts.
    ///
    /// # Errors
    /// When the test driver is missing or refuses a page, or when the memory cannot be reclaimed, compacted
    /// or taken offline as asked.
    pub fn run(&self, facts: &mut Facts) -> anyhow::Result<()> {
        swap::turn_on(self.zram << 20)?;
        let mirror = Mirror::open()?;
        let memory = Memory::filled(self.pages)?;
        let pages = memory.page_list()?;
        let block = block_of(pages[0].pfn)?;
        facts.pages(pages)?;
        mirror.make_exclusive(&memory)?;
        facts.exactly("exclusive_page", self.pages as u64)?;
        let refused = match self.offline {
            Some(seconds) => u64::from(!go_offline(block, Duration::from_secs(seconds))?),
            None => {
                // Compaction passes over anonymous pages with more references than mappings
                // (isolate_migratepages_block, 6.12 mm/compaction.c), but not over those in the swap cache,
                // where reclaim leaves an exclusive page.
                reclaim::bytes(EVERYTHING)?;
                compact_memory()?;
                0
            }
        };
        memory.check()?;
        facts.at_least("migrate_refused", refused, "the kernel tries again and again, or not at all")
    }
}

/// The memory block of a page frame.
fn block_of(pfn: u64) -> anyhow::Result<PathBuf> {
    let path = format!("{MEMORY_BLOCKS}/block_size_bytes");
    let size = fs::read_to_string(&path).with_context(|| path.clone())?;
    let size = u64::from_str_radix(size.trim(), 16).with_context(|| path)?;
    Ok(format!("{MEMORY_BLOCKS}/memory{}", pfn * PAGE_SIZE as u64 / size).into())
}

/// Whether the block went offline in the time; then it is online again. The kernel tries until it succeeds
/// or the process that asked gets a signal.
fn go_offline(block: PathBuf, time: Duration) -> anyhow::Result<bool> {
    let state = block.join("state");
    // Another process, because it has to be killed; not a fork, which would restore the exclusive entries.
    let mut child = Command::new("sh")
        .args(["-c", "echo offline >\"$0\""])
        .arg(&state)
        .spawn()
        .context("cannot run sh")?;
    if !ends_within(&mut child, time)? {
        return Ok(false);
    }
    fs::write(&state, "online").with_context(|| state.display().to_string())?;
    Ok(true)
}

/// Whether the process ends in the time, with success; otherwise it is killed.
fn ends_within(child: &mut Child, time: Duration) -> anyhow::Result<bool> {
    let end = Instant::now() + time;
    while Instant::now() < end {
        if let Some(status) = child.try_wait()? {
            anyhow::ensure!(status.success(), "the memory block cannot go offline");
            return Ok(true);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill()?;
    Ok(child.wait()?.success())
}
