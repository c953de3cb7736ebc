//! A live screen of what the programs of a session count: rates and latencies, by whatever counts can be grouped by.
//!
//! A [`Sampler`] is the sink of a session that [counts](crate::stat); it hands a [`Sample`] on at the end of each
//! interval. The [`Model`] keeps what is to be seen: rows, their order, what is typed. [`keys`] changes it, [`screen`]
//! draws it; neither knows a terminal. What is counted is fixed in the programs of a session, so another [`View`] is
//! another session.

mod details;
pub mod keys;
mod menu;
mod model;
mod number;
mod order;
mod sample;
pub mod screen;
mod table;
mod view;

#[cfg(test)]
mod tests;

pub use menu::Menu;
pub use model::{Mode, Model, State};
pub use order::Column;
pub use sample::{Row, Sample, Sampler, Stop};
pub use view::{Task, View};
