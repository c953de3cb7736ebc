//! What fork cost.

use serde::Serialize;

use super::{Distribution, Top};

/// The forks of one process.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ForkCost {
    /// Process that forked.
    pub pid: u32,
    /// Its name, raw.
    pub comm: String,
    /// Children.
    pub forks: u64,
    /// VMAs copied.
    pub vmas: u64,
    /// Pages that these VMAs span: an upper bound of the pages copied.
    pub pages: u64,
    /// Nanoseconds in `copy_page_range`.
    pub time: u64,
    /// Nanoseconds for each page spanned; `None` when there were none.
    pub time_per_page: Option<f64>,
    /// Exclusive entries that were restored in the parent.
    pub restored: u64,
    /// Copies that failed.
    pub failed: u64,
}

/// Page-table copies at fork.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Fork {
    /// Address spaces copied.
    pub forks: u64,
    /// Everything together, in `pid` 0 without a name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<ForkCost>,
    /// By process, the most time first.
    pub processes: Top<ForkCost>,
    /// Time of a whole fork: the sum over the VMAs of one child.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<Distribution>,
}
