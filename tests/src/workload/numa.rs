//! NUMA nodes and their memory.

use std::fs;

use anyhow::Context;

use super::system::{check, drop_page_cache};

const MPOL_DEFAULT: i32 = 0;
const MPOL_BIND: i32 = 2;
/// What a node keeps free for itself and for others: a migration takes no page below the zone's low watermark
/// (alloc_migration_target, 6.12 mm/migrate.c), and it does not reclaim.
const RESERVE: usize = 64 << 20;

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
pub(super) fn on_node<T>(node: i32, work: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
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

/// Gives up the page cache when a node has too little free memory for so many bytes more. A move to a node takes what
/// is free there, and a guest's page cache may have taken it all.
pub(super) fn make_room(node: i32, bytes: usize) -> anyhow::Result<()> {
    if free_bytes(node)? < bytes + RESERVE { drop_page_cache() } else { Ok(()) }
}

fn free_bytes(node: i32) -> anyhow::Result<usize> {
    let path = format!("/sys/devices/system/node/node{node}/meminfo");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    parse_free(&text).with_context(|| format!("no line MemFree in {path}"))
}

fn parse_free(text: &str) -> Option<usize> {
    let line = text.lines().find(|line| line.contains(" MemFree:"))?;
    line.split_whitespace().nth_back(1)?.parse::<usize>().ok()?.checked_mul(1 << 10)
}

#[cfg(test)]
mod tests {
    use super::{parse_free, parse_list};

    #[test]
    fn kernel_lists() {
        assert_eq!(parse_list("0"), Some(vec![0]));
        assert_eq!(parse_list("0-2,5"), Some(vec![0, 1, 2, 5]));
        assert_eq!(parse_list(""), Some(vec![]));
        assert_eq!(parse_list("x"), None);
    }

    #[test]
    fn free_memory_of_a_node() {
        let text = "Node 0 MemTotal:  500 kB\nNode 0 MemFree:          1024 kB\nNode 0 MemUsed: 1 kB\n";
        assert_eq!(parse_free(text), Some(1 << 20));
        assert_eq!(parse_free("Node 0 MemTotal: 500 kB\n"), None);
    }
}
