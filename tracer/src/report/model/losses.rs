//! What is missing.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::event::LossCause;

/// A stretch of the stream in which events are missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Gap {
    /// How they were lost.
    pub cause: LossCause,
    /// Family, where it is known.
    pub family: Option<&'static str>,
    /// How many; 0 when that is not known.
    pub count: u64,
    /// Not before this.
    pub from: u64,
    /// Not after this; `None` when that is not known.
    pub to: Option<u64>,
}

/// The three losses, by family; families without are left out. Numbers of the losses in the stream, or of the
/// session's own summary where those are larger. Always of the whole stream, whatever the filter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Losses {
    /// The ring was full.
    pub lost: BTreeMap<String, u64>,
    /// The kernel skipped the program.
    pub missed: BTreeMap<String, u64>,
    /// User space could not take them, or the file is damaged.
    pub dropped: BTreeMap<String, u64>,
    /// Function ends without a beginning and the reverse.
    pub unpaired: BTreeMap<String, u64>,
    /// Stacks that the kernel could not store.
    pub stacks_lost: u64,
    /// The first stretches in which events are missing, at most 100.
    pub gaps: Vec<Gap>,
    /// Further ones.
    pub more_gaps: u64,
    /// Why the stream is not whole.
    pub incomplete: Option<String>,
}
