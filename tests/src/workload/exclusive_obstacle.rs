//! Exclusive pages that the kernel cannot move: they have references that it cannot explain.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;

use super::fact::Facts;
use super::memory::{Memory, PAGE_SIZE};
use super::mirror::Mirror;

const MEMORY_BLOCKS: &str = "/sys/devices/system/memory";

/// Make pages exclusive and try to take their memory offline, which fails as long as they are
///
/// Needs memory that can go offline: boot with movablecore=512M.
#[derive(Args, Clone, Debug)]
pub struct ExclusiveObstacle {
    /// Pages to make exclusive
    #[arg(long, default_value_t = 16)]
    pub pages: usize,
    /// How long to try
    #[arg(long, default_value_t = 2)]
    pub seconds: u64,
}

impl ExclusiveObstacle {
    /// Does the work and states the facts.
    ///
    /// # Errors
    /// When the test driver is missing or refuses a page, or when the memory has no blocks.
    pub fn run(&self, facts: &mut Facts) -> anyhow::Result<()> {
        let mirror = Mirror::open()?;
        let memory = Memory::filled(self.pages)?;
        let pages = memory.page_list()?;
        let state = block_of(pages[0].pfn)?.join("state");
        facts.pages(pages)?;
        mirror.make_exclusive(&memory)?;
        facts.exactly("exclusive_page", self.pages as u64)?;
        // A process of its own, because only a signal ends it; not a fork, which would restore the entries.
        let mut child = Command::new("sh")
            .args(["-c", "echo offline >\"$0\""])
            .arg(&state)
            .spawn()
            .context("cannot run sh")?;
        let gone = ends_within(&mut child, Duration::from_secs(self.seconds))?;
        memory.check()?;
        if gone {
            fs::write(&state, "online").with_context(|| state.display().to_string())?;
        }
        facts.at_least("migrate_refused", u64::from(!gone), "the kernel tries again and again")
    }
}

/// The memory block of a page frame.
fn block_of(pfn: u64) -> anyhow::Result<PathBuf> {
    let path = format!("{MEMORY_BLOCKS}/block_size_bytes");
    let size = fs::read_to_string(&path).with_context(|| path.clone())?;
    let size = u64::from_str_radix(size.trim(), 16).with_context(|| path)?;
    Ok(format!("{MEMORY_BLOCKS}/memory{}", pfn * PAGE_SIZE as u64 / size).into())
}

/// Whether the process succeeds in the time; otherwise it is ended.
fn ends_within(child: &mut Child, time: Duration) -> anyhow::Result<bool> {
    let end = Instant::now() + time;
    while Instant::now() < end {
        if let Some(status) = child.try_wait()? {
            return Ok(status.success());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill()?;
    Ok(child.wait()?.success())
}
