//! From the stream to the report, in one pass.

mod histogram;
mod top;

use crate::event::Filter;
use crate::report::model::Key;
use crate::report::weight::Weight;

/// What a report is to have.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The events that the sections are made of; the verdict is always of all.
    pub filter: Filter,
    /// The filter as it was given on the command line, `None` when there is none.
    pub filter_text: Option<String>,
    /// Lines of each table.
    pub top: usize,
    /// What tables are sorted by.
    pub sort: Weight,
    /// Keys of the additional table; empty for none.
    pub by: Vec<Key>,
    /// The rules to judge by.
    pub rules: crate::check::Options,
}
