//! What a trace says when it is summed up: the report, its sections, and the forms that people read.
//!
//! `aggregate::Aggregator` is a sink: one pass over a stream of any length, memory bounded by what is
//! distinct in it, gives a [`Report`](model::Report). Text, JSON and HTML are functions of that report alone.
//!
//! * [`page_history`]: everything of one page, in order.
//! * [`stack`]: kernel stacks without what the tracer itself put on them.
//! * [`model`]: the report as data.

pub mod aggregate;
pub mod html;
pub mod json;
pub mod model;
pub mod page_history;
pub mod stack;
pub mod text;
