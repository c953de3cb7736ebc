//! Page tables copied at fork.

use std::fs::File;
use std::io::Read;

use anyhow::{Context, ensure};
use clap::Args;

use super::fact::Facts;
use super::memory::Memory;
use super::system::{fork_child, wait_for_success};

/// Fork children that read the memory of their parent
#[derive(Args, Clone, Debug)]
pub struct Fork {
    /// Anonymous mappings
    #[arg(long, default_value_t = 4)]
    pub vmas: usize,
    /// Pages of each mapping
    #[arg(long, default_value_t = 16)]
    pub pages: usize,
    /// Children, one after the other
    #[arg(long, default_value_t = 2)]
    pub children: u32,
}

impl Fork {
    /// Does the work and states the facts.
    ///
    /// # Errors
    /// When fork fails or a child finds other content than its parent's.
    pub fn run(&self, facts: &mut Facts) -> anyhow::Result<()> {
        let mappings = (0..self.vmas).map(|_| Memory::filled(self.pages)).collect::<Result<Vec<_>, _>>()?;
        let mut smaps = vec![0; SMAPS_LENGTH];
        let mut copied = 0;
        for _ in 0..self.children {
            copied += count_copied_vmas(&mut smaps)?;
            wait_for_success(fork_child(|| mappings.iter().try_for_each(Memory::check))?)?;
        }
        facts.exactly("copy_page_range", copied)?;
        facts.exactly("restore_exclusive", 0)
    }
}

/// Room for the `smaps` file of a process of this program, in bytes.
pub(super) const SMAPS_LENGTH: usize = 1 << 20;

/// Number of `copy_page_range` calls of a fork of the calling process: one for each VMA but those that the
/// child does not get or gets empty (`dup_mmap`, 6.12 kernel/fork.c).
///
/// The caller gives the buffer and keeps it until the fork, so that no mapping comes or goes between the
/// count and the fork.
pub(super) fn count_copied_vmas(buffer: &mut [u8]) -> anyhow::Result<u64> {
    let mut length = 0;
    let mut file = File::open("/proc/self/smaps").context("cannot open /proc/self/smaps")?;
    loop {
        let read = file.read(&mut buffer[length..]).context("cannot read /proc/self/smaps")?;
        if read == 0 {
            break;
        }
        length += read;
        ensure!(length < buffer.len(), "the process has too many mappings to count");
    }
    let smaps = str::from_utf8(&buffer[..length]).context("/proc/self/smaps is not UTF-8")?;
    Ok(copied_vmas(smaps))
}

fn copied_vmas(smaps: &str) -> u64 {
    const DO_NOT_COPY: &str = "dc";
    const WIPE_ON_FORK: &str = "wf";
    let mut count = 0;
    let mut is_vma = false;
    for line in smaps.lines() {
        if let Some(flags) = line.strip_prefix("VmFlags:") {
            let mut flags = flags.split_ascii_whitespace();
            count += u64::from(is_vma && !flags.any(|flag| flag == DO_NOT_COPY || flag == WIPE_ON_FORK));
        } else if line.split_once(' ').is_some_and(|(range, _)| range.contains('-')) {
            // The vsyscall page is shown, but it belongs to no process.
            is_vma = !line.ends_with("[vsyscall]");
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vmas_that_fork_copies() {
        let smaps = "\
00400000-00401000 r--p 00000000 08:01 1 /bin/true\nRss:  4 kB\nVmFlags: rd mr mw me\n\
7f0000000000-7f0000001000 rw-p 00000000 00:00 0 \nVmFlags: rd wr mr dc\n\
7f0000002000-7f0000003000 rw-p 00000000 00:00 0 \nVmFlags: rd wr mr wf\n\
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0   [vsyscall]\nVmFlags: ex\n";
        assert_eq!(copied_vmas(smaps), 1);
    }

    #[test]
    fn this_process_has_mappings() {
        assert!(count_copied_vmas(&mut vec![0; SMAPS_LENGTH]).unwrap() > 3);
    }
}
