//! Migration between NUMA nodes.

use std::fs;

use anyhow::{Context, bail, ensure};
use clap::Args;

use super::fact::Facts;
use super::memory::{Memory, PAGE_SIZE};
use super::system::check;

const MPOL_DEFAULT: i32 = 0;
const MPOL_BIND: i32 = 2;
const MPOL_MF_MOVE: i32 = 1 << 1;
/// Pages that others map, too; needs CAP_SYS_NICE.
pub(super) const MPOL_MF_MOVE_ALL: i32 = 1 << 2;

/// Move pages to another NUMA node and back with move_pages(2)
#[derive(Args, Clone, Debug)]
pub struct MovePages {
    /// Pages to move
    #[arg(long, default_value_t = 64)]
    pub pages: usize,
    /// Moves of each page
    #[arg(long, default_value_t = 2)]
    pub moves: u32,
}

impl MovePages {
    /// Why this machine cannot run the workload, if so.
    ///
    /// # Errors
    /// When the list of nodes cannot be read.
    pub fn obstacle() -> anyhow::Result<Option<String>> {
        let nodes = memory_nodes()?;
        Ok((nodes.len() < 2).then(|| format!("{} NUMA node with memory, two are needed", nodes.len())))
    }

    /// Does the work and states the facts.
    ///
    /// # Errors
    /// When there is only one node, or when a page did not move.
    pub fn run(&self, facts: &mut Facts) -> anyhow::Result<()> {
        let nodes = memory_nodes()?;
        let [first, second, ..] = nodes[..] else { bail!("move_pages needs two NUMA nodes with memory") };
        // None of what follows counts a page that need not move.
        let memory = on_node(first, || Memory::filled(self.pages))?;
        let here = where_are(&memory)?;
        ensure!(here.iter().all(|node| *node == first), "the pages are not on NUMA node {first}");
        let mut target = second;
        facts.pages(memory.page_list()?)?;
        for _ in 0..self.moves {
            let status = move_pages(&memory, Some(target))?;
            let moved = status.iter().filter(|node| **node == target).count();
            ensure!(moved == self.pages, "{moved} of {} pages moved to node {target}", self.pages);
            target = if target == first { second } else { first };
        }
        memory.check()?;

        let moves = self.pages as u64 * u64::from(self.moves);
        for event in
            ["try_to_migrate", "migration_entry_set", "migration_entry_removed", "remove_migration_pte"]
        {
            facts.exactly(event, moves)?;
        }
        facts.exactly("migrate_pages", u64::from(self.moves))
    }
}

/// Nodes that have memory.
pub(super) fn memory_nodes() -> anyhow::Result<Vec<i32>> {
    let path = "/sys/devices/system/node/has_memory";
    let Ok(list) = fs::read_to_string(path) else { return Ok(vec![0]) };
    parse_list(list.trim()).with_context(|| format!("unexpected content of {path}: {list}"))
}

/// A kernel list such as `0-1,4`.
fn parse_list(list: &str) -> Option<Vec<i32>> {
    let mut numbers = Vec::new();
    for part in list.split(',').filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        numbers.extend(first.parse::<i32>().ok()?..=last.parse().ok()?);
    }
    Some(numbers)
}

/// Takes the memory of `work` from one node only, however little it has left.
fn on_node<T>(node: i32, work: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
    set_mempolicy(MPOL_BIND, 1 << node)?;
    let result = work();
    set_mempolicy(MPOL_DEFAULT, 0)?;
    result
}

/// set_mempolicy(2) with the first 63 nodes.
fn set_mempolicy(mode: i32, nodes: u64) -> anyhow::Result<()> {
    // SAFETY: the mask has as many bits as the count says and lives during the call.
    let result = unsafe { libc::syscall(libc::SYS_set_mempolicy, mode, &raw const nodes, u64::BITS) };
    check("set_mempolicy", result).map(drop)
}

fn where_are(memory: &Memory) -> anyhow::Result<Vec<i32>> {
    move_pages(memory, None)
}

/// Moves every page to a node, or only asks; the node or -errno of each page.
pub(super) fn move_pages(memory: &Memory, node: Option<i32>) -> anyhow::Result<Vec<i32>> {
    let addresses: Vec<u64> = (memory.address()..).step_by(PAGE_SIZE).take(memory.pages()).collect();
    move_addresses(&addresses, node, MPOL_MF_MOVE)
}

/// The same for pages at any addresses of the calling process.
pub(super) fn move_addresses(addresses: &[u64], node: Option<i32>, flags: i32) -> anyhow::Result<Vec<i32>> {
    let nodes = node.map(|node| vec![node; addresses.len()]);
    let mut status = vec![0_i32; addresses.len()];
    let nodes_pointer = nodes.as_ref().map_or(std::ptr::null(), |nodes| nodes.as_ptr());
    // SAFETY: the three arrays have as many elements as the count says and live during the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_move_pages,
            0,
            addresses.len(),
            addresses.as_ptr(),
            nodes_pointer,
            status.as_mut_ptr(),
            flags,
        )
    };
    check("move_pages", result)?;
    Ok(status)
}

#[cfg(test)]
mod tests {
    use super::parse_list;

    #[test]
    fn kernel_lists() {
        assert_eq!(parse_list("0"), Some(vec![0]));
        assert_eq!(parse_list("0-2,5"), Some(vec![0, 1, 2, 5]));
        assert_eq!(parse_list(""), Some(vec![]));
        assert_eq!(parse_list("x"), None);
    }
}
