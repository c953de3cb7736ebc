//! Events as user space sees them, and the stream that they come in.
//!
//! A live session and a trace file are both a source of [`Item`]s; everything that prints, writes, counts
//! or judges is a [`Sink`] of them. [`Kind::fields`] is the table of what each event has, a [`Decoder`]
//! turns its numbers into [`Value`]s, [`Names`] follows who is who, and a [`Filter`] chooses.

#[cfg(test)]
mod documentation;
mod entry;
mod errno;
mod filter;
mod flags;
mod header_field;
mod item;
mod names;
mod roles;
mod selection;
mod silence;
mod sink;
mod subject;
#[cfg(test)]
pub(crate) mod synthetic;
mod unknown;
mod value;
mod weight;

pub use entry::{Entry, EntryDecoder, EntryState};
pub use errno::errno_name;
pub use filter::Filter;
pub use flags::FlagNames;
pub use header_field::HeaderField;
pub use item::{
    Event, Frame, Item, Loss, LossCause, MalformedRecord, ProcessEntry, StackEntry, Summary, total,
};
pub use names::{Comm, Names, text_of};
pub use roles::{Range, duration_field};
pub(crate) use roles::{Weighing, weighing};
pub use selection::{EventName, Selection, place};
pub use silence::Silence;
pub use sink::{Run, Sink, Tolerated, decoded, malformed};
pub use subject::{Frames, Subject, held};
pub use tracer_common::event::{Body, Field, Header, Kind, Role, Type};
pub use tracer_common::family::Family;
pub use unknown::{UnknownKinds, unknown_kinds};
pub use value::{Decoder, Value};
pub use weight::{Weight, Weights};
