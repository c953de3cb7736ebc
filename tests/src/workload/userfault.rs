//! Write protection through userfaultfd(2): a bit of each page-table entry.

use std::fs::File;
use std::os::fd::{AsRawFd, FromRawFd};

use super::memory::Memory;
use super::system::check;

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
struct Protect {
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

/// Memory whose entries are write-protected until this is dropped. A write meanwhile waits for ever.
#[derive(Debug)]
pub(super) struct WriteProtection {
    _descriptor: File,
}

impl WriteProtection {
    /// Sets the bit in every entry of the memory, present or not. In shared memory an entry that is empty
    /// becomes a marker.
    ///
    /// # Errors
    /// When the kernel has no write protection by userfaultfd (of shared memory: 5.19 on).
    pub(super) fn of(memory: &Memory) -> anyhow::Result<Self> {
        // SAFETY: the flags are an integer.
        let descriptor = unsafe { libc::syscall(libc::SYS_userfaultfd, libc::O_CLOEXEC) };
        let descriptor = i32::try_from(check("userfaultfd", descriptor)?)?;
        // SAFETY: the descriptor is new and nobody else's.
        let file = unsafe { File::from_raw_fd(descriptor) };
        let (start, length) = (memory.address(), memory.length() as u64);
        let mut api = Api { api: UFFD_API, features: UFFD_FEATURE_WP_HUGETLBFS_SHMEM, ioctls: 0 };
        command(&file, "UFFDIO_API", UFFDIO_API, &mut api)?;
        let mut register = Register { start, length, mode: REGISTER_MODE_WP, ioctls: 0 };
        command(&file, "UFFDIO_REGISTER", UFFDIO_REGISTER, &mut register)?;
        let mut protect = Protect { start, length, mode: WRITEPROTECT_MODE_WP };
        command(&file, "UFFDIO_WRITEPROTECT", UFFDIO_WRITEPROTECT, &mut protect)?;
        Ok(Self { _descriptor: file })
    }
}

/// `argument` must be the structure that the number stands for.
fn command<T>(file: &File, name: &str, number: libc::Ioctl, argument: &mut T) -> anyhow::Result<()> {
    // SAFETY: the number holds the size of its structure, which is that of the argument.
    let result = unsafe { libc::ioctl(file.as_raw_fd(), number, std::ptr::from_mut(argument)) };
    check(name, result.into()).map(drop)
}
