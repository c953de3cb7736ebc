//! The kernel's test driver for device memory (lib/test_hmm.c): a device that mirrors a process.

use std::fs::{self, File, OpenOptions};
use std::os::fd::AsRawFd;

use anyhow::{Context, ensure};

use super::memory::{Memory, page_size};
use super::system::{check, is_error, kernel_has};

const DEVICE: &str = "/dev/hmm_dmirror0";

/// The driver works on so many pages at a time (`pages[64]` in `dmirror_exclusive` and `src_pfns[64]` in
/// `dmirror_migrate_to_device`, Linux 5.15 to 6.14).
const CHUNK: usize = 64;

/// To the device the driver moves so many since it has large device pages (PTRS_PER_PTE, 7.3 lib/test_hmm.c).
const HUGE_CHUNK: usize = 512;

/// HMM_DMIRROR_PROT_DEV_PRIVATE_LOCAL and HMM_DMIRROR_PROT_WRITE (lib/test_hmm_uapi.h).
const LOCAL_WRITABLE: u8 = 0x20 | 0x02;

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
    /// HMM_DMIRROR_EXCLUSIVE; HMM_DMIRROR_SNAPSHOT is the one before.
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
        self.make_part_exclusive(memory, 0, memory.pages())
    }

    /// The same for some of its pages.
    pub(super) fn make_part_exclusive(
        &self,
        memory: &Memory,
        first: usize,
        pages: usize,
    ) -> anyhow::Result<()> {
        self.command("HMM_DMIRROR_EXCLUSIVE", self.exclusive_number, memory, first, pages)
    }

    /// Moves all pages to the device's private memory (HMM_DMIRROR_MIGRATE, later _MIGRATE_TO_DEV).
    pub(super) fn migrate_to_device(&self, memory: &Memory) -> anyhow::Result<()> {
        self.command("HMM_DMIRROR_MIGRATE_TO_DEV", 2, memory, 0, memory.pages())
    }

    /// The same for those pages that can go; whether all are there after it. The driver reads them back, up to the first one
    /// that is not there (ENOENT, `dmirror_do_read`).
    pub(super) fn migrate_what_goes(&self, memory: &Memory) -> anyhow::Result<bool> {
        match self.migrate_to_device(memory) {
            Err(error) if is_error(&error, libc::ENOENT) => Ok(false),
            result => result.map(|()| true),
        }
    }

    /// Tells the driver to have no room for the next page that goes there (HMM_DMIRROR_FLAG_FAIL_ALLOC); whether it can do
    /// that (6.19 on).
    pub(super) fn fail_once(&self) -> anyhow::Result<bool> {
        let can_fail = self.takes_huge_pages()?;
        if can_fail {
            self.set_flags(1)?;
        }
        Ok(can_fail)
    }

    /// Reads all pages as the device does, which brings each in (HMM_DMIRROR_READ), and looks at what it read.
    pub(super) fn read(&self, memory: &Memory) -> anyhow::Result<()> {
        let read = self.ask("HMM_DMIRROR_READ", 0, memory, 0, memory.pages())?;
        memory.check_copy(&read)
    }

    /// Asks what is mapped where (HMM_DMIRROR_SNAPSHOT), which must be writable memory of this device.
    pub(super) fn expect_on_device(&self, memory: &Memory) -> anyhow::Result<()> {
        let seen = self.ask("HMM_DMIRROR_SNAPSHOT", self.exclusive_number - 1, memory, 0, memory.pages())?;
        let elsewhere = seen[..memory.pages()].iter().position(|page| *page != LOCAL_WRITABLE);
        ensure!(elsewhere.is_none(), "page {elsewhere:?} is not on the device");
        Ok(())
    }

    /// Whether the driver moves a huge page as one, and asks for the pages of a whole huge page at a time, as it
    /// does since it has large device pages (6.19 on): the same change brought HMM_DMIRROR_FLAGS (7.3
    /// lib/test_hmm_uapi.h). Here it sets a flag that has no meaning; no flag at all is an empty range, which every
    /// version refuses.
    pub(super) fn takes_huge_pages(&self) -> anyhow::Result<bool> {
        const NO_MEANING: u64 = 1 << 8;
        match self.set_flags(NO_MEANING) {
            Err(error) if is_error(&error, libc::EINVAL) => Ok(false),
            Err(error) => Err(error),
            Ok(()) => Ok(true),
        }
    }

    fn set_flags(&self, flags: u64) -> anyhow::Result<()> {
        let mut command = Command { pages: flags, ..Command::default() };
        self.send("HMM_DMIRROR_FLAGS", 8, &mut command)
    }

    /// `migrate_vma_setup` calls that move so many pages to the device, from an address where a huge page can
    /// begin.
    pub(super) fn migrate_calls(&self, pages: usize) -> anyhow::Result<u64> {
        Ok(pages.div_ceil(if self.takes_huge_pages()? { HUGE_CHUNK } else { CHUNK }) as u64)
    }

    fn command(
        &self,
        name: &str,
        number: u32,
        memory: &Memory,
        first: usize,
        pages: usize,
    ) -> anyhow::Result<()> {
        self.ask(name, number, memory, first, pages).map(drop)
    }

    /// The same, with what the driver says of the pages.
    fn ask(
        &self,
        name: &str,
        number: u32,
        memory: &Memory,
        first: usize,
        pages: usize,
    ) -> anyhow::Result<Vec<u8>> {
        ensure!(first + pages <= memory.pages(), "pages {first} to {} do not exist", first + pages);
        let mut copy = vec![0_u8; pages * page_size()];
        let mut command = Command {
            address: memory.address() + (first * page_size()) as u64,
            buffer: copy.as_mut_ptr() as u64,
            pages: pages as u64,
            ..Command::default()
        };
        self.send(name, number, &mut command)?;
        ensure!(command.copied == pages as u64, "{name} took {} of {pages} pages", command.copied);
        Ok(copy)
    }

    /// The buffer of the command must have room for as many pages as it says.
    fn send(&self, name: &str, number: u32, command: &mut Command) -> anyhow::Result<()> {
        // _IOWR('H', number, struct hmm_dmirror_cmd)
        let size = u32::try_from(size_of::<Command>())?;
        let request = 3 << 30 | size << 16 | u32::from(b'H') << 8 | number;
        // SAFETY: the command lives during the call, and its buffer has room for as many pages as it says.
        let result =
            unsafe { libc::ioctl(self.file.as_raw_fd(), request.into(), std::ptr::from_mut(command)) };
        check(name, result.into()).map(drop)
    }
}

/// `hmm_range_fault` calls with which the driver looks at so many pages, at least (`pfns[64]` in `dmirror_fault` and
/// `dmirror_snapshot`, 6.12 lib/test_hmm.c; 7.3 looks at 32 at a time).
pub(super) const fn range_calls(pages: usize) -> u64 {
    pages.div_ceil(CHUNK) as u64
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
