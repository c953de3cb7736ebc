//! What a program rings when much waits in a buffer.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use aya::maps::{MapData, RingBuf};

/// The reader's end of it.
pub struct Bell {
    ring: RingBuf<MapData>,
}

impl Bell {
    /// Takes the map over.
    pub fn new(ring: RingBuf<MapData>) -> Self {
        Self { ring }
    }

    /// A descriptor that polls as readable when it was rung.
    ///
    /// # Errors
    /// When the process has no descriptor left.
    pub fn descriptor(&self) -> io::Result<OwnedFd> {
        self.ring.as_fd().try_clone_to_owned()
    }

    /// Makes it ring again the next time.
    pub fn silence(&mut self) {
        while self.ring.next().is_some() {}
    }
}
