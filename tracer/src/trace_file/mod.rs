//! The trace file `rmapscope.data`: frames of events, checksummed and compressed, readable anywhere.
