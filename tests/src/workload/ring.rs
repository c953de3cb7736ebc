//! A process in which the kernel itself runs a thread for a while.

use std::fs;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::thread::sleep;
use std::time::Duration;

use anyhow::ensure;
use clap::Args;

use super::fact::Facts;
use super::memory::Memory;
use super::pageout::page_out;
use super::swap;
use super::system::check;

/// Page out memory, open and close an `io_uring` with a polling thread of the kernel, and page out again: the thread
/// begins without `sched_process_fork` and ends with `sched_process_exit`
#[derive(Args, Clone, Debug)]
pub struct Ring {
    /// Pages that are paged out before, and again after
    #[arg(long, default_value_t = 64)]
    pub pages: usize,
    /// Rings, one after the other
    #[arg(long, default_value_t = 1)]
    pub rings: u32,
}

/// `IORING_SETUP_SQPOLL` (include/uapi/linux/io_uring.h).
const SQPOLL: u32 = 1 << 1;
/// `IORING_REGISTER_BUFFERS` and `IORING_UNREGISTER_BUFFERS`.
const REGISTER_BUFFERS: u32 = 0;
const UNREGISTER_BUFFERS: u32 = 1;
/// Position of `sq_thread_idle` (milliseconds) and of `flags` in `struct io_uring_params`, in words of 4 bytes.
const FLAGS: usize = 2;
const IDLE: usize = 4;
/// Words of the structure.
const PARAMETERS: usize = 30;

impl Ring {
    /// Does the work and states the facts.
    ///
    /// # Errors
    /// When there is no swap or no io_uring, or when the kernel did not page out every page.
    pub fn run(&self, facts: &mut Facts) -> anyhow::Result<()> {
        swap::turn_on(256 << 20)?;
        let memory = Memory::filled(self.pages)?;
        page_out(&memory)?;
        for _ in 0..self.rings {
            let ring = open(SQPOLL)?;
            ensure!(threads()? == 2, "the kernel runs no thread for the ring");
            drop(ring);
            while threads()? > 1 {
                sleep(Duration::from_millis(20));
            }
        }
        memory.fill();
        page_out(&memory)?;
        facts.exactly("try_to_unmap", 2 * self.pages as u64)?;
        memory.check()
    }
}

/// Opens one, with `IORING_SETUP_*` flags.
pub(super) fn open(flags: u32) -> anyhow::Result<OwnedFd> {
    let mut parameters = [0_u32; PARAMETERS];
    (parameters[FLAGS], parameters[IDLE]) = (flags, 10);
    // SAFETY: the structure has the size that the kernel reads and writes.
    let ring = check("io_uring_setup", unsafe {
        libc::syscall(libc::SYS_io_uring_setup, 4, parameters.as_mut_ptr())
    })?;
    // SAFETY: the kernel just made the descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(i32::try_from(ring)?) })
}

/// Registers memory as the ring's only buffer, which pins its pages (`pin_user_pages`, 6.12 io_uring/rsrc.c).
pub(super) fn register(ring: &OwnedFd, (start, length): (*mut u8, usize)) -> anyhow::Result<()> {
    let buffer = libc::iovec { iov_base: start.cast(), iov_len: length };
    ask(ring, REGISTER_BUFFERS, &raw const buffer, 1)
}

/// Lets go of the ring's buffers. When it is closed that happens some time later.
pub(super) fn unregister(ring: &OwnedFd) -> anyhow::Result<()> {
    ask(ring, UNREGISTER_BUFFERS, std::ptr::null(), 0)
}

fn ask(ring: &OwnedFd, operation: u32, buffers: *const libc::iovec, count: u32) -> anyhow::Result<()> {
    // SAFETY: so many buffers are there during the call; what is in them is reached only through raw pointers.
    let result =
        unsafe { libc::syscall(libc::SYS_io_uring_register, ring.as_raw_fd(), operation, buffers, count) };
    check("io_uring_register", result).map(drop)
}

fn threads() -> anyhow::Result<usize> {
    Ok(fs::read_dir("/proc/self/task")?.count())
}
