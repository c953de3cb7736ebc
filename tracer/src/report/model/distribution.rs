//! How measured values are spread.

use serde::Serialize;

/// What the values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// Time.
    Nanoseconds,
    /// VMAs visited.
    Vmas,
    /// Bytes.
    Bytes,
}

/// One quantile.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Quantile {
    /// Between 0 and 1.
    pub quantile: f64,
    /// The value that this part of all values does not exceed, to within the histogram's precision of 1 %.
    pub value: u64,
}

/// One bar of a histogram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Bucket {
    /// Smallest value in it.
    pub from: u64,
    /// Largest value in it.
    pub to: u64,
    /// How many values.
    pub count: u64,
}

/// How the values of one event are spread.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Distribution {
    /// Name of the event.
    pub event: &'static str,
    /// What the values are.
    pub unit: Unit,
    /// How many.
    pub count: u64,
    /// Their sum.
    pub sum: u64,
    /// Smallest.
    pub min: u64,
    /// Largest.
    pub max: u64,
    /// 0.5, 0.9, 0.99, 0.999.
    pub quantiles: Vec<Quantile>,
    /// Bars whose borders are powers of two, from the first to the last that is not empty.
    pub buckets: Vec<Bucket>,
}
