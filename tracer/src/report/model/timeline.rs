//! Events over time.

use serde::Serialize;

/// One interval.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Interval {
    /// Events of each of [`Timeline::events`], in that order.
    pub counts: Vec<u64>,
    /// Events that are known to be missing somewhere in it: a loss is spread over no interval, it counts in the
    /// one in which its stretch begins.
    pub lost: u64,
    /// Pages that were device-exclusive at its end, as far as is certain: what missing events may have ended is not
    /// counted. This and the two below are of the whole stream, whatever the filter.
    pub exclusive: u64,
    /// Migration entries that were in place at its end: set and not removed. Those that were zapped have no event.
    pub migration_entries: u64,
    /// Bytes bounced by all devices together at its end.
    pub bounced: u64,
}

/// Events over time, in intervals of the same length.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Timeline {
    /// Length of an interval in nanoseconds, a power of two times 1024.
    pub interval: u64,
    /// Names of the events that there are.
    pub events: Vec<&'static str>,
    /// The intervals, from the first event on; at most 512.
    pub intervals: Vec<Interval>,
}
