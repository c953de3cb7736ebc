//! What is counted apart.

use crate::event::{Comm, Kind};

/// An event of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// The event.
    pub kind: Kind,
    /// The group.
    pub group: GroupKey,
}

/// A group of events of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum GroupKey {
    /// All of them: nothing tells them apart.
    All,
    /// A process, thread, CPU or stack, or the bytes of a number in the event.
    Number(u64),
    /// A thread's name, filled with NULs; empty when it is not known.
    Name([u8; 16]),
    /// Those for whose groups there was no room.
    Other,
}

impl GroupKey {
    /// The group of a thread's name.
    pub fn of_name(comm: Option<&Comm>) -> Self {
        Self::Name(comm.map_or([0; 16], |comm| *comm.bytes()))
    }
}
