//! Everything at once, for as long as wanted.

mod rounds;
mod turns;

use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;

use self::turns::Turns;
use super::block_io::BlockIo;
use super::fact::Facts;
use super::fork::Fork;
use super::mirror::Mirror;
use super::mlock::Mlock;
use super::move_pages::MovePages;
use super::shared_lock::SharedLock;
use super::system::{compact_memory, fork_child, wait_for_success};
use super::{reclaim, swap};

/// Fork, reclaim, compaction, mremap, mprotect, mlock, KSM, migration, exclusive pages and I/O at once
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
        let mut all: Vec<(&'static str, Round<'_>)> = vec![
            ("mlock", Box::new(move |facts| Mlock { pages }.run(facts))),
            ("shared-lock", Box::new(move |facts| SharedLock { pages }.run(facts))),
            ("huge", Box::new(|_| rounds::huge())),
            ("fork", Box::new(move |facts| Fork { vmas: 4, pages, children: 1 }.run(facts))),
            ("protect", Box::new(move |_| rounds::move_and_protect(pages))),
            ("merge", Box::new(move |_| rounds::merge(pages))),
        ];
        rounds::turn_merging_on();
        match compact_memory() {
            Ok(()) => all.push(("compaction", Box::new(|_| rounds::compact()))),
            Err(error) => facts.skipped("compaction", &format!("{error:#}"))?,
        }
        match reclaim::bytes(0) {
            Ok(()) => all.push(("pressure", Box::new(|_| rounds::press()))),
            Err(error) => facts.skipped("pressure", &format!("{error:#}"))?,
        }
        match swap::turn_on(self.zram << 20) {
            Ok(()) => all.push(("reclaim", Box::new(move |_| rounds::page_out(pages)))),
            Err(error) => facts.skipped("reclaim", &format!("{error:#}"))?,
        }
        match MovePages::obstacle()? {
            None => all.push(("migrate", Box::new(move |_| rounds::migrate(pages)))),
            Some(reason) => facts.skipped("migrate", &reason)?,
        }
        match Mirror::open() {
            Ok(_) => {
                let turns = Rc::new(Turns::new()?);
                let (exclusive, device_memory, huge_device) = (Rc::clone(&turns), Rc::clone(&turns), turns);
                all.push((
                    "exclusive",
                    Box::new(move |facts| {
                        let _turn = exclusive.together()?;
                        rounds::exclusive(pages, facts)
                    }),
                ));
                all.push((
                    "device-memory",
                    Box::new(move |_| {
                        let _turn = device_memory.together()?;
                        rounds::device_memory(pages)
                    }),
                ));
                all.push((
                    "huge-device",
                    Box::new(move |_| {
                        let _turn = huge_device.alone()?;
                        rounds::huge_device()
                    }),
                ));
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
                pieces: None,
                parallel: 2,
            };
            all.push(("io", Box::new(move |facts| io.run(facts))));
        }
        Ok(all)
    }
}
