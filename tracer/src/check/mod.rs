//! The kernel's own rules, judged on a stream of events.

pub mod formats;
mod verdict;

pub use verdict::{Actor, Diagnosis, Earlier, Evidence, Outcome, RuleVerdict, Severity, Subject, Verdict};
