//! The ring that the programs fill.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use aya::maps::{MapData, RingBuf};
use bytes::BytesMut;

/// The reader's end of the ring.
pub struct Ring {
    ring: RingBuf<MapData>,
    /// Records of one round, one after the other.
    batch: BytesMut,
}

/// One round takes at most this many bytes, so that the session looks at its signals and timers again.
const ROUND: usize = 1 << 20;

impl Ring {
    /// Takes the map over.
    pub fn new(ring: RingBuf<MapData>) -> Self {
        Self { ring, batch: BytesMut::with_capacity(ROUND + (4 << 10)) }
    }

    /// A descriptor that polls as readable when a program asked for the reader.
    ///
    /// # Errors
    /// When the process has no descriptor left.
    pub fn descriptor(&self) -> io::Result<OwnedFd> {
        self.ring.as_fd().try_clone_to_owned()
    }

    /// Takes what waits, up to one round. The slice holds whole records one after the other; it is empty
    /// when nothing waits.
    pub fn take(&mut self) -> &[u8] {
        self.batch.clear();
        while self.batch.len() < ROUND
            && let Some(record) = self.ring.next()
        {
            self.batch.extend_from_slice(&record);
        }
        &self.batch
    }
}
