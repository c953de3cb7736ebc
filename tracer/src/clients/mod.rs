//! Clients of this machine's GPUs and accelerators: who they are, how busy they keep engines, what memory they have.
//!
//! A [`Look`] walks over the open files of processes and reads what drivers print in `/proc/PID/fdinfo`; [`Looks`] walks over
//! no more of them than it must; a [`Tracker`] says what changed from one look to the next. Nothing is attached, and no device is opened: that would be one client
//! more.

mod busyness;
mod device;
mod fdinfo;
pub mod json;
mod key;
mod listed;
mod look;
mod looks;
#[cfg(feature = "metrics")]
mod metrics;
mod nodes;
mod procfs;
mod quantity;
mod same_file;
mod state;
pub mod text;
mod track;

pub use busyness::{EngineHistory, EngineUse, Oddities};
pub use device::Device;
pub use fdinfo::{Engine, Fdinfo, MOST_BYTES, MOST_LETTERS, MOST_NAMES, Memory};
pub use look::{Client, Effort, Holder, Identity, Look, Unread};
pub use looks::Looks;
#[cfg(feature = "metrics")]
pub use metrics::{CONTENT_TYPE, Metrics};
pub use nodes::{DeviceNumber, NodeKind};
pub use state::State;
pub use track::{Seen, Sight, Tracker};
