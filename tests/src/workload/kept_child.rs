//! A child that stands still with what it has mapped, until its parent lets it go on.

use std::io::Error;

use anyhow::{Context, bail, ensure};

use super::system::{check, fork_child, wait_for_success};

/// A stopped child of this process; it is killed when this is dropped.
#[derive(Debug)]
pub(super) struct KeptChild {
    pid: Option<libc::pid_t>,
}

impl KeptChild {
    /// Forks a child that does `before`, stops, and does `after` once it may go on. Returns when it has stopped.
    ///
    /// Only for processes with one thread.
    pub(super) fn fork(
        before: impl FnOnce() -> anyhow::Result<()>,
        after: impl FnOnce() -> anyhow::Result<()>,
    ) -> anyhow::Result<Self> {
        let pid = fork_child(|| {
            before()?;
            // SAFETY: no pointers; the parent lets this process go on.
            check("raise", unsafe { libc::raise(libc::SIGSTOP) }.into())?;
            after()
        })?;
        let child = Self { pid: Some(pid) };
        wait_until_stopped(pid)?;
        Ok(child)
    }

    /// Its process id.
    pub(super) fn pid(&self) -> anyhow::Result<u32> {
        Ok(u32::try_from(self.pid.context("the child is gone")?)?)
    }

    /// Lets the child go on and waits for its end; an error when it did not exit with status 0.
    pub(super) fn finish(mut self) -> anyhow::Result<()> {
        let Some(pid) = self.pid.take() else { bail!("the child is gone") };
        signal(pid, libc::SIGCONT)?;
        wait_for_success(pid)
    }
}

impl Drop for KeptChild {
    fn drop(&mut self) {
        if let Some(pid) = self.pid
            && signal(pid, libc::SIGKILL).is_ok()
        {
            // That it was killed is no news.
            let _ = wait_for_success(pid);
        }
    }
}

fn signal(pid: libc::pid_t, number: i32) -> anyhow::Result<()> {
    // SAFETY: no pointers; the process is our own child, which nobody has waited for.
    check("kill", unsafe { libc::kill(pid, number) }.into()).map(drop)
}

fn wait_until_stopped(pid: libc::pid_t) -> anyhow::Result<()> {
    let mut status = 0;
    // SAFETY: the status word lives during the call.
    while unsafe { libc::waitpid(pid, &raw mut status, libc::WUNTRACED) } < 0 {
        let error = Error::last_os_error();
        ensure!(error.raw_os_error() == Some(libc::EINTR), "waitpid failed: {error}");
    }
    ensure!(libc::WIFSTOPPED(status), "child {pid} ended before it was let go");
    Ok(())
}
