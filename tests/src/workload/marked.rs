//! Entries without a page: markers of userfaultfd write protection; and poisoned pages.

use std::fs::File;
use std::os::fd::{AsRawFd, FromRawFd};
use std::time::Duration;

use anyhow::ensure;
use clap::Args;

use super::fact::Facts;
use super::memory::{Memory, PAGE_SIZE};
use super::system::check;

/// Write-protect pages of shared memory that were never touched, through userfaultfd
#[derive(Args, Clone, Debug)]
pub struct Marked {
    /// Pages to mark
    #[arg(long, default_value_t = 16)]
    pub pages: usize,
    /// Pages to poison, for good: each costs the machine a page of memory
    #[arg(long, default_value_t = 0)]
    pub poison: usize,
    /// Seconds to keep the entries
    #[arg(long, default_value_t = 0)]
    pub hold: u64,
}

/// `struct uffdio_api` (include/uapi/linux/userfaultfd.h).
#[repr(C)]
struct Api {
    api: u64,
    features: u64,
    ioctls: u64,
}

/// `struct uffdio_register`.
#[repr(C)]
struct Register {
    start: u64,
    length: u64,
    mode: u64,
    ioctls: u64,
}

/// `struct uffdio_writeprotect`.
#[repr(C)]
struct WriteProtect {
    start: u64,
    length: u64,
    mode: u64,
}

const UFFD_API: u64 = 0xaa;
const UFFD_FEATURE_WP_HUGETLBFS_SHMEM: u64 = 1 << 12;
const UFFDIO_API: libc::Ioctl = 0xc018_aa3f_u32 as libc::Ioctl;
const UFFDIO_REGISTER: libc::Ioctl = 0xc020_aa00_u32 as libc::Ioctl;
const UFFDIO_WRITEPROTECT: libc::Ioctl = 0xc018_aa06_u32 as libc::Ioctl;
/// UFFDIO_REGISTER_MODE_WP.
const REGISTER_MODE_WP: u64 = 1 << 1;
/// UFFDIO_WRITEPROTECT_MODE_WP.
const WRITEPROTECT_MODE_WP: u64 = 1;

impl Marked {
    /// Does the work; there is no event to state, only the poisoned pages.
    ///
    /// # Errors
    /// When the kernel has no write protection of shared memory by userfaultfd (5.19 on), or refuses to poison.
    pub fn run(&self, facts: &mut Facts) -> anyhow::Result<()> {
        let length = self.pages * PAGE_SIZE;
        let (protection, flags) =
            (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
        // SAFETY: a new mapping; nothing is at its address.
        let shared = unsafe { libc::mmap(std::ptr::null_mut(), length, protection, flags, -1, 0) };
        ensure!(shared != libc::MAP_FAILED, "mmap failed: {}", std::io::Error::last_os_error());
        let _descriptor = write_protect(shared as u64, length as u64)?;
        let poisoned = (self.poison > 0).then(|| Memory::filled(self.poison)).transpose()?;
        if let Some(memory) = &poisoned {
            facts.pages(memory.page_list()?)?;
            memory.advise(libc::MADV_HWPOISON)?;
        }
        std::thread::sleep(Duration::from_secs(self.hold));
        Ok(())
    }
}

/// Installs a marker for each page; they stay as long as the descriptor is open.
fn write_protect(start: u64, length: u64) -> anyhow::Result<File> {
    // SAFETY: the flags are an integer.
    let descriptor = unsafe { libc::syscall(libc::SYS_userfaultfd, libc::O_CLOEXEC) };
    let descriptor = i32::try_from(check("userfaultfd", descriptor)?)?;
    // SAFETY: the descriptor is new and nobody else's.
    let file = unsafe { File::from_raw_fd(descriptor) };
    let mut api = Api { api: UFFD_API, features: UFFD_FEATURE_WP_HUGETLBFS_SHMEM, ioctls: 0 };
    command(&file, "UFFDIO_API", UFFDIO_API, &mut api)?;
    let mut register = Register { start, length, mode: REGISTER_MODE_WP, ioctls: 0 };
    command(&file, "UFFDIO_REGISTER", UFFDIO_REGISTER, &mut register)?;
    let mut protect = WriteProtect { start, length, mode: WRITEPROTECT_MODE_WP };
    command(&file, "UFFDIO_WRITEPROTECT", UFFDIO_WRITEPROTECT, &mut protect)?;
    Ok(file)
}

/// `argument` must be the structure that the number stands for.
fn command<T>(file: &File, name: &str, number: libc::Ioctl, argument: &mut T) -> anyhow::Result<()> {
    // SAFETY: the number holds the size of its structure, which is that of the argument.
    let result = unsafe { libc::ioctl(file.as_raw_fd(), number, std::ptr::from_mut(argument)) };
    check(name, result.into()).map(drop)
}
