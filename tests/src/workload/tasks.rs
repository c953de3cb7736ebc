//! Processes whose tasks come and go in ways that are hard to follow.

use std::fs;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::thread::{self, sleep};
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::{Args, ValueEnum};

use super::fact::Facts;
use super::memory::Memory;
use super::system::{fork_child, this_program, wait_for_success};

/// Lock memory in a process whose tasks come and go
#[derive(Args, Clone, Debug)]
pub struct Tasks {
    /// What its tasks do before
    #[arg(value_enum)]
    pub story: Story,
    /// Pages that are locked at the end
    #[arg(long, default_value_t = 20)]
    pub pages: usize,
    /// Threads, for stories with many
    #[arg(long, default_value_t = 2000)]
    pub threads: usize,
}

/// What happens to the tasks of a process.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Story {
    /// Four threads make and join others, all at once.
    Churn,
    /// All threads live at the same time.
    Crowd,
    /// A thread that is not the first executes a program, which kills the first.
    ExecByThread,
    /// The first thread ends; another works on.
    LeaderExits,
    /// A grandchild works when its parent is gone.
    Daemon,
}

impl Tasks {
    /// Does the work and states the facts; `facts_path` is where a program that is executed writes its own.
    ///
    /// # Errors
    /// When a thread or process cannot be made, or fails.
    pub fn run(&self, facts: &mut Facts, facts_path: Option<&PathBuf>) -> anyhow::Result<()> {
        match self.story {
            Story::Churn => self.churn()?,
            Story::Crowd => self.crowd()?,
            Story::ExecByThread => return self.exec_by_thread(facts_path),
            Story::LeaderExits => self.leader_exits(facts),
            Story::Daemon => return self.daemon(facts),
        }
        self.lock(facts)
    }

    fn lock(&self, facts: &mut Facts) -> anyhow::Result<()> {
        let memory = Memory::filled(self.pages)?;
        memory.lock()?;
        memory.unlock()?;
        facts.exactly("mlock_folio", self.pages as u64)
    }

    fn churn(&self) -> anyhow::Result<()> {
        thread::scope(|scope| {
            let parents: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        for _ in 0..self.threads / 4 {
                            small().spawn(|| ()).context("cannot make a thread")?.join().ok();
                        }
                        anyhow::Ok(())
                    })
                })
                .collect();
            parents.into_iter().try_for_each(|parent| parent.join().unwrap_or(Ok(())))
        })
    }

    fn crowd(&self) -> anyhow::Result<()> {
        let gate = std::sync::Barrier::new(self.threads + 1);
        thread::scope(|scope| {
            for _ in 0..self.threads {
                small().spawn_scoped(scope, || gate.wait()).context("cannot make a thread")?;
            }
            gate.wait();
            anyhow::Ok(())
        })
    }

    fn exec_by_thread(&self, facts_path: Option<&PathBuf>) -> anyhow::Result<()> {
        let mut command = this_program()?;
        if let Some(path) = facts_path {
            command.arg("--facts").arg(path);
        }
        command.arg("mlock").arg(format!("--pages={}", self.pages));
        let thread = thread::spawn(move || command.exec());
        let error = thread.join().map_err(|_| anyhow::anyhow!("the thread panicked"))?;
        Err(error).context("cannot run this program again")
    }

    /// Ends the process.
    fn leader_exits(&self, facts: &mut Facts) -> ! {
        thread::scope(|scope| {
            scope.spawn(|| {
                let stat = format!("/proc/self/task/{}/stat", std::process::id());
                while fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z ")) {
                    sleep(Duration::from_millis(10));
                }
                let failed = self.lock(facts).is_err();
                std::process::exit(failed.into());
            });
            // SAFETY: ends this thread alone; what it owns stays until the other one ends the process.
            unsafe { libc::syscall(libc::SYS_exit, 0) };
            unreachable!("a thread that has ended does not run");
        })
    }

    fn daemon(&self, facts: &mut Facts) -> anyhow::Result<()> {
        let (mut end, held) = std::io::pipe()?;
        let parent = fork_child(|| {
            let own = std::process::id();
            fork_child(|| {
                // SAFETY: no arguments.
                while unsafe { libc::getppid() }.cast_unsigned() == own {
                    sleep(Duration::from_millis(10));
                }
                self.lock(facts)
            })?;
            Ok(())
        })?;
        wait_for_success(parent)?;
        drop(held);
        // The end of the pipe is the end of the grandchild, which has the other end too.
        ensure!(end.read(&mut [0])? == 0, "nobody writes to this pipe");
        Ok(())
    }
}

fn small() -> thread::Builder {
    thread::Builder::new().stack_size(64 << 10)
}
