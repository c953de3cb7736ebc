//! What the kernel says that it did with huge pages, of any process.

use std::fs;

use anyhow::Context;

const VMSTAT: &str = "/proc/vmstat";
/// Linux 6.12 on has these, even where CONFIG_VM_EVENT_COUNTERS is off.
const FOLDER: &str = "/sys/kernel/mm/transparent_hugepage/hugepages-2048kB/stats";

/// Counters at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Statistics {
    /// Huge pages that were split into small ones.
    pub(super) split: u64,
    /// Huge pages that were swapped out as one.
    pub(super) swapped_out: u64,
}

impl Statistics {
    /// Reads the counters.
    ///
    /// # Errors
    /// When this kernel does not count.
    pub(super) fn read() -> anyhow::Result<Self> {
        if fs::exists(format!("{FOLDER}/split"))? {
            return Ok(Self { split: file("split")?, swapped_out: file("swpout")? });
        }
        let vmstat = fs::read_to_string(VMSTAT).with_context(|| format!("cannot read {VMSTAT}"))?;
        Ok(Self { split: line(&vmstat, "thp_split_page")?, swapped_out: line(&vmstat, "thp_swpout")? })
    }
}

fn file(name: &str) -> anyhow::Result<u64> {
    let path = format!("{FOLDER}/{name}");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    text.trim().parse().with_context(|| format!("not a number in {path}"))
}

fn line(vmstat: &str, name: &str) -> anyhow::Result<u64> {
    let number = vmstat.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    number.and_then(|number| number.parse().ok()).with_context(|| format!("no {name} in {VMSTAT}"))
}

#[cfg(test)]
mod tests {
    use super::line;

    #[test]
    fn a_counter_is_found_by_its_whole_name() {
        let vmstat = "thp_split_page_failed 7\nthp_split_page 3\n";
        assert_eq!(line(vmstat, "thp_split_page").unwrap(), 3);
        assert!(line(vmstat, "thp_split").is_err());
    }
}
