//! What the eBPF programs and user space must agree on, and nothing else.
//!
//! * [`event`]: the one definition of every event; it is the buffers' format and the trace file's.
//! * [`family`]: groups of events that are chosen, counted and lost together.
//! * [`point`]: the probe points, one id for each kernel function or tracepoint that is watched.
//! * [`page`]: from a page to the head of its folio.
//! * [`globals`]: the block of constants that user space resolves and the programs read.
//! * [`copies`]: copies of programs, which run where the kernel skips one.
//! * [`buffer`]: the buffers between programs and reader.
//! * [`counters`]: what the programs count for each CPU.
//! * [`counting`]: what they count instead of making records.
//! * [`self_test`]: the ways to attach, one counter each.
//! * [`glob`]: the process-name pattern that runs in the kernel and is tested in user space.
#![no_std]

pub mod buffer;
pub mod copies;
pub mod counters;
pub mod counting;
pub mod event;
pub mod family;
pub mod glob;
pub mod globals;
pub mod page;
pub mod point;
pub mod self_test;

/// Version of every layout in this crate. Any change to an event, the counters or the globals
/// raises it; a trace file records it.
pub const FORMAT_VERSION: u32 = 2;
