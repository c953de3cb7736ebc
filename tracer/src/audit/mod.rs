//! Special swap entries as they stand now: migration, device-private, device-exclusive and poisoned pages,
//! and markers, in one process or in all.
//!
//! They are read from `/proc/PID/pagemap`, without a probe, so this works where nothing can be attached. A
//! [`TypeTable`] says which of the kernel's swap types means what; a [`Snapshot`] has the entries of one
//! process; [`views`] puts neighbours together.

mod changes;
mod entry;
pub mod json;
mod kinds;
mod page_lock;
mod pagemap;
mod process;
mod scan;
pub mod text;
mod types;
mod view;
mod vma;

pub use changes::difference;
pub use entry::{Entry, EntryRange, Flags, Frames, Kind, merge};
pub use kinds::select_kinds;
pub use page_lock::{Locked, open as open_page_flags};
pub use process::{AuditError, Method, Process, Snapshot, processes};
pub use types::{TypeSources, TypeTable, TypesError};
pub use view::{Change, Totals, View, views};
pub use vma::Vma;
