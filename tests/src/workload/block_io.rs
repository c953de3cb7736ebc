//! Direct input and output on a block device.

use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use anyhow::{Context, ensure};
use clap::Args;

use super::contiguous::{huge_page, huge_page_size};
use super::fact::Facts;
use super::memory::{Memory, page_size};
use super::system::{check, fork_child, wait_for_success};

/// Read a block device past the page cache, and with --write write it first (its content is lost)
#[derive(Args, Clone, Debug)]
pub struct BlockIo {
    /// The block device
    #[arg(long, default_value = "/dev/nvme0n1")]
    pub device: PathBuf,
    /// Requests of each direction
    #[arg(long, default_value_t = 32)]
    pub blocks: usize,
    /// Bytes of each request, a multiple of the page size
    #[arg(long, default_value_t = page_size())]
    pub size: usize,
    /// Write before reading
    #[arg(long)]
    pub write: bool,
    /// Buffers of pages that are nowhere neighbours in memory, so that each page is mapped by itself
    #[arg(long)]
    pub scattered: bool,
    /// Buffers of pieces of so many bytes, a multiple of the page size, each one mapping; all within a huge page
    #[arg(long, value_name = "BYTES", conflicts_with_all = ["scattered", "write"])]
    pub pieces: Option<usize>,
    /// Read the same in so many processes at once
    #[arg(long, value_name = "N", default_value_t = 1, conflicts_with = "write")]
    pub parallel: usize,
}

/// The memory of one request.
struct Buffer {
    /// None: it is not the buffer's own.
    memory: Option<Memory>,
    parts: Vec<libc::iovec>,
}

impl BlockIo {
    /// Does the work and states the facts.
    ///
    /// # Errors
    /// When the device cannot be used, is too small, or gives back other data than was written.
    pub fn run(&self, facts: &mut Facts) -> anyhow::Result<()> {
        ensure!(
            self.size > 0 && self.size.is_multiple_of(page_size()),
            "the size of a request must be a multiple of {} bytes",
            page_size()
        );
        let device = OpenOptions::new()
            .read(true)
            .write(self.write)
            .custom_flags(libc::O_DIRECT)
            .open(&self.device)
            .with_context(|| format!("cannot open {}", self.device.display()))?;
        let children = (1..self.parallel)
            .map(|_| fork_child(|| self.transfer_all("preadv", &device, &self.buffer()?)))
            .collect::<Result<Vec<_>, _>>()?;
        let buffer = self.buffer()?;
        let bytes = (self.blocks * self.size) as u64;
        let mut requests = (self.blocks * self.parallel) as u64;
        if self.write {
            self.transfer_all("pwritev", &device, &buffer)?;
            facts.io("write", self.blocks as u64, bytes)?;
            requests += self.blocks as u64;
        }
        self.transfer_all("preadv", &device, &buffer)?;
        facts.io("read", self.blocks as u64, bytes)?;
        children.into_iter().try_for_each(wait_for_success)?;
        if self.write
            && let Some(memory) = &buffer.memory
        {
            memory.check().context("the device gave back other data than was written")?;
        }
        if self.scattered {
            requests *= (self.size / page_size()) as u64;
        }
        // A worker of the block layer may map for the task that asked. The disk may have other users: udev
        // reads it again after it was open for writing. And a large request has a mapping for each of its
        // physically separate parts.
        let bound = "other users of the disk, and requests in several parts, add mappings";
        facts.at_least("swiotlb_map", requests, bound)?;
        facts.at_least("swiotlb_map_single", requests, bound)
    }

    fn buffer(&self) -> anyhow::Result<Buffer> {
        let pages = self.size / page_size();
        let part = |start: *mut u8, length| libc::iovec { iov_base: start.cast(), iov_len: length };
        if let Some(piece) = self.pieces {
            let stride = piece + page_size();
            let count = self.size / piece.max(page_size());
            ensure!(
                piece.is_multiple_of(page_size())
                    && count * piece == self.size
                    && count * stride <= huge_page_size(),
                "a request must be whole pieces, and all of it, with a page between two, must fit into 2 MiB"
            );
            let start = huge_page()?;
            let parts = (0..count).map(|index| part(start.wrapping_add(index * stride), piece)).collect();
            return Ok(Buffer { memory: None, parts });
        }
        if !self.scattered {
            let memory = Memory::filled(pages)?;
            let parts = vec![part(memory.start(), self.size)];
            return Ok(Buffer { memory: Some(memory), parts });
        }
        // Pages that are touched one after the other are often neighbours in memory: take every other one.
        let memory = Memory::filled(2 * pages)?;
        let parts = (0..pages)
            .map(|page| part(memory.start().wrapping_add(2 * page * page_size()), page_size()))
            .collect();
        Ok(Buffer { memory: Some(memory), parts })
    }

    fn transfer_all(&self, call: &str, device: &File, buffer: &Buffer) -> anyhow::Result<()> {
        (0..self.blocks).try_for_each(|block| self.transfer(call, device, buffer, block))
    }

    fn transfer(&self, call: &str, device: &File, buffer: &Buffer, block: usize) -> anyhow::Result<()> {
        let offset = libc::off_t::try_from(block * self.size)?;
        let descriptor = device.as_raw_fd();
        let (parts, count) = (buffer.parts.as_ptr(), i32::try_from(buffer.parts.len())?);
        let moved = if call == "pwritev" {
            // SAFETY: the parts are inside the buffer's mapping.
            unsafe { libc::pwritev(descriptor, parts, count, offset) }
        } else {
            // SAFETY: the same, and the mapping is reached only through raw pointers.
            unsafe { libc::preadv(descriptor, parts, count, offset) }
        };
        let moved = check(call, moved as libc::c_long)?;
        ensure!(moved as usize == self.size, "{call} of block {block} moved {moved} of {} bytes", self.size);
        Ok(())
    }
}
