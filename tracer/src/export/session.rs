//! What a recording says about itself, for formats that have only events to say it with.

use std::collections::BTreeMap;

use crate::event::{LossCause, Summary, Value, total};

/// Name of the event that says it.
pub const NAME: &str = "end of the recording";

/// Its fields: what is missing by the session's own sums, which have what was noticed too late for a place in the
/// stream.
pub fn values<'a>(
    summary: Option<&Summary>,
    states_left_out: u64,
    incomplete: Option<&'a str>,
) -> [(&'static str, Value<'a>); 7] {
    let none = Summary::default();
    let summary = summary.unwrap_or(&none);
    let sum = |counts: &BTreeMap<String, u64>| Value::Number(total(counts.values()));
    [
        ("lost", sum(&summary.lost)),
        ("missed", sum(&summary.missed)),
        ("dropped", sum(&summary.dropped)),
        ("unpaired", sum(&summary.unpaired)),
        ("stacks_lost", Value::Number(summary.stacks_lost)),
        ("states_left_out", Value::Number(states_left_out)),
        ("incomplete", incomplete.map_or(Value::Absent, |why| Value::Text(why.into()))),
    ]
}

/// The name of a cause in every output.
pub const fn cause_name(cause: LossCause) -> &'static str {
    match cause {
        LossCause::Lost => "lost",
        LossCause::Missed => "missed",
        LossCause::Dropped => "dropped",
    }
}
