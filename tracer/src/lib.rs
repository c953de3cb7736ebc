//! The library behind the program `rmapscope`: facts of a kernel, probes on it, sessions, events, trace files,
//! verdicts.
#![cfg_attr(
    not(feature = "reports"),
    allow(dead_code, unused_imports, reason = "some of it is for reports alone")
)]

pub mod audit;
pub mod check;
pub mod clients;
mod clock;
#[cfg(feature = "reports")]
pub mod compare;
pub mod error;
pub mod escape;
pub mod event;
#[cfg(feature = "reports")]
pub mod export;
#[cfg(feature = "reports")]
pub mod flame;
mod follow;
#[cfg(test)]
#[path = "../tests/golden_common/mod.rs"]
mod golden_common;
pub mod inherited;
pub mod kernel;
pub mod open_files;
pub mod output;
pub mod overhead;
pub mod probe;
#[cfg(feature = "reports")]
pub mod report;
pub mod session;
pub mod stat;
pub mod suggest;
#[cfg(feature = "top")]
pub mod top;
pub mod trace_file;

pub use error::{Error, ExitCode};
