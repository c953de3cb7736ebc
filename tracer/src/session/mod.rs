//! Live sessions: programs loaded and attached, records read, losses counted, the traced command run.
//!
//! [`Live::start`] attaches, [`Live::run`] hands everything to a [`Sink`](crate::event::Sink) until the session ends.
//! The parts: [`object`] and [`attach`] bring the programs into the kernel, [`filters`] say whom to watch, [`buffers`],
//! [`counters`], [`counting`], [`missed`] and [`stacks`] read what comes out, [`command`] is the traced command. [`self_test`],
//! [`switches`] and [`silence`] notice attached programs that cannot fire.

mod ask;
mod attach;
mod bell;
mod buffers;
mod calibrate;
pub mod command;
mod costs;
mod counters;
mod counting;
pub mod endings;
mod filters;
mod fold;
pub mod gaps;
mod least_privilege;
mod live;
mod mapping;
mod missed;
mod named_tasks;
mod namespaces;
mod object;
mod prepare;
mod processes;
mod program_log;
mod self_test;
mod silence;
mod stacks;
mod switches;
mod tables;
mod tally;
mod targets;
mod watched;
mod window;

use crate::clock;
pub use crate::clock::now as monotonic_now;
pub use command::Command;
pub use counting::CountingOptions;
pub use filters::Filters;
pub use live::{Ended, Live, Options};
pub use object::cpus;
pub use prepare::prepare;
