//! Direct input and output on a block device.

use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use anyhow::{Context, ensure};
use clap::Args;

use super::fact::Facts;
use super::memory::{Memory, PAGE_SIZE};
use super::system::check;

/// Read a block device past the page cache, and with --write write it first (its content is lost)
#[derive(Args, Clone, Debug)]
pub struct BlockIo {
    /// The block device
    #[arg(long, default_value = "/dev/nvme0n1")]
    pub device: PathBuf,
    /// Requests of each direction
    #[arg(long, default_value_t = 32)]
    pub blocks: usize,
    /// Bytes of each request, a multiple of 4096
    #[arg(long, default_value_t = PAGE_SIZE)]
    pub size: usize,
    /// Write before reading
    #[arg(long)]
    pub write: bool,
}

impl BlockIo {
    /// Does the work and states the facts.
    ///
    /// # Errors
    /// When the device cannot be used, is too small, or gives back other data than was written.
    pub fn run(&self, facts: &mut Facts) -> anyhow::Result<()> {
        ensure!(
            self.size > 0 && self.size.is_multiple_of(PAGE_SIZE),
            "the size of a request must be a multiple of {PAGE_SIZE} bytes"
        );
        let device = OpenOptions::new()
            .read(true)
            .write(self.write)
            .custom_flags(libc::O_DIRECT)
            .open(&self.device)
            .with_context(|| format!("cannot open {}", self.device.display()))?;
        let memory = Memory::filled(self.size / PAGE_SIZE)?;
        let bytes = (self.blocks * self.size) as u64;
        let mut requests = self.blocks as u64;
        if self.write {
            for block in 0..self.blocks {
                self.transfer("pwrite", &device, &memory, block)?;
            }
            facts.io("write", self.blocks as u64, bytes)?;
            requests *= 2;
        }
        for block in 0..self.blocks {
            self.transfer("pread", &device, &memory, block)?;
        }
        facts.io("read", self.blocks as u64, bytes)?;
        if self.write {
            memory.check().context("the device gave back other data than was written")?;
        }
        // A worker of the block layer may map for the task that asked. The disk may have other users: udev
        // reads it again after it was open for writing. And a large request has a mapping for each of its
        // physically separate parts.
        let bound = "other users of the disk, and requests in several parts, add mappings";
        facts.at_least("swiotlb_map", requests, bound)?;
        facts.at_least("swiotlb_map_single", requests, bound)
    }

    fn transfer(&self, call: &str, device: &File, memory: &Memory, block: usize) -> anyhow::Result<()> {
        let offset = libc::off_t::try_from(block * self.size)?;
        let descriptor = device.as_raw_fd();
        let buffer = memory.start().cast::<libc::c_void>();
        let moved = if call == "pwrite" {
            // SAFETY: the buffer is a mapping of `size` bytes.
            unsafe { libc::pwrite(descriptor, buffer, self.size, offset) }
        } else {
            // SAFETY: the same, and it is reached only through raw pointers.
            unsafe { libc::pread(descriptor, buffer, self.size, offset) }
        };
        let moved = check(call, moved as libc::c_long)?;
        ensure!(moved as usize == self.size, "{call} of block {block} moved {moved} of {} bytes", self.size);
        Ok(())
    }
}
