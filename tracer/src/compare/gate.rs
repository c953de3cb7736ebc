//! Budgets: `try_to_unmap.p99 < +10%`, `copy_page_range.p99 < 2ms`, `lost == 0`, `rules.violated == 0`.

mod bounds;
mod judge;
mod parse;

pub(super) use judge::judge;
pub use judge::{GateOutcome, GateResult};
pub use parse::GateError;

use std::fmt;

use super::quantity::Quantity;
use crate::event::Kind;

/// What a budget is about.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Metric {
    /// A quantity of an event.
    Event(Kind, Quantity),
    /// Events for which the ring had no room, in the second side.
    Lost,
    /// Program runs that the kernel skipped, in the second side.
    Missed,
    /// Events that user space dropped, in the second side.
    Dropped,
    /// Calls of which one end was not seen, in the second side.
    Unpaired,
    /// Rules that are violated, in the second side.
    Violated,
    /// Rules that are inconclusive, in the second side.
    Inconclusive,
}

/// How the number has to be to the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `>`
    More,
    /// `>=`
    AtLeast,
    /// `==`
    Equal,
}

impl Relation {
    /// Whether a number keeps the limit.
    pub fn holds(self, number: f64, limit: f64) -> bool {
        match self {
            Self::Less => number < limit,
            Self::AtMost => number <= limit,
            Self::More => number > limit,
            Self::AtLeast => number >= limit,
            // Limits are typed, numbers measured: equal to within what a double keeps.
            Self::Equal => (number - limit).abs() <= f64::EPSILON * limit.abs(),
        }
    }
}

/// What a number is held against.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limit {
    /// The first side, and by this ratio less one more.
    Change(f64),
    /// This number of the second side; nanoseconds where it is a time.
    Number(f64),
}

/// A budget.
#[derive(Clone, Debug, PartialEq)]
pub struct Gate {
    /// As it was given.
    pub text: String,
    /// What it is about.
    pub metric: Metric,
    /// How the number has to be.
    pub relation: Relation,
    /// To what.
    pub limit: Limit,
}

impl fmt::Display for Gate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}
