//! Counts, sums and histograms of events, live or from a file.
//!
//! A [`Question`] says what is counted and how it is grouped. The programs of a live session add to tables in the kernel
//! ([`tracer_common::counting`]) and send no record of what they count; a [`Counter`] is the sink that takes what they
//! counted ([`Reading`]), and counts the records of a file by the same question. [`Shown`] is how it is shown.

mod cell;
mod counter;
mod counts;
mod csv;
mod json;
mod key;
mod question;
mod row;
mod shown;
mod table;
pub(crate) mod text;

#[cfg(test)]
mod tests;

pub use cell::{Cell, QUANTILE_ERROR};
pub use counter::Counter;
pub use counts::{Counts, Losses};
pub use key::{GroupKey, Key};
pub use question::{By, Of, Question};
pub use row::Label;
pub use shown::Shown;

/// What the programs of a session counted since it began.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// Nanoseconds since every probe was attached.
    pub at: u64,
    /// An interval ends here.
    pub ends_interval: bool,
    /// Every group that was seen. The same may be there several times, of several CPUs.
    pub counted: Vec<(Key, Cell)>,
    /// What is missing so far; told where an interval ends.
    pub missing: Option<Missing>,
}

/// What is missing from counts while the session goes on, beside what the stream says itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Missing {
    /// Calls for which the kernel skipped the programs. One that a copy of the program is just about to see is among them
    /// for the moment.
    pub missed: u64,
    /// Calls of which only one end was seen.
    pub unpaired: u64,
    /// Stacks that the kernel could not keep.
    pub stacks: u64,
}
