//! Live sessions: programs loaded and attached, the ring read, losses counted, the traced command run.

pub mod object;
