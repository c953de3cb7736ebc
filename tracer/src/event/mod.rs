//! Events as user space sees them, and the stream that they come in.
//!
//! A live session and a trace file are both a source of [`Item`]s; everything that prints, writes, counts
//! or judges is a [`Sink`] of them.

mod item;

pub use item::{
    Event, Frame, Item, Loss, LossCause, MalformedRecord, ProcessEntry, Sink, StackEntry, Summary,
};
pub use tracer_common::event::{Body, Header, Kind};
pub use tracer_common::family::Family;
