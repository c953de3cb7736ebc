//! The largest of many.

use serde::Serialize;

/// The largest entries of a set that may be larger than what is kept of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Top<T> {
    /// The largest, the largest first.
    pub entries: Vec<T>,
    /// How many different ones there were; a lower bound when [`exact`](Self::exact) is false.
    pub distinct: u64,
    /// Whether every one was counted on its own. When there were too many, counts of the entries are upper
    /// bounds, each too high by at most [`error`](Self::error).
    pub exact: bool,
    /// Most that an entry's count can be too high by.
    pub error: u64,
}

impl<T> Default for Top<T> {
    fn default() -> Self {
        Self { entries: Vec::new(), distinct: 0, exact: true, error: 0 }
    }
}
