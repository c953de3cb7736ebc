//! The kernel's test driver for device memory (lib/test_hmm.c): a device that mirrors a process.

use std::fs::{self, File, OpenOptions};
use std::os::fd::AsRawFd;

use anyhow::{Context, ensure};

use super::memory::{Memory, PAGE_SIZE};
use super::system::{check, kernel_has};

const DEVICE: &str = "/dev/hmm_dmirror0";

/// The driver works on so many pages at a time (`pages[64]` in `dmirror_exclusive` and `src_pfns[64]` in
/// `dmirror_migrate_to_device`, Linux 5.15 to 6.14).
pub(super) const CHUNK: usize = 64;

/// `struct hmm_dmirror_cmd` (lib/test_hmm_uapi.h).
#[derive(Debug, Default)]
#[repr(C)]
struct Command {
    address: u64,
    buffer: u64,
    pages: u64,
    copied: u64,
    faults: u64,
}

/// An open mirror of the calling process.
#[derive(Debug)]
pub(super) struct Mirror {
    file: File,
    exclusive_number: u32,
}

impl Mirror {
    /// Opens the first device; from then on the driver hears of every change of the address space.
    pub(super) fn open() -> anyhow::Result<Self> {
        make_node()?;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(DEVICE)
            .with_context(|| format!("cannot open {DEVICE} (it needs CONFIG_TEST_HMM)"))?;
        Ok(Self { file, exclusive_number: exclusive_number()? })
    }

    /// Makes all pages device-exclusive (HMM_DMIRROR_EXCLUSIVE).
    pub(super) fn make_exclusive(&self, memory: &Memory) -> anyhow::Result<()> {
        self.command("HMM_DMIRROR_EXCLUSIVE", self.exclusive_number, memory)
    }

    /// Moves all pages to the device's private memory (HMM_DMIRROR_MIGRATE, later _MIGRATE_TO_DEV).
    pub(super) fn migrate_to_device(&self, memory: &Memory) -> anyhow::Result<()> {
        self.command("HMM_DMIRROR_MIGRATE_TO_DEV", 2, memory)
    }

    fn command(&self, name: &str, number: u32, memory: &Memory) -> anyhow::Result<()> {
        let mut copy = vec![0_u8; memory.pages() * PAGE_SIZE];
        let mut command = Command {
            address: memory.address(),
            buffer: copy.as_mut_ptr() as u64,
            pages: memory.pages() as u64,
            ..Command::default()
        };
        // _IOWR('H', number, struct hmm_dmirror_cmd)
        let size = u32::try_from(size_of::<Command>())?;
        let request = 3 << 30 | size << 16 | u32::from(b'H') << 8 | number;
        // SAFETY: the command lives during the call, and its buffer has room for as many pages as it says.
        let result = unsafe { libc::ioctl(self.file.as_raw_fd(), request.into(), &raw mut command) };
        check(name, result.into())?;
        ensure!(
            command.copied == memory.pages() as u64,
            "{name} took {} of {} pages",
            command.copied,
            memory.pages()
        );
        Ok(())
    }
}

/// Number of `make_device_exclusive_range` or, from Linux 6.15 on, `make_device_exclusive` calls that the
/// driver makes for so many pages.
pub(super) fn exclusive_calls(pages: usize) -> anyhow::Result<u64> {
    let calls = if works_in_ranges()? { pages.div_ceil(CHUNK) } else { pages };
    Ok(calls as u64)
}

/// Whether this kernel makes ranges exclusive and takes the pages out of the reverse map (5.14 to 6.14).
pub(super) fn works_in_ranges() -> anyhow::Result<bool> {
    kernel_has("make_device_exclusive_range")
}

/// Linux 6.0 put two numbers before HMM_DMIRROR_EXCLUSIVE when it added coherent device memory.
fn exclusive_number() -> anyhow::Result<u32> {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let major = release.split('.').next().and_then(|major| major.parse::<u32>().ok());
    Ok(if major.context("unknown kernel release")? < 6 { 4 } else { 5 })
}

/// The driver of Linux 5.15 registers only a device number, no node.
fn make_node() -> anyhow::Result<()> {
    if fs::exists(DEVICE)? {
        return Ok(());
    }
    let devices = fs::read_to_string("/proc/devices")?;
    let Some(major) = devices.lines().find_map(|line| line.trim().strip_suffix(" HMM_DMIRROR")) else {
        return Ok(());
    };
    let path = std::ffi::CString::new(DEVICE)?;
    let device = libc::makedev(major.trim().parse()?, 0);
    // SAFETY: the path is NUL-terminated and lives during the call.
    check("mknod", unsafe { libc::mknod(path.as_ptr(), libc::S_IFCHR | 0o600, device) }.into())?;
    Ok(())
}
