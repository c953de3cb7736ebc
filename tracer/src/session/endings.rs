//! Signals that end a session in order. One that was ignored when the program started stays so: `nohup` relies on it.
//!
//! SIGINT has one exception. A shell without job control ignores it, and SIGQUIT with it, for all that it starts with
//! `&` (POSIX, "Asynchronous Lists"), whether or not anybody wants that; and scripts end a recorder with `kill -INT`.
//! Where both are ignored, SIGINT ends the session.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::{Error, inherited, open_files};

/// Whether somebody wants that a signal ends nothing.
fn is_unwanted(signal: libc::c_int) -> bool {
    let is_ignored = inherited::is_ignored(signal);
    is_ignored && (signal != libc::SIGINT || !inherited::is_ignored(libc::SIGQUIT))
}

/// Signals that are waited for; by default none.
#[derive(Debug, Default)]
pub struct Endings {
    interrupt: Option<Signal>,
    terminate: Option<Signal>,
    hangup: Option<Signal>,
}

impl Endings {
    /// Begins to wait for them. To be called inside of a runtime.
    ///
    /// # Errors
    /// When the runtime cannot wait.
    pub fn listen() -> io::Result<Self> {
        let wanted = |kind: SignalKind| (!is_unwanted(kind.as_raw_value())).then(|| signal(kind)).transpose();
        Ok(Self {
            interrupt: wanted(SignalKind::interrupt())?,
            terminate: wanted(SignalKind::terminate())?,
            hangup: wanted(SignalKind::hangup())?,
        })
    }

    /// The name of the next that comes.
    pub async fn next(&mut self) -> &'static str {
        tokio::select! {
            () = come(&mut self.interrupt) => "SIGINT",
            () = come(&mut self.terminate) => "SIGTERM",
            () = come(&mut self.hangup) => "SIGHUP",
        }
    }

    /// Lets a second SIGINT or SIGTERM end the program at once.
    pub fn give_up(&self) {
        for (number, listened) in [(libc::SIGINT, &self.interrupt), (libc::SIGTERM, &self.terminate)] {
            if listened.is_some() {
                // SAFETY: only puts the kernel's default back.
                unsafe { libc::signal(number, libc::SIG_DFL) };
            }
        }
    }
}

/// Why whoever waits for signals or events cannot.
pub fn cannot_wait(error: io::Error) -> Error {
    let remedy = open_files::remedy(&error, "this is a bug in rmapscope; please report it");
    Error::failure(format!("cannot wait for events: {error}"), remedy)
}

async fn come(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => _ = signal.recv().await,
        None => std::future::pending().await,
    }
}

/// How somebody ends a session that has no end of its own, for the line that says that it runs.
pub fn how_to_end() -> &'static str {
    if !is_unwanted(libc::SIGINT) {
        "Ctrl-C ends"
    } else if !is_unwanted(libc::SIGTERM) {
        "SIGTERM ends, SIGINT is ignored"
    } else {
        "SIGINT and SIGTERM are ignored, --duration ends"
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt;
    use std::time::Duration;

    use super::*;

    /// Of all tests, this one alone has to do with SIGHUP.
    #[test]
    fn a_signal_that_was_ignored_ends_nothing() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let raise = || {
                // SAFETY: raises a signal that is ignored or listened to.
                unsafe { libc::kill(libc::getpid(), libc::SIGHUP) };
            };
            // SAFETY: ignores a signal that no other test uses.
            unsafe { libc::signal(libc::SIGHUP, libc::SIG_IGN) };
            let mut deaf = Endings::listen().expect("it can wait");
            raise();
            assert!(tokio::time::timeout(Duration::from_millis(100), deaf.next()).await.is_err());
            assert!(inherited::is_ignored(libc::SIGHUP));
            // SAFETY: as above.
            unsafe { libc::signal(libc::SIGHUP, libc::SIG_DFL) };
            let mut listening = Endings::listen().expect("it can wait");
            raise();
            assert_eq!(listening.next().await, "SIGHUP");
        });
    }

    #[test]
    fn what_shells_start_in_the_background_is_ended_by_sigint() {
        let program = std::env::current_exe().expect("this test has a file");
        let run = |signals: &str| {
            let test = "session::endings::tests::tells_whether_sigint_ends";
            let line = format!("trap '' {signals}; exec '{}' --ignored --exact {test}", program.display());
            let mut shell = std::process::Command::new("sh");
            shell.args(["-c", &line]);
            // Whoever runs this test in the background had some of them ignored already.
            let reset = || {
                for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT] {
                    // SAFETY: signal(2) may be called between fork and exec.
                    unsafe { libc::signal(signal, libc::SIG_DFL) };
                }
                Ok(())
            };
            // SAFETY: as above; the closure does nothing else.
            unsafe { shell.pre_exec(reset) };
            // Its report is not one of this run's.
            shell.output().expect("a shell runs").status.success()
        };
        assert!(run("HUP") && run("INT QUIT"));
        assert!(!run("INT"));
    }

    #[test]
    #[ignore = "run by another test, with signals that are ignored"]
    fn tells_whether_sigint_ends() {
        assert!(!is_unwanted(libc::SIGINT));
    }
}
