//! Everything that a trace has of one page, in order: who, why, what changed, and how long each state lasted.
//!
//! [`PageHistoryCollector`] is the collector; it keeps what is about its [`Target`] and gives a [`PageHistory`], which [`text()`] shows
//! to people and serde to programs. It needs the stream once, so that a pipe will do.
//!
//! A large folio is told of by its head: ask for the head's page frame number. Faults are no events: that a page is
//! mapped again is known when the next event counts its mappings.

mod changes;
mod collect;
mod episodes;
mod history;
mod interpret;
mod kept;
mod target;
#[cfg(test)]
mod tests;
mod text;

pub use collect::PageHistoryCollector;
pub use history::{Change, Entry, Episode, Lost, Moment, PageHistory, Space, State, json};
pub use target::{BadTarget, Target};
pub use text::text;

/// Most entries that are kept from the beginning, and as many from the end.
pub const MOST: usize = 100_000;
