//! Processes with open files that are no GPU's: what a look at all open files has to pass.

use std::fs::File;
use std::os::fd::IntoRawFd;
use std::time::Duration;

use clap::Args;

use super::kept_child::KeptChild;

/// Keep many files open in many processes
#[derive(Args, Clone, Debug)]
pub struct OpenFiles {
    /// Processes
    #[arg(long, default_value_t = 100)]
    pub processes: usize,
    /// Files that each has open, besides those that it inherits
    #[arg(long, default_value_t = 100)]
    pub files: usize,
    /// Seconds to keep them
    #[arg(long, default_value_t = 0)]
    pub hold: u64,
}

impl OpenFiles {
    /// Prints `ready` on standard output when all are open; there is no event to state.
    ///
    /// # Errors
    /// When a process or a file is one too many.
    #[expect(clippy::print_stdout, reason = "whoever measures waits for it")]
    pub fn run(&self) -> anyhow::Result<()> {
        let open = || {
            for _ in 0..self.files {
                let _ = File::open("/dev/null")?.into_raw_fd();
            }
            Ok(())
        };
        let mut children = Vec::new();
        for _ in 0..self.processes {
            children.push(KeptChild::fork(open, || Ok(()))?);
        }
        println!("ready");
        std::thread::sleep(Duration::from_secs(self.hold));
        children.into_iter().try_for_each(KeptChild::finish)
    }
}
