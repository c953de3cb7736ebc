//! The map of buffers in this process's memory.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::{self, NonNull};

/// Shared memory of a descriptor, readable and writable.
pub struct Mapping {
    start: NonNull<u8>,
    length: usize,
}

// SAFETY: the memory is no thread's own; whoever reads it expects others to write.
unsafe impl Send for Mapping {}

impl Mapping {
    /// The first `length` bytes of what the descriptor is about.
    ///
    /// # Errors
    /// Those of `mmap(2)`.
    pub fn new(descriptor: BorrowedFd<'_>, length: usize) -> io::Result<Self> {
        let (access, descriptor) = (libc::PROT_READ | libc::PROT_WRITE, descriptor.as_raw_fd());
        // The pages are there already; without MAP_POPULATE the reader would fault on each of them once, beside the
        // traced work.
        let flags = libc::MAP_SHARED | libc::MAP_POPULATE;
        // SAFETY: a new mapping, at a place that the kernel chooses.
        let start = unsafe { libc::mmap(ptr::null_mut(), length, access, flags, descriptor, 0) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast()).ok_or_else(|| io::Error::other("mapped at address 0"))?;
        Ok(Self { start, length })
    }

    /// Its first byte.
    pub fn start(&self) -> *mut u8 {
        self.start.as_ptr()
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: mapped by `new`, and nobody has a pointer into it any more: those who do own this value.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.length) };
    }
}
