//! Who may use the device at the same time.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use super::super::system::check;

/// Turns of processes at the device: many at a time, or one alone.
///
/// 7.3.4 does not survive that a process closes the device, which takes the pages of all processes back, while
/// another one's huge pages are there or come back: `folio_lruvec_lock_irqsave` (mm/memcontrol.c) never ends then. It
/// waits until the folio's memory cgroup is the list's. Without a tracer, four loops of `huge device` and `hmm-migrate`
/// got there within 10 s.
pub(super) struct Turns {
    /// Held while one waits for its turn, so that those who come together do not keep one away that wants to be alone.
    queue: OwnedFd,
    users: OwnedFd,
}

impl Turns {
    pub(super) fn new() -> anyhow::Result<Self> {
        Ok(Self { queue: memory_file()?, users: memory_file()? })
    }

    /// A turn that others may share; it ends when the result is dropped, and with the process.
    pub(super) fn together(&self) -> io::Result<File> {
        self.turn(File::lock_shared)
    }

    /// A turn that nobody else shares.
    pub(super) fn alone(&self) -> io::Result<File> {
        self.turn(File::lock)
    }

    fn turn(&self, lock: fn(&File) -> io::Result<()>) -> io::Result<File> {
        let queue = opened_again(&self.queue)?;
        queue.lock()?;
        let users = opened_again(&self.users)?;
        lock(&users)?;
        Ok(users)
    }
}

fn memory_file() -> anyhow::Result<OwnedFd> {
    // SAFETY: the name is a string that ends with a NUL and lives during the call.
    let file = check("memfd_create", unsafe { libc::memfd_create(c"turns".as_ptr(), 0) }.into())?;
    // SAFETY: the kernel just opened it for us, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(i32::try_from(file)?) })
}

/// The same file with a lock of its own: a forked process shares what its parent opened, and its locks.
fn opened_again(file: &OwnedFd) -> io::Result<File> {
    File::options().read(true).write(true).open(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_alone_and_many_are_together() {
        let turns = Turns::new().unwrap();
        let first = turns.together().unwrap();
        let second = turns.together().unwrap();
        assert!(opened_again(&turns.users).unwrap().try_lock().is_err());
        drop((first, second));
        let alone = turns.alone().unwrap();
        assert!(opened_again(&turns.users).unwrap().try_lock_shared().is_err());
        drop(alone);
        turns.together().unwrap();
    }
}
