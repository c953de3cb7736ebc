//! The few system calls that the standard library does not have.

use std::fs::File;
use std::io::{BufRead, BufReader, Error, PipeReader, PipeWriter};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::process::Command;

use anyhow::{Context, bail, ensure};

/// Turns the result of a system call into an error that names the call.
pub(super) fn check(call: &str, result: libc::c_long) -> anyhow::Result<libc::c_long> {
    if result < 0 {
        return Err(Error::last_os_error()).with_context(|| format!("{call} failed"));
    }
    Ok(result)
}

/// Whether the error comes from a system call that failed with this number.
pub(super) fn is_error(error: &anyhow::Error, number: i32) -> bool {
    error.downcast_ref::<Error>().and_then(Error::raw_os_error) == Some(number)
}

/// Keeps the calling thread on the CPU that it runs on.
///
/// Freshly faulted pages wait in a batch of the CPU before they are on an LRU list (mm/swap.c), and
/// `madvise(2)` only drains the batch of the CPU that it runs on. Pages left in the batch of another CPU
/// would be passed over by MADV_PAGEOUT.
///
/// # Errors
/// When the kernel refuses.
pub fn pin_to_current_cpu() -> anyhow::Result<()> {
    // SAFETY: no arguments.
    let cpu = check("sched_getcpu", unsafe { libc::sched_getcpu() }.into())?;
    // SAFETY: a CPU set is an array of integers; all zeros is the empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: the set is initialised, and the CPU number comes from the kernel.
    unsafe { libc::CPU_SET(usize::try_from(cpu)?, &mut set) };
    // SAFETY: the set lives during the call and its size is given.
    let result = unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set) };
    check("sched_setaffinity", result.into())?;
    Ok(())
}

/// Forks; the child runs `work`, prints its error if there is one, and ends at once, without destructors or
/// exit handlers, with status 0 or 1. The child shares the parent's open files.
///
/// Only for processes with one thread.
#[expect(clippy::print_stderr, reason = "the child's error ends here")]
pub(super) fn fork_child(work: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<libc::pid_t> {
    // SAFETY: the process has one thread, so the child may do whatever the parent may.
    let pid = check("fork", unsafe { libc::fork() }.into())?;
    if pid == 0 {
        let result = work();
        if let Err(error) = &result {
            eprintln!("child {}: {error:#}", std::process::id());
        }
        // SAFETY: ends the child; nothing runs after it.
        unsafe { libc::_exit(i32::from(result.is_err())) };
    }
    Ok(libc::pid_t::try_from(pid)?)
}

/// A command that runs this program again; by its path, because the kernel names a process after that.
pub(super) fn this_program() -> anyhow::Result<Command> {
    Ok(Command::new(std::env::current_exe().context("cannot find the path of this program")?))
}

/// Waits for the end of a child; an error when it did not exit with status 0.
pub(super) fn wait_for_success(pid: libc::pid_t) -> anyhow::Result<()> {
    let mut status = 0;
    loop {
        // SAFETY: the status word lives during the call.
        if unsafe { libc::waitpid(pid, &raw mut status, 0) } >= 0 {
            break;
        }
        let error = Error::last_os_error();
        ensure!(error.raw_os_error() == Some(libc::EINTR), "waitpid failed: {error}");
    }
    if libc::WIFSIGNALED(status) {
        bail!("child {pid} was killed by signal {}", libc::WTERMSIG(status));
    }
    ensure!(libc::WEXITSTATUS(status) == 0, "child {pid} ended with status {}", libc::WEXITSTATUS(status));
    Ok(())
}

/// A file in shmem of so many bytes, without a name; its pages are small unless the administrator asked for huge ones.
pub(super) fn file_in_memory(bytes: usize) -> anyhow::Result<OwnedFd> {
    // SAFETY: the name is NUL-terminated.
    let file = check("memfd_create", unsafe { libc::memfd_create(c"rmapscope".as_ptr(), 0) }.into())?;
    // SAFETY: a new descriptor that nobody else has.
    let file = unsafe { OwnedFd::from_raw_fd(i32::try_from(file)?) };
    let bytes = libc::off_t::try_from(bytes)?;
    // SAFETY: no pointers.
    check("ftruncate", unsafe { libc::ftruncate(file.as_raw_fd(), bytes) }.into())?;
    Ok(file)
}

/// A pipe in which memory is, as it is: it holds a reference of each page, which is no pin (`get_user_pages`, not
/// `pin_user_pages`; vmsplice, 6.12 fs/splice.c).
pub(super) fn pipe_with((start, length): (*mut u8, usize)) -> anyhow::Result<(PipeReader, PipeWriter)> {
    let pipe = std::io::pipe()?;
    let buffer = libc::iovec { iov_base: start.cast(), iov_len: length };
    // SAFETY: the buffer's memory is mapped during the call, and reached only through raw pointers.
    let moved = unsafe { libc::vmsplice(pipe.1.as_raw_fd(), &raw const buffer, 1, libc::SPLICE_F_NONBLOCK) };
    let moved = check("vmsplice", moved.try_into()?)?;
    ensure!(usize::try_from(moved)? == length, "{moved} of {length} bytes are in the pipe");
    Ok(pipe)
}

/// Gives up the clean pages of files.
pub(super) fn drop_page_cache() -> anyhow::Result<()> {
    let path = "/proc/sys/vm/drop_caches";
    std::fs::write(path, "1").with_context(|| format!("cannot write {path}"))
}

/// Compacts all memory: moves pages together so that large free blocks come to be.
pub(super) fn compact_memory() -> anyhow::Result<()> {
    let path = "/proc/sys/vm/compact_memory";
    std::fs::write(path, "1").with_context(|| format!("cannot write {path}"))
}

/// The same from a process of its own, whose moves are not counted as this one's; it is spawned without a copy of this
/// one's memory.
pub(super) fn compact_memory_elsewhere() -> anyhow::Result<()> {
    let status = Command::new("sh")
        .args(["-c", "echo 1 >/proc/sys/vm/compact_memory"])
        .status()
        .context("cannot run sh to compact memory")?;
    ensure!(status.success(), "the shell that compacts memory ended with {status}");
    Ok(())
}

/// Whether the running kernel has a function or variable of that name. The names in /proc/kallsyms can be
/// read without privilege.
pub(super) fn kernel_has(symbol: &str) -> anyhow::Result<bool> {
    let reader = BufReader::new(File::open("/proc/kallsyms").context("cannot open /proc/kallsyms")?);
    for line in reader.lines() {
        if line?.split_ascii_whitespace().nth(2) == Some(symbol) {
            return Ok(true);
        }
    }
    Ok(false)
}
