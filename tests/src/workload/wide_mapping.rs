//! One page with very many mappings.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use anyhow::ensure;
use clap::Args;

use super::fact::Facts;
use super::memory::PAGE_SIZE;
use super::move_pages::{MPOL_MF_MOVE_ALL, memory_nodes, move_addresses};
use super::system::check;

/// Map one page of a file in thousands of VMAs and move it to another NUMA node and back
#[derive(Args, Clone, Debug)]
pub struct WideMapping {
    /// VMAs that map the page
    #[arg(long, default_value_t = 2000)]
    pub vmas: usize,
}

impl WideMapping {
    /// Does the work and states the facts.
    ///
    /// # Errors
    /// When there is only one NUMA node, when the process may not have so many mappings, or when the page
    /// does not move.
    pub fn run(&self, facts: &mut Facts) -> anyhow::Result<()> {
        let nodes = memory_nodes()?;
        ensure!(nodes.len() > 1, "move_pages needs two NUMA nodes with memory");
        let mut addresses = map_one_page(self.vmas)?;
        addresses.truncate(1);
        let here = move_addresses(&addresses, None, MPOL_MF_MOVE_ALL)?[0];
        let away = nodes.iter().copied().find(|node| *node != here).unwrap_or(here);
        for node in [away, here] {
            let moved = move_addresses(&addresses, Some(node), MPOL_MF_MOVE_ALL)?[0];
            ensure!(moved == node, "the page did not move to node {node}: {moved}");
        }
        facts.exactly("migration_entry_set", 2 * self.vmas as u64)?;
        facts.exactly("remove_migration_pte", 2 * self.vmas as u64)
    }
}

/// Maps the one page of a file so many times, each time in a VMA of its own, and touches it there. The
/// mappings live as long as the process.
fn map_one_page(vmas: usize) -> anyhow::Result<Vec<u64>> {
    // SAFETY: the name is NUL-terminated.
    let file = check("memfd_create", unsafe { libc::memfd_create(c"wide".as_ptr(), 0) }.into())?;
    // SAFETY: a new descriptor that nobody else has.
    let file = unsafe { OwnedFd::from_raw_fd(i32::try_from(file)?) };
    // SAFETY: no pointers.
    check("ftruncate", unsafe { libc::ftruncate(file.as_raw_fd(), PAGE_SIZE as libc::off_t) }.into())?;
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    (0..vmas)
        .map(|_| {
            // SAFETY: the kernel chooses the address. Neighbours do not merge: their offsets do not follow
            // on each other.
            let address = unsafe {
                libc::mmap(std::ptr::null_mut(), PAGE_SIZE, protection, libc::MAP_SHARED, file.as_raw_fd(), 0)
            };
            ensure!(address != libc::MAP_FAILED, "mmap failed: {}", std::io::Error::last_os_error());
            // SAFETY: a mapping of our own, reached only through this pointer.
            unsafe { address.cast::<u64>().write_volatile(1) };
            Ok(address as u64)
        })
        .collect()
}
