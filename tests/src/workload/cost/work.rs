//! What is done, and which events it causes.

use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::ValueEnum;

use super::super::fork::{SMAPS_LENGTH, count_copied_vmas};
use super::super::memory::{Memory, page_size};
use super::super::mirror::Mirror;
use super::super::swap;
use super::super::system::{check, fork_child, wait_for_success};

/// The kinds of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Work {
    /// Page anonymous memory out to swap: a `try_to_unmap` for each page
    Reclaim,
    /// Fork a process of many mappings: a `copy_page_range` for each
    Fork,
    /// Lock memory and unlock it again: an `mlock_folio` for each page
    Mlock,
    /// Migrate memory to the device of test_hmm and fault it back: a `migrate_vma_finalize` for each call there, and for
    /// each page back
    Device,
    /// Read an NVMe disk past the page cache, under `swiotlb=force`: a `swiotlb_map` for each page
    Swiotlb,
}

/// The disk that bounces.
const DISK: &str = "/dev/nvme0n1";

/// Pages of a request, each a mapping of its own. One page alone would be little beside the way to the disk and back.
const REQUEST: usize = 32;

/// Work that is ready to be done.
pub(super) struct Prepared {
    work: Work,
    events: u64,
    /// One but for fork, which has many.
    memory: Vec<Memory>,
    units: usize,
    disk: Option<File>,
    mirror: Option<Mirror>,
    /// Where the mappings were counted: its own is among them.
    _smaps: Vec<u8>,
}

impl Work {
    /// Whether the CPU idles meanwhile.
    pub(super) const fn waits(self) -> bool {
        matches!(self, Self::Swiotlb)
    }

    /// The clock that goes while the work is done.
    pub(super) fn clock(self) -> anyhow::Result<Duration> {
        now(if self.waits() { libc::CLOCK_PROCESS_CPUTIME_ID } else { libc::CLOCK_MONOTONIC })
    }

    /// What has to be there before the first round, `units` big.
    pub(super) fn prepare(self, units: usize) -> anyhow::Result<Prepared> {
        ensure!(units > 0, "the number of units must not be 0");
        let (mut disk, mut mirror, mut events, mut smaps) = (None, None, units as u64, Vec::new());
        let memory = match self {
            Self::Reclaim => {
                swap::turn_on(256 << 20)?;
                vec![Memory::filled(units)?]
            }
            Self::Mlock => vec![Memory::filled(units)?],
            Self::Fork => {
                let memory = (0..units).map(|_| Memory::filled(1)).collect::<Result<Vec<_>, _>>()?;
                // Nothing is mapped or unmapped between this and the last fork.
                smaps = vec![0; SMAPS_LENGTH];
                events = count_copied_vmas(&mut smaps)?;
                memory
            }
            Self::Device => {
                let device = Mirror::open()?;
                events += device.migrate_calls(units)?;
                mirror = Some(device);
                vec![Memory::filled(units)?]
            }
            Self::Swiotlb => {
                let file = OpenOptions::new().read(true).custom_flags(libc::O_DIRECT).open(DISK);
                disk = Some(file.with_context(|| format!("cannot open {DISK}"))?);
                // Pages that are touched one after the other are often neighbours in memory: every other one is used.
                vec![Memory::filled(2 * REQUEST)?]
            }
        };
        Ok(Prepared { work: self, events, memory, units, disk, mirror, _smaps: smaps })
    }
}

impl Prepared {
    /// Events of a round.
    pub(super) const fn events(&self) -> u64 {
        self.events
    }

    /// Does it once. The value is the time in the system calls, and in the faults of what goes to a device.
    pub(super) fn round(&self, round: u32) -> anyhow::Result<Duration> {
        let memory = &self.memory[0];
        if self.work == Work::Reclaim && round > 0 {
            memory.fill();
        }
        let called = self.work.clock()?;
        match self.work {
            Work::Reclaim => memory.advise(libc::MADV_PAGEOUT)?,
            Work::Mlock => {
                memory.lock()?;
                memory.unlock()?;
            }
            Work::Device => {
                self.mirror.as_ref().context("no device")?.migrate_to_device(memory)?;
                memory.fill();
            }
            Work::Fork => wait_for_success(fork_child(|| Ok(()))?)?,
            Work::Swiotlb => (0..self.units)
                .step_by(REQUEST)
                .try_for_each(|first| self.read(first, REQUEST.min(self.units - first)))?,
        }
        Ok(self.work.clock()? - called)
    }

    /// Reads so many pages of the disk in one request.
    fn read(&self, first: usize, pages: usize) -> anyhow::Result<()> {
        let disk = self.disk.as_ref().context("no disk")?;
        let start = self.memory[0].start();
        let parts: Vec<libc::iovec> = (0..pages)
            .map(|page| libc::iovec {
                iov_base: start.wrapping_add(2 * page * page_size()).cast(),
                iov_len: page_size(),
            })
            .collect();
        let offset = libc::off_t::try_from(first * page_size())?;
        // SAFETY: the parts are inside a mapping that is reached only through raw pointers.
        let read = unsafe { libc::preadv(disk.as_raw_fd(), parts.as_ptr(), i32::try_from(pages)?, offset) };
        let read = check("preadv", read as libc::c_long)?;
        ensure!(
            read as usize == pages * page_size(),
            "{read} bytes of {pages} pages from {first} on were read"
        );
        Ok(())
    }

    /// Whether all that should have happened has.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        if self.work == Work::Reclaim {
            let left = self.memory[0].pages() - self.memory[0].swapped()?;
            ensure!(left == 0, "MADV_PAGEOUT left {left} pages behind");
        }
        if self.work == Work::Device {
            ensure!(self.memory[0].swapped()? == 0, "a page is still on the device");
        }
        Ok(())
    }
}

fn now(clock: libc::clockid_t) -> anyhow::Result<Duration> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the structure lives during the call.
    check("clock_gettime", unsafe { libc::clock_gettime(clock, &raw mut time) }.into())?;
    Ok(Duration::new(u64::try_from(time.tv_sec)?, u32::try_from(time.tv_nsec)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fork_copies_every_mapping_that_was_made_for_it() {
        let work = Work::Fork.prepare(20).unwrap();
        assert!(work.events() > 20, "{}", work.events());
        work.check().unwrap();
    }

    #[test]
    fn clocks_go() {
        for work in [Work::Fork, Work::Swiotlb] {
            let before = work.clock().unwrap();
            assert!(work.clock().unwrap() > before);
        }
    }
}
