//! Migration between NUMA nodes.

use std::collections::BTreeMap;

use anyhow::{bail, ensure};
use clap::Args;

use super::fact::Facts;
use super::memory::{Memory, page_size};
use super::numa::{make_room, memory_nodes, on_node};
use super::system::check;

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
    /// Move them until the process is killed, also when the kernel cannot move them for a while; states no numbers
    #[arg(long, conflicts_with = "moves")]
    pub endless: bool,
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
        for node in [first, second] {
            make_room(node, self.pages * page_size())?;
        }
        // None of what follows counts a page that need not move.
        let memory = on_node(first, || Memory::filled(self.pages))?;
        let here = where_are(&memory)?;
        ensure!(here.iter().all(|node| *node == first), "the pages are not on NUMA node {first}");
        let mut target = second;
        facts.pages(memory.page_list()?)?;
        if self.endless {
            for node in [second, first].into_iter().cycle() {
                make_room(node, self.pages * page_size())?;
                // Pages that were swapped out are no pages of the process (do_pages_move: -ENOENT, 6.1 mm/migrate.c).
                memory.fill();
                move_pages(&memory, Some(node))?;
            }
        }
        for _ in 0..self.moves {
            let status = move_pages(&memory, Some(target))?;
            ensure!(
                status.iter().all(|node| *node == target),
                "not all pages moved to node {target}; {}",
                in_words(&status)
            );
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

fn where_are(memory: &Memory) -> anyhow::Result<Vec<i32>> {
    move_pages(memory, None)
}

/// Moves every page to a node, or only asks; the node or -errno of each page.
pub(super) fn move_pages(memory: &Memory, node: Option<i32>) -> anyhow::Result<Vec<i32>> {
    let addresses: Vec<u64> = (memory.address()..).step_by(page_size()).take(memory.pages()).collect();
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

/// What move_pages said of the pages, with their numbers.
fn in_words(status: &[i32]) -> String {
    let mut numbers = BTreeMap::<i32, usize>::new();
    for page in status {
        *numbers.entry(*page).or_default() += 1;
    }
    let words = numbers.iter().map(|(status, pages)| match *status {
        ..0 => format!("{pages} pages: {}", std::io::Error::from_raw_os_error(-status)),
        node => format!("{pages} pages: node {node}"),
    });
    words.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::in_words;

    #[test]
    fn says_where_the_pages_are() {
        assert_eq!(
            in_words(&[1, -libc::ENOMEM, 1]),
            "1 pages: Cannot allocate memory (os error 12), 2 pages: node 1"
        );
    }
}
