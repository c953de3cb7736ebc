//! A report as data: one structure a section, all of it serializable.
//!
//! Times are nanoseconds; those named `time`, `first`, `last`, `from` and `to` count from the first event of the
//! stream, as in every other output. Names of threads and devices are raw: whoever prints escapes them.
//! Addresses and page frame numbers are hexadecimal strings in JSON, because a JSON number of 64 bits does not
//! survive every reader.

mod device_memory;
mod distribution;
mod exclusive;
mod fork;
mod losses;
mod pages;
mod stacks;
mod swiotlb;
mod table;
mod timeline;
mod top;

pub use device_memory::{
    Actor, DeviceMemory, Migrated, PingPong, PingPongs, RangeFaults, Refused, TakenBack, Way,
};
pub use distribution::{Bucket, Distribution, Quantile, Unit};
pub use exclusive::{Ended, Exclusive, Residency};
pub use fork::{Fork, ForkCost};
pub use losses::{Gap, Losses};
pub use pages::{HotPage, Pages};
pub use stacks::StackTotal;
pub use swiotlb::{Bounce, Coherent, Failure, Pool, PoolLevel};
pub use table::{Group, Key, Row, Table};
pub use timeline::{Interval, Timeline};
pub use top::Top;

use serde::{Serialize, Serializer};

use crate::check::Verdict;
use crate::event::Weights;

/// A trace, summed up.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// What the trace is about (`verdict.subject`), what the rules say of it, the diagnoses, and the probe plan.
    /// Always of the whole trace: a filter narrows the sections below, never the verdict.
    #[serde(serialize_with = "crate::check::formats::json::serialize")]
    pub verdict: Verdict,
    /// The filters that narrow the sections below, as given on the command line; `None` when there are none.
    pub filter: Option<String>,
    /// Nanoseconds from the first to the last event of the stream.
    pub span: u64,
    /// Everything that the filter admits.
    pub total: Weights,
    /// By event.
    pub events: Table,
    /// By process (and its name).
    pub processes: Table,
    /// By device; only swiotlb events have one.
    pub devices: Table,
    /// The table that `--by` asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<Table>,
    /// Time in each probed function, where latency was recorded.
    pub latencies: Vec<Distribution>,
    /// VMAs visited by each reverse-map walk, where `--per-vma` was recorded.
    pub walks: Vec<Distribution>,
    /// Kernel stacks, the most events first.
    pub stacks: Top<StackTotal>,
    /// Single pages.
    pub pages: Pages,
    /// How long pages were device-exclusive, and what ended it.
    pub exclusive: Exclusive,
    /// What fork cost.
    pub fork: Fork,
    /// What moved to devices and back.
    pub device_memory: DeviceMemory,
    /// Bounce buffers, by device and pool.
    pub swiotlb: Vec<Bounce>,
    /// How full each pool was, by all its devices together.
    pub pools: Vec<Pool>,
    /// Events over time.
    pub timeline: Timeline,
    /// What is missing.
    pub losses: Losses,
}

/// A number as `script --json` writes it: hexadecimal in a string.
pub(in crate::report) fn hexadecimal<S: Serializer>(value: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{value:#x}"))
}

/// The same where there may be none.
pub(in crate::report) fn optional_hexadecimal<S: Serializer>(
    value: &Option<u64>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => hexadecimal(value, serializer),
        None => serializer.serialize_none(),
    }
}
