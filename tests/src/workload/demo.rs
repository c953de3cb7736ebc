//! All workloads in order, each in a process of its own.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use clap::Args;

use super::fact::Facts;
use super::mirror::Mirror;
use super::move_pages::MovePages;
use super::swap;
use super::system::this_program;

/// Run all workloads that this machine can run, in order, each in a process of its own
#[derive(Args, Clone, Debug)]
pub struct Demo {
    /// Pages of each workload
    #[arg(long, default_value_t = 64)]
    pub pages: usize,
    /// A block device to write and read; its content is lost
    #[arg(long, default_value = "/dev/nvme0n1")]
    pub device: PathBuf,
    /// Requests of each direction to the block device
    #[arg(long, default_value_t = 32)]
    pub blocks: usize,
}

/// Missing features, found out before anything runs.
struct Obstacles {
    exclusive: Option<String>,
    swap: Option<String>,
    nodes: Option<String>,
    device: Option<String>,
}

impl Demo {
    /// Runs the workloads; they write their facts to `facts_path`, or to standard output.
    ///
    /// # Errors
    /// When a workload that can run fails.
    pub fn run(&self, facts: &mut Facts, facts_path: Option<&Path>) -> anyhow::Result<()> {
        let obstacles = Obstacles {
            exclusive: Mirror::open().err().map(|error| format!("{error:#}")),
            swap: swap::turn_on(256 << 20).err().map(|error| format!("{error:#}")),
            nodes: MovePages::obstacle()?,
            device: (!self.device.exists()).then(|| format!("{} does not exist", self.device.display())),
        };
        for (arguments, obstacle) in self.workloads(&obstacles) {
            let label = arguments.join(" ");
            match obstacle {
                Some(reason) => facts.skipped(&label, reason)?,
                None => run_self(&arguments, &label, facts_path)?,
            }
        }
        Ok(())
    }

    fn workloads<'a>(&self, obstacles: &'a Obstacles) -> Vec<(Vec<String>, Option<&'a String>)> {
        let pages = ["--pages".to_owned(), self.pages.to_string()];
        let with_pages = |name: &str, options: &[&str]| {
            let mut arguments = vec![name.to_owned()];
            arguments.extend(pages.clone());
            arguments.extend(options.iter().map(|option| (*option).to_owned()));
            arguments
        };
        let device = self.device.to_string_lossy();
        let blocks = self.blocks.to_string();
        let io = ["swiotlb-io", "--device", &device, "--blocks", &blocks, "--write"];
        let exclusive = obstacles.exclusive.as_ref();
        vec![
            (with_pages("exclusive", &["--fault"]), exclusive),
            (with_pages("exclusive", &["--fork"]), exclusive),
            (with_pages("exclusive", &["--munmap"]), exclusive),
            (with_pages("exclusive", &["--fault", "--mlock"]), exclusive),
            (with_pages("exclusive", &["--fault", "--mremap", "--mprotect"]), exclusive),
            (with_pages("hmm-migrate", &[]), exclusive),
            (with_pages("migrate", &[]), obstacles.nodes.as_ref()),
            (with_pages("mlock", &[]), None),
            (with_pages("pageout", &[]), obstacles.swap.as_ref()),
            (with_pages("fork", &[]), None),
            (io.map(str::to_owned).to_vec(), obstacles.device.as_ref()),
        ]
    }
}

fn run_self(arguments: &[String], label: &str, facts_path: Option<&Path>) -> anyhow::Result<()> {
    let mut command = this_program()?;
    command.args(["--label", label]);
    if let Some(path) = facts_path {
        command.arg("--facts").arg(path);
    }
    let status = command.args(arguments).status().context("cannot run this program again")?;
    ensure!(status.success(), "{label}: {status}");
    Ok(())
}
