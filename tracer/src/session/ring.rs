//! The ring that the programs fill.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

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

impl AsFd for Ring {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.ring.as_fd()
    }
}

impl AsRawFd for Ring {
    fn as_raw_fd(&self) -> RawFd {
        self.ring.as_raw_fd()
    }
}
