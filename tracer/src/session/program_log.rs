//! Where the programs' own log goes: stderr, one line a message.

use std::io::Write;

use log::{Log, Metadata, Record};

/// Prints every message; the programs were told at load which ones to send.
pub struct ToStderr;

impl Log for ToStderr {
    fn enabled(&self, _metadata: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        // A closed stderr is no reason to end a session.
        let _ = writeln!(std::io::stderr(), "rmapscope: program: {}", record.args());
    }

    fn flush(&self) {}
}
