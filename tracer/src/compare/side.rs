//! A run in a few numbers, for the head of every output.

use serde::Serialize;

use super::sample::Run;
use crate::check::Outcome;
use crate::event::{Family, LossCause};

/// One run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Origin {
    /// Where it is from: raw, to be escaped.
    pub name: String,
    /// `uname -r`.
    pub release: String,
    /// Events that are compared.
    pub events: u64,
    /// Nanoseconds that were observed.
    pub duration: u64,
    /// Events for which the ring had no room.
    pub lost: u64,
    /// Program runs that the kernel skipped.
    pub missed: u64,
    /// Events that user space or a damaged file dropped.
    pub dropped: u64,
    /// Calls of which one end was not seen.
    pub unpaired: u64,
    /// Part of each family's events that is missing, at most; families without are left out.
    pub missing: Vec<(&'static str, f64)>,
    /// Why the stream is not whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub incomplete: Option<String>,
    /// Rules that are violated.
    pub violated: usize,
    /// Rules that are inconclusive.
    pub inconclusive: usize,
}

impl Origin {
    /// The numbers of a run.
    pub fn new(run: &Run) -> Self {
        let missing = Family::ALL.into_iter().map(|family| (family.name(), run.missing_part(family)));
        Self {
            name: run.name.clone(),
            release: run.header.kernel.release.clone(),
            events: run.slices.iter().map(|slice| slice.events).sum(),
            duration: run.duration,
            lost: run.missing.of_cause(LossCause::Lost),
            missed: run.missing.of_cause(LossCause::Missed),
            dropped: run.missing.of_cause(LossCause::Dropped),
            unpaired: run.missing.unpaired(),
            missing: missing.filter(|(_, part)| *part > 0.0).collect(),
            incomplete: run.verdict.subject.incomplete.clone(),
            violated: run.verdict.count(Outcome::Violated),
            inconclusive: run.verdict.count(Outcome::Inconclusive),
        }
    }
}
