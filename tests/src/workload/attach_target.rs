//! A process to attach to while it runs.

use std::io::Write;

use anyhow::ensure;
use clap::Args;

use super::fact::Facts;
use super::memory::Memory;

/// Wait for signals: SIGUSR1 locks and unlocks the pages once, SIGTERM ends
#[derive(Args, Clone, Debug)]
pub struct AttachTarget {
    /// Pages to lock and unlock on each SIGUSR1
    #[arg(long, default_value_t = 16)]
    pub pages: usize,
}

impl AttachTarget {
    /// Prints `ready PID` on standard output once signals are taken; states the facts at the end.
    ///
    /// # Errors
    /// When memory cannot be locked or signals cannot be waited for.
    pub fn run(&self, facts: &mut Facts) -> anyhow::Result<()> {
        let memory = Memory::filled(self.pages)?;
        // SAFETY: a signal set is an array of integers; sigemptyset initialises it.
        let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
        // SAFETY: the set lives during the calls; the process has one thread.
        let blocked = unsafe {
            libc::sigemptyset(&raw mut set);
            libc::sigaddset(&raw mut set, libc::SIGUSR1);
            libc::sigaddset(&raw mut set, libc::SIGTERM);
            libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut())
        };
        ensure!(blocked == 0, "sigprocmask failed: {}", std::io::Error::last_os_error());
        let mut output = std::io::stdout();
        writeln!(output, "ready {}", std::process::id())?;
        output.flush()?;

        let mut rounds = 0;
        loop {
            let mut signal = 0;
            // SAFETY: both live during the call.
            let error = unsafe { libc::sigwait(&raw const set, &raw mut signal) };
            ensure!(error == 0, "sigwait failed: {}", std::io::Error::from_raw_os_error(error));
            if signal == libc::SIGTERM {
                break;
            }
            memory.lock()?;
            memory.unlock()?;
            rounds += 1;
        }
        let pages = self.pages as u64 * rounds;
        facts.exactly("mlock_folio", pages)?;
        facts.exactly("munlock_folio", pages)?;
        facts.exactly("mlock_fixup", 2 * rounds)
    }
}
