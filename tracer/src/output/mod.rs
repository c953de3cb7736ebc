//! Formatters: a stream of items as text, NDJSON or CSV.
//!
//! [`Printer`] is the sink; it follows the names, filters, and lets a [`Format`] write each item into a
//! buffer. Formats differ only in notation: all of them take the values from the same table and decoder.

mod columns;
mod counts;
mod csv;
mod json;
mod printer;
mod scaled;
mod text;
mod write;

#[cfg(test)]
mod golden;

pub use columns::{Column, column_names};
pub use counts::{Counts, Notation};
pub use csv::Csv;
pub(crate) use csv::quote;
pub use json::{Json, SCHEMA, escape_json, text as json_text};
pub(crate) use json::{line as json_line, member};
pub use printer::{PrintError, Printer, Tally};
pub use scaled::{scaled, three_digits};
pub use text::Text;
pub(crate) use text::write_value;
pub(crate) use write::{decimal, left, right, seconds};

use crate::event::{Decoder, Event, Loss, Names, ProcessEntry, StackEntry, Summary};
use crate::kernel::Description;

/// A field name that no event has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown field `{0}`")]
pub struct UnknownField(pub String);

/// Where the stream comes from.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    /// The kernel that was traced.
    pub description: &'a Description,
    /// When the session began, `CLOCK_MONOTONIC` in nanoseconds; without it the first event's time counts.
    pub start: Option<u64>,
}

/// An event to be written.
#[derive(Clone, Copy)]
pub struct Line<'a> {
    /// The event.
    pub event: &'a Event,
    /// Nanoseconds since the start of the stream.
    pub since_start: u64,
    /// Who is who at this place.
    pub names: &'a Names,
    /// Turns its numbers into values.
    pub decoder: &'a Decoder,
}

/// The time in which events were lost, in nanoseconds since the start of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Not before this.
    pub after: u64,
    /// Not after this; [`u64::MAX`] when that is not known.
    pub before: u64,
}

/// A notation. Everything is appended to `out` in whole lines.
pub trait Format {
    /// What comes before the first item.
    fn begin(&mut self, out: &mut Vec<u8>);

    /// An event.
    fn event(&mut self, line: &Line<'_>, out: &mut Vec<u8>);

    /// Events that are missing here.
    fn loss(&mut self, loss: &Loss, span: Span, out: &mut Vec<u8>);

    /// A thread that lived when the session began.
    fn process(&mut self, _process: &ProcessEntry, _out: &mut Vec<u8>) {}

    /// A stack that later events name.
    fn stack(&mut self, _stack: &StackEntry, _out: &mut Vec<u8>) {}

    /// The session's own end.
    fn summary(&mut self, _summary: &Summary, _out: &mut Vec<u8>) {}

    /// What comes after the last item.
    fn end(&mut self, _out: &mut Vec<u8>) {}
}
