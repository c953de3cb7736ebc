//! The library behind the program `rmapscope`: facts of a kernel, probes on it, sessions, events, trace files,
//! verdicts.

pub mod audit;
pub mod check;
pub mod compare;
pub mod error;
pub mod event;
pub mod export;
pub mod flame;
mod follow;
pub mod inherited;
pub mod kernel;
pub mod open_files;
pub mod output;
pub mod probe;
pub mod report;
pub mod session;
pub mod trace_file;

pub use error::{Error, ExitCode};
