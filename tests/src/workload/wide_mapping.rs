//! One page with very many mappings.

use std::os::fd::AsRawFd;

use anyhow::{bail, ensure};
use clap::Args;

use super::fact::Facts;
use super::memory::page_size;
use super::move_pages::{MPOL_MF_MOVE_ALL, move_addresses};
use super::numa::memory_nodes;
use super::pagemap::page_states;
use super::reclaim::EVERYTHING;
use super::system::file_in_memory;
use super::{reclaim, swap};

/// How often to ask that the page be reclaimed.
const ATTEMPTS: u32 = 8;

/// Map one page of a file in thousands of VMAs and swap it out, or move it to another NUMA node and back
#[derive(Args, Clone, Debug)]
pub struct WideMapping {
    /// VMAs that map the page
    #[arg(long, default_value_t = 2000)]
    pub vmas: usize,
    /// Move it instead of swapping it out
    #[arg(long)]
    pub migrate: bool,
    /// Swap to a zram device of so many MiB where there is no swap yet
    #[arg(long, value_name = "MIB", default_value_t = 256)]
    pub zram: u64,
}

impl WideMapping {
    /// Does the work and states the facts.
    ///
    /// # Errors
    /// When the process may not have so many mappings, when there is no swap or only one NUMA node, or when
    /// the page stays where it is.
    pub fn run(&self, facts: &mut Facts) -> anyhow::Result<()> {
        if self.migrate { self.migrate(facts) } else { self.swap_out(facts) }
    }

    fn swap_out(&self, facts: &mut Facts) -> anyhow::Result<()> {
        swap::turn_on(self.zram << 20)?;
        let address = map_one_page(self.vmas)?;
        for _ in 0..ATTEMPTS {
            // The first time the page was used not long ago, and is kept.
            reclaim::bytes(EVERYTHING)?;
            if !page_states(address, 1)?[0].present() {
                let bound = "another task's memory is reclaimed, too";
                return facts.at_least("try_to_unmap_one", self.vmas as u64, bound);
            }
        }
        bail!("the page was not swapped out");
    }

    fn migrate(&self, facts: &mut Facts) -> anyhow::Result<()> {
        let nodes = memory_nodes()?;
        ensure!(nodes.len() > 1, "move_pages needs two NUMA nodes with memory");
        let address = [map_one_page(self.vmas)?];
        let here = move_addresses(&address, None, MPOL_MF_MOVE_ALL)?[0];
        let away = nodes.iter().copied().find(|node| *node != here).unwrap_or(here);
        for node in [away, here] {
            let moved = move_addresses(&address, Some(node), MPOL_MF_MOVE_ALL)?[0];
            ensure!(moved == node, "the page did not move to node {node}: {moved}");
        }
        facts.exactly("migration_entry_set", 2 * self.vmas as u64)?;
        facts.exactly("remove_migration_pte", 2 * self.vmas as u64)
    }
}

/// Maps the one page of a file so many times, each time in a VMA of its own, and touches it there. The
/// mappings live as long as the process. One of the addresses.
fn map_one_page(vmas: usize) -> anyhow::Result<u64> {
    let file = file_in_memory(page_size())?;
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    ensure!(vmas > 0, "the number of VMAs must not be 0");
    let mut address = std::ptr::null_mut();
    for _ in 0..vmas {
        // SAFETY: the kernel chooses the address. Neighbours do not merge: their offsets do not follow on each
        // other.
        address = unsafe {
            libc::mmap(std::ptr::null_mut(), page_size(), protection, libc::MAP_SHARED, file.as_raw_fd(), 0)
        };
        ensure!(address != libc::MAP_FAILED, "mmap failed: {}", std::io::Error::last_os_error());
        // SAFETY: a mapping of our own, reached only through this pointer.
        unsafe { address.cast::<u64>().write_volatile(1) };
    }
    Ok(address as u64)
}
