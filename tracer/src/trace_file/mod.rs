//! The trace file `rmapscope.data`: frames of events, checksummed and compressed, readable anywhere.
//!
//! [`Writer`] makes one, [`Reader`] gives back its [items](crate::event::Item) in the order of the stream
//! and says by its [`Ending`] whether anything is missing. The format is described, precisely enough for
//! another reader, in `docs/trace-file.md`; change both together.
//!
//! * `preamble` and `header`: the start of the file; `frame`: the start of each frame.
//! * `collector`, `records`, `column`, `list`, `bits`: how the records of a frame become small.
//! * `members`: reading records that another version laid out, by the names of their members.
//! * `payload`: a frame's bytes, decoded.
//! * `output`: opening a file so that nothing of value is overwritten; `input`: reading on.
//! * `foreign`: telling which other tool's file this is.

mod bits;
mod collector;
mod column;
#[cfg(test)]
mod documentation;
mod error;
mod foreign;
mod frame;
mod header;
mod input;
mod list;
mod members;
mod options;
mod output;
mod payload;
mod preamble;
mod reader;
mod records;
mod writer;

pub use error::{CreateError, ReadError, WriteError};
pub use header::{Clock, FileHeader, KindLayout};
pub use members::{FieldMeaning, MemberPlace};
pub use options::SessionOptions;
pub use output::Output;
pub use reader::{Ending, Events, Frame, Reader, source};
pub use writer::Writer;
