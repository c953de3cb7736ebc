//! Everything at once, for as long as wanted.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;

use super::block_io::BlockIo;
use super::exclusive::Exclusive;
use super::fact::Facts;
use super::fork::Fork;
use super::memory::Memory;
use super::mirror::Mirror;
use super::mlock::Mlock;
use super::move_pages::{MovePages, memory_nodes, move_pages};
use super::swap;
use super::system::{fork_child, is_error, wait_for_success};

/// Fork, reclaim, mremap, mprotect, mlock, KSM, migration, exclusive pages and I/O in parallel processes
#[derive(Args, Clone, Debug)]
pub struct Stress {
    /// How long
    #[arg(long, default_value_t = 10)]
    pub seconds: u64,
    /// Pages of each round of each process
    #[arg(long, default_value_t = 128)]
    pub pages: usize,
    /// A block device to read; its content is kept
    #[arg(long)]
    pub device: Option<PathBuf>,
    /// Swap to a zram device of so many MiB where there is no swap yet
    #[arg(long, value_name = "MIB", default_value_t = 256)]
    pub zram: u64,
}

type Round<'a> = Box<dyn Fn(&mut Facts) -> anyhow::Result<()> + 'a>;

impl Stress {
    /// Runs until the time is over. Only says what it could not run: the work races, so nothing is known
    /// about the number of events.
    ///
    /// # Errors
    /// When a process fails, for example because a page lost its content.
    pub fn run(&self, facts: &mut Facts) -> anyhow::Result<()> {
        let end = Instant::now() + Duration::from_secs(self.seconds);
        let mut children = Vec::new();
        for (name, round) in self.rounds(facts)? {
            let child = fork_child(|| {
                // The facts of single rounds mean nothing here.
                let mut ignored = Facts::open(name, Some("/dev/null".as_ref()))?;
                while Instant::now() < end {
                    round(&mut ignored).context(name)?;
                }
                Ok(())
            })?;
            children.push((name, child));
        }
        for (name, child) in children {
            wait_for_success(child).with_context(|| format!("the {name} process failed"))?;
        }
        Ok(())
    }

    fn rounds(&self, facts: &mut Facts) -> anyhow::Result<Vec<(&'static str, Round<'_>)>> {
        let pages = self.pages;
        let mut rounds: Vec<(&'static str, Round<'_>)> = vec![
            ("mlock", Box::new(move |facts| Mlock { pages }.run(facts))),
            ("fork", Box::new(move |facts| Fork { vmas: 4, pages, children: 1 }.run(facts))),
            ("protect", Box::new(move |_| move_and_protect(pages))),
            ("merge", Box::new(move |_| merge_and_reclaim(pages))),
        ];
        match swap::turn_on(self.zram << 20) {
            Ok(()) => rounds.push(("reclaim", Box::new(move |_| reclaim(pages)))),
            Err(error) => facts.skipped("reclaim", &format!("{error:#}"))?,
        }
        match MovePages::obstacle()? {
            None => rounds.push(("migrate", Box::new(move |_| migrate(pages)))),
            Some(reason) => facts.skipped("migrate", &reason)?,
        }
        match Mirror::open() {
            Ok(_) => {
                rounds.push(("exclusive", Box::new(move |facts| exclusive(pages, facts))));
                rounds.push(("device-memory", Box::new(move |_| device_memory(pages))));
            }
            Err(error) => facts.skipped("exclusive", &format!("{error:#}"))?,
        }
        if let Some(device) = &self.device {
            let io = BlockIo {
                device: device.clone(),
                blocks: 32,
                size: 1 << 16,
                write: false,
                scattered: true,
                parallel: 2,
            };
            rounds.push(("io", Box::new(move |facts| io.run(facts))));
        }
        Ok(rounds)
    }
}

fn move_and_protect(pages: usize) -> anyhow::Result<()> {
    let mut memory = Memory::filled(pages)?;
    memory.move_away()?;
    memory.protect(libc::PROT_READ)?;
    memory.protect(libc::PROT_READ | libc::PROT_WRITE)?;
    memory.check()
}

/// Two mappings with equal pages; the kernel merges them when `/sys/kernel/mm/ksm/run` is 1.
fn merge_and_reclaim(pages: usize) -> anyhow::Result<()> {
    let memory = [Memory::filled(pages)?, Memory::filled(pages)?];
    for mapping in &memory {
        // EINVAL from a kernel without KSM.
        let _ = mapping.advise(libc::MADV_MERGEABLE);
    }
    std::thread::sleep(Duration::from_millis(100));
    memory.iter().try_for_each(Memory::check)
}

fn reclaim(pages: usize) -> anyhow::Result<()> {
    let memory = Memory::filled(pages)?;
    memory.advise(libc::MADV_PAGEOUT)?;
    memory.check()
}

/// Another process's work may keep single pages from moving, which is no failure; lost content is.
fn migrate(pages: usize) -> anyhow::Result<()> {
    let memory = Memory::filled(pages)?;
    for node in memory_nodes()? {
        move_pages(&memory, Some(node))?;
    }
    memory.check()
}

/// The same for migration to the device, which then tells the driver that pages are missing.
fn device_memory(pages: usize) -> anyhow::Result<()> {
    let mirror = Mirror::open()?;
    let memory = Memory::filled(pages)?;
    let _ = mirror.migrate_to_device(&memory);
    memory.check()
}

/// EBUSY when another process's work holds the lock of a page: no failure here.
fn exclusive(pages: usize, facts: &mut Facts) -> anyhow::Result<()> {
    let plain = Exclusive { pages, ..Exclusive::default() };
    for round in [
        Exclusive { fork: true, ..plain.clone() },
        Exclusive { fault: true, mlock: true, ..plain.clone() },
        Exclusive { fault: true, mremap: true, mprotect: true, ..plain.clone() },
        Exclusive { munmap: true, ..plain },
    ] {
        if let Err(error) = round.run(facts)
            && !is_error(&error, libc::EBUSY)
        {
            return Err(error);
        }
    }
    Ok(())
}
