//! Clients of a GPU, held in every way in which an open file can be.

use std::fs::File;
use std::os::fd::{AsRawFd, IntoRawFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::Args;

use super::fact::{Facts, HeldBy};
use super::kept_child::KeptChild;
use super::passed_file::{receive, send};
use super::system::{fork_child, wait_for_success};

/// Open a GPU's node and hold it: duplicated, inherited, and passed on by processes that live and that have ended
#[derive(Args, Clone, Debug)]
pub struct GpuClients {
    /// The node
    #[arg(long, default_value = "/dev/dri/renderD128")]
    pub node: PathBuf,
    /// Seconds to hold the clients
    #[arg(long, default_value_t = 0)]
    pub hold: u64,
}

impl GpuClients {
    /// Does the work and states who holds which client.
    ///
    /// # Errors
    /// When the node cannot be opened, or a process fails.
    pub fn run(&self, facts: &mut Facts) -> anyhow::Result<()> {
        let own = std::process::id();
        let node = || File::open(&self.node).with_context(|| self.node.display().to_string());
        // Opened and closed: no client.
        drop(node()?);

        let plain = node()?;
        // Opened by another process that lives on, which inherits the one before.
        let (one, other) = UnixStream::pair()?;
        let passer = KeptChild::fork(|| open_and_pass(&node, &one), || Ok(()))?;
        let (passers_number, passed) = receive(&other)?;
        let duplicated = node()?;
        let copies = [duplicated.try_clone()?, duplicated.try_clone()?];
        // Opened by another process that ended.
        wait_for_success(fork_child(|| open_and_pass(&node, &one))?)?;
        let (_, left) = receive(&other)?;
        // It has all that this process has, by the same numbers.
        let heir = KeptChild::fork(|| Ok(()), || Ok(()))?;

        let of_both = |files: &[&dyn AsRawFd]| -> anyhow::Result<Vec<HeldBy>> {
            let mut numbers = Vec::new();
            for file in files {
                numbers.push(u32::try_from(file.as_raw_fd())?);
            }
            numbers.sort_unstable();
            let heir = HeldBy { pid: heir.pid()?, descriptors: numbers.clone() };
            Ok(vec![HeldBy { pid: own, descriptors: numbers }, heir])
        };
        let mut of_plain = of_both(&[&plain])?;
        of_plain.push(HeldBy { pid: passer.pid()?, descriptors: of_plain[0].descriptors.clone() });
        let mut of_passed = of_both(&[&passed])?;
        of_passed.push(HeldBy { pid: passer.pid()?, descriptors: vec![passers_number.into()] });
        let of_duplicated = of_both(&[&duplicated, &copies[0], &copies[1]])?;
        facts.clients(vec![of_plain, of_passed, of_duplicated, of_both(&[&left])?])?;
        std::thread::sleep(Duration::from_secs(self.hold));
        heir.finish()?;
        passer.finish()
    }
}

/// In a process of its own: opens the node, passes it on, and keeps it until this process ends.
fn open_and_pass(node: &impl Fn() -> anyhow::Result<File>, socket: &UnixStream) -> anyhow::Result<()> {
    let file = node()?;
    send(socket, &file)?;
    let _ = file.into_raw_fd();
    Ok(())
}
