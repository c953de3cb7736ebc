//! Exclusive pages that the kernel cannot move or swap out: they have references that it cannot explain.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::Args;

use super::fact::{Facts, Page};
use super::memory::{Memory, page_size};
use super::mirror::Mirror;
use super::system::compact_memory;
use super::{reclaim, swap};

const MEMORY_BLOCKS: &str = "/sys/devices/system/memory";

/// Make pages exclusive, then reclaim and compact memory; or take their memory offline, which fails so long
#[derive(Args, Clone, Debug)]
pub struct ExclusiveObstacle {
    /// Pages to make exclusive
    #[arg(long, default_value_t = 256)]
    pub pages: usize,
    /// Try to take the memory block of a page offline, for so many seconds; it must be one that can go
    /// offline (boot with movablecore=512M)
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
        let blocks = blocks_of(&pages)?;
        facts.pages(pages)?;
        mirror.make_exclusive(&memory)?;
        facts.exactly("exclusive_page", self.pages as u64)?;
        let refused = match self.offline {
            Some(seconds) => u64::from(!any_goes_offline(&blocks, Duration::from_secs(seconds))?),
            None => {
                // Compaction passes over anonymous pages with more references than mappings
                // (isolate_migratepages_block, 6.12 mm/compaction.c), but not over those in the swap cache,
                // where reclaim leaves an exclusive page.
                reclaim::bytes(reclaim::EVERYTHING)?;
                compact_memory()?;
                0
            }
        };
        memory.check()?;
        facts.at_least("migrate_refused", refused, "the kernel tries again and again, or not at all")
    }
}

/// The memory blocks of page frames.
fn blocks_of(pages: &[Page]) -> anyhow::Result<Vec<PathBuf>> {
    let path = format!("{MEMORY_BLOCKS}/block_size_bytes");
    let size = fs::read_to_string(&path).with_context(|| path.clone())?;
    let size = u64::from_str_radix(size.trim(), 16).with_context(|| path)?;
    let blocks: BTreeSet<_> = pages.iter().map(|page| page.pfn * page_size() as u64 / size).collect();
    Ok(blocks.into_iter().map(|block| format!("{MEMORY_BLOCKS}/memory{block}").into()).collect())
}

/// Whether the first block that can go offline did so in the time; then it is online again. The kernel tries
/// until it succeeds or the process that asked gets a signal.
fn any_goes_offline(blocks: &[PathBuf], time: Duration) -> anyhow::Result<bool> {
    for block in blocks {
        let state = block.join("state");
        // Another process, because it has to be killed; not a fork, which would restore the exclusive entries.
        let mut child = Command::new("sh")
            .args(["-c", "echo offline >\"$0\""])
            .arg(&state)
            .stderr(Stdio::null())
            .spawn()
            .context("cannot run sh")?;
        match end_within(&mut child, time)? {
            None => return Ok(false),
            Some(status) if status.success() => {
                fs::write(&state, "online").with_context(|| state.display().to_string())?;
                return Ok(true);
            }
            // It holds memory of the kernel, which cannot move.
            Some(_) => {}
        }
    }
    bail!("no memory block of the pages can go offline")
}

/// How the process ended in the time; otherwise it is killed.
fn end_within(child: &mut Child, time: Duration) -> anyhow::Result<Option<ExitStatus>> {
    let end = Instant::now() + time;
    while Instant::now() < end {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill()?;
    child.wait()?;
    Ok(None)
}
