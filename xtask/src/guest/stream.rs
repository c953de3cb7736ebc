//! Output of the guest, kept and passed on as it comes.

use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex, PoisonError};

/// Where output is passed on to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// Only kept.
    Nowhere,
    /// To our standard output.
    Stdout,
    /// To our standard error.
    Stderr,
}

/// Bytes that readers append to and anyone may look at.
#[derive(Clone, Default)]
pub struct Kept(Arc<Mutex<Vec<u8>>>);

impl Kept {
    /// A copy of what came so far.
    pub fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What came so far as text; what is not UTF-8 is replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }

    /// How many bytes came so far.
    pub fn len(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Reads to the end. An output of ours that is closed ends the passing on, not the keeping.
    pub fn fill(&self, mut from: impl Read, pass: Pass) {
        let mut buffer = [0_u8; 8192];
        loop {
            let bytes = match from.read(&mut buffer) {
                Ok(0) => return,
                Ok(count) => &buffer[..count],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                // The other side is gone; what came is kept.
                Err(_) => return,
            };
            self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
            let _ = match pass {
                Pass::Nowhere => Ok(()),
                Pass::Stdout => io::stdout().write_all(bytes).and_then(|()| io::stdout().flush()),
                Pass::Stderr => io::stderr().write_all(bytes),
            };
        }
    }
}
