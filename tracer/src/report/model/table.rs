//! Events grouped by keys.

use serde::Serialize;

use super::distribution::Quantile;
use crate::event::Weights;

/// What events can be grouped by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Key {
    /// Name of the event.
    Event,
    /// Family of the event.
    Family,
    /// Process id.
    Pid,
    /// Thread id.
    Tid,
    /// Name of the thread.
    Comm,
    /// CPU.
    Cpu,
    /// Device, of swiotlb events.
    Device,
    /// Function that called the probed one, where stacks were recorded.
    Caller,
    /// Result of the call: `ok`, an errno name, `error` where the kernel gives no number, `?`.
    Result,
}

impl Key {
    /// Every one.
    pub const ALL: [Self; 9] = [
        Self::Event,
        Self::Family,
        Self::Pid,
        Self::Tid,
        Self::Comm,
        Self::Cpu,
        Self::Device,
        Self::Caller,
        Self::Result,
    ];

    /// The name on the command line and in every output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::Family => "family",
            Self::Pid => "pid",
            Self::Tid => "tid",
            Self::Comm => "comm",
            Self::Cpu => "cpu",
            Self::Device => "device",
            Self::Caller => "caller",
            Self::Result => "result",
        }
    }
}

/// The value of one key, as text: raw where it is a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Group {
    /// An id or number.
    Number(u64),
    /// A name.
    Name(String),
    /// The event has none.
    None,
}

/// One line of a table.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// One value for each of the table's keys.
    pub group: Vec<Group>,
    /// Sums.
    #[serde(flatten)]
    pub weights: Weights,
    /// Calls whose time was measured.
    pub measured: u64,
    /// Longest of them, in nanoseconds.
    pub max: u64,
    /// Quantiles of their times; empty when nothing was measured or the row came after too many others.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub quantiles: Vec<Quantile>,
}

/// Events grouped by keys, sorted as was asked for.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Table {
    /// The keys.
    pub keys: Vec<Key>,
    /// The lines, cut after `--top`.
    pub rows: Vec<Row>,
    /// Lines before the cut; events for whose keys there was no room are in [`rest`](Self::rest) alone.
    pub distinct: u64,
    /// What the lines that were cut, or that there were too many of to keep, sum up to.
    pub rest: Weights,
}
