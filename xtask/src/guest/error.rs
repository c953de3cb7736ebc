//! Why a guest gave no status.

use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

/// A guest that could not be started, or that ended without its command's status.
#[derive(Debug, Error)]
pub enum GuestError {
    /// virtme-ng is not installed.
    #[error("virtme-ng is not installed: {} does not exist\nremedy: cargo xtask setup", .0.display())]
    NoVng(PathBuf),
    /// QEMU is not installed.
    #[error("QEMU is not installed: there is no {0}\nremedy: cargo xtask setup")]
    NoQemu(&'static str),
    /// The kernel image does not exist.
    #[error("no kernel image at {}\nremedy: cargo xtask setup, or --kernel with the path of a bzImage", .0.display())]
    NoKernel(PathBuf),
    /// An option makes no sense.
    #[error("{0}")]
    Option(String),
    /// This machine refused something.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// The refusal.
        source: std::io::Error,
    },
    /// The kernel panicked.
    #[error("the guest's kernel panicked: {line}\nfrom its first complaint:\n{tail}")]
    Panic {
        /// The line of the panic.
        line: String,
        /// The console from the first complaint on.
        tail: String,
        /// The whole console.
        console: String,
    },
    /// The guest did not come to its command.
    #[error("the guest did not boot within {} s and was stopped\nits kernel's last lines:\n{tail}", after.as_secs())]
    NotBooted {
        /// The limit.
        after: Duration,
        /// End of the console.
        tail: String,
        /// The whole console.
        console: String,
    },
    /// The guest did not end in time.
    #[error(
        "the guest did not end within {} s and was stopped{hint}\nits kernel's last lines:\n{tail}",
        after.as_secs()
    )]
    Timeout {
        /// The limit.
        after: Duration,
        /// What the console says about it, if anything.
        hint: String,
        /// End of the console.
        tail: String,
        /// The whole console.
        console: String,
    },
    /// The guest ended, and its command left no status.
    #[error(
        "the guest ended without the status of its command (powered off, or did not boot)\nits last lines:\n{tail}"
    )]
    NoStatus {
        /// End of the console and of virtme-ng's messages.
        tail: String,
        /// The whole console.
        console: String,
    },
}

impl GuestError {
    pub(super) fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }

    /// The guest's whole console, of a guest that had one.
    pub fn console(&self) -> Option<&str> {
        match self {
            Self::Panic { console, .. }
            | Self::NotBooted { console, .. }
            | Self::Timeout { console, .. }
            | Self::NoStatus { console, .. } => Some(console),
            Self::NoVng(_) | Self::NoQemu(_) | Self::NoKernel(_) | Self::Option(_) | Self::Io { .. } => None,
        }
    }
}
