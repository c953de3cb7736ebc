//! The ring that the programs fill.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use aya::maps::{MapData, RingBuf};

/// The reader's end of the ring.
pub struct Ring {
    ring: RingBuf<MapData>,
}

/// One round takes at most this many records, so that the session looks at its signals and timers again.
pub const ROUND: usize = 1 << 16;

impl Ring {
    /// Takes the map over.
    pub fn new(ring: RingBuf<MapData>) -> Self {
        Self { ring }
    }

    /// A descriptor that polls as readable when a program asked for the reader.
    ///
    /// # Errors
    /// When the process has no descriptor left.
    pub fn descriptor(&self) -> io::Result<OwnedFd> {
        self.ring.as_fd().try_clone_to_owned()
    }

    /// Hands on what waits, up to one round, each record where the program wrote it; its room in the ring is
    /// free again when `take` returns. The result is the number of records taken.
    ///
    /// # Errors
    /// That of `take`, which ends the round.
    pub fn drain<E>(&mut self, mut take: impl FnMut(&[u8]) -> Result<(), E>) -> Result<usize, E> {
        let mut taken = 0;
        while taken < ROUND
            && let Some(record) = self.ring.next()
        {
            taken += 1;
            take(&record)?;
        }
        Ok(taken)
    }
}
