//! A tree of processes, made in turn by fork and by fork and exec.

use std::path::PathBuf;

use anyhow::{Context, ensure};
use clap::Args;

use super::fact::Facts;
use super::mlock::Mlock;
use super::system::{fork_child, this_program, wait_for_success};

/// Lock memory in this process, in a forked child of it, in a child of that runs anew, and so on
#[derive(Args, Clone, Debug)]
pub struct Children {
    /// Generations below this process
    #[arg(long, default_value_t = 3)]
    pub depth: u32,
    /// Pages that each process locks
    #[arg(long, default_value_t = 16)]
    pub pages: usize,
}

impl Children {
    /// Does the work and states the facts of this process; `facts_path` is where those that run anew
    /// write theirs.
    ///
    /// # Errors
    /// When a process of the tree fails.
    pub fn run(&self, facts: &mut Facts, facts_path: Option<&PathBuf>) -> anyhow::Result<()> {
        Mlock { pages: self.pages }.run(facts)?;
        let Some(depth) = self.depth.checked_sub(1) else { return Ok(()) };
        let below = Self { depth, pages: self.pages };
        if self.depth % 2 == 1 {
            return wait_for_success(fork_child(|| below.run(facts, facts_path))?);
        }
        let mut command = this_program()?;
        if let Some(path) = facts_path {
            command.arg("--facts").arg(path);
        }
        command.arg("children").arg(format!("--depth={depth}")).arg(format!("--pages={}", self.pages));
        let status = command.status().context("cannot run this program again")?;
        ensure!(status.success(), "the child ended with {status}");
        Ok(())
    }
}
