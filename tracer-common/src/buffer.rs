//! The buffers between the programs and their reader: one for each CPU, all in one map that user space has in its memory.
//!
//! A buffer is its [head](CpuBuffer), the records, and a page of slack, so that a record that begins near the end goes on
//! there and is never cut in two. Positions only grow: a record at position `p` begins at byte `p % size` of the records.
//!
//! A program reserves room by moving `reserved` on, in one step that fails when another program on this CPU (in an
//! interrupt, or of a task that took this one's place) was quicker. It fills the record, and last writes the word with
//! the kind, which is 0 until then ([`COMMIT`]). The reader takes records up to the first that is not committed, zeroes
//! what it took, and then moves `taken` on. Nothing here is shared between CPUs, and no cache line is written by both
//! sides for each event.

use crate::counters::Counters;
use crate::event::{Kind, MAX_RECORD_SIZE};

/// What lies before the records of a CPU.
#[repr(C)]
pub struct CpuBuffer {
    /// What the programs count on this CPU.
    pub counters: Counters,
    /// Bytes reserved so far; written by programs.
    pub reserved: u64,
    unused: [u8; TAKEN - size_of::<Counters>() - 8],
    /// Bytes that the reader has given back; written by it. On a cache line of its own.
    pub taken: u64,
    rest: [u8; HEAD_BYTES - TAKEN - 8],
}

/// Bytes before the records.
pub const HEAD_BYTES: usize = 4096;

/// Offset of [`CpuBuffer::taken`]: the last lines of the head, also where two of them are fetched together.
const TAKEN: usize = HEAD_BYTES - 128;

/// Bytes after the records for the end of one that begins before it.
pub const SLACK_BYTES: usize = 4096;

/// The smallest buffer.
pub const SMALLEST: u32 = 4096;

/// Offset in a record of the word that is written last: kind, CPU and stack ([`Header`](crate::event::Header)).
pub const COMMIT: usize = 16;

/// Size of a CPU's value in the map for that many bytes of records, a power of two.
pub const fn value_size(bytes: u32) -> u32 {
    HEAD_BYTES as u32 + bytes + SLACK_BYTES as u32
}

const _: () = {
    assert!(size_of::<CpuBuffer>() == HEAD_BYTES);
    assert!(MAX_RECORD_SIZE <= SLACK_BYTES && MAX_RECORD_SIZE <= SMALLEST as usize / 4);
    // A committed record is told by its kind.
    let mut index = 0;
    while index < Kind::ALL.len() {
        assert!(Kind::ALL[index] as u16 != 0);
        index += 1;
    }
};
