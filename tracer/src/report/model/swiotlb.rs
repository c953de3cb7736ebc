//! Bounce buffers by device and pool.

use serde::Serialize;

use super::{Distribution, hexadecimal, optional_hexadecimal};

/// Mappings that failed for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// `exhausted`, `too large`, `alignment`, `unknown`.
    pub cause: &'static str,
    /// How many.
    pub count: u64,
    /// Largest request among them, in bytes.
    pub largest: u64,
}

/// How full the mappings of a device were over an interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PoolLevel {
    /// Beginning of the interval; it ends where the next one begins.
    pub from: u64,
    /// Most bytes mapped and allocated at one moment of it.
    pub bytes: u64,
    /// Most slots taken at one moment of it.
    pub slots: u64,
}

/// Memory that drivers took from a restricted pool without bouncing (`swiotlb_alloc`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Coherent {
    /// Allocations that were given.
    pub allocations: u64,
    /// Bytes of these.
    pub bytes: u64,
    /// Slots of `IO_TLB_SIZE` that they took.
    pub slots: u64,
    /// Allocations that failed.
    pub failed: u64,
    /// Bytes that were held when the stream ended.
    pub open_bytes: u64,
}

/// How full one pool was, by all devices together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Pool {
    /// `struct io_tlb_mem`.
    #[serde(serialize_with = "hexadecimal")]
    pub pool: u64,
    /// First physical address of the pool.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "optional_hexadecimal")]
    pub pool_start: Option<u64>,
    /// Bytes of the pool.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pool_size: Option<u64>,
    /// Names of the devices that used it, raw, in the order of the section.
    pub devices: Vec<String>,
    /// Most bytes mapped and allocated at one moment, of what the stream saw being taken.
    pub peak_bytes: u64,
    /// Most slots of these.
    pub peak_slots: u64,
    /// Most slots in use that the kernel itself counted, at mappings that failed; what was taken before the recording
    /// began is among them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counted_slots: Option<u64>,
    /// Its level over time, at most as many intervals as the timeline has.
    pub levels: Vec<PoolLevel>,
}

/// What one device bounced through one pool.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Bounce {
    /// Name of the device, raw; its address in hexadecimal where it has none.
    pub device: String,
    /// `struct io_tlb_mem`.
    #[serde(serialize_with = "hexadecimal")]
    pub pool: u64,
    /// First physical address of the pool.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "optional_hexadecimal")]
    pub pool_start: Option<u64>,
    /// Bytes of the pool.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pool_size: Option<u64>,
    /// Whether every mapping of the device must bounce (`force_bounce`, or a restricted pool).
    pub forced: bool,
    /// Mappings that bounced.
    pub mappings: u64,
    /// Bytes of these mappings.
    pub bytes: u64,
    /// Slots of `IO_TLB_SIZE` (2 KiB) that they took.
    pub slots: u64,
    /// Most bytes mapped and allocated at one moment.
    pub peak_bytes: u64,
    /// Most slots taken at one moment.
    pub peak_slots: u64,
    /// Coherent memory out of the pool, which restricted pools give.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coherent: Option<Coherent>,
    /// Bytes that were mapped when the stream ended.
    pub open_bytes: u64,
    /// Mappings that were open when the stream ended.
    pub open: u64,
    /// Bytes copied by syncs.
    pub synced: u64,
    /// Nanoseconds in mapping calls, where latency was recorded.
    pub time: u64,
    /// Mappings that failed, by cause.
    pub failures: Vec<Failure>,
    /// How large mappings were; `event` is `swiotlb_map_single`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sizes: Option<Distribution>,
    /// How long a mapping lived; `event` is `swiotlb_unmap_single`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lifetimes: Option<Distribution>,
    /// Its level over time, at most as many intervals as the timeline has.
    pub levels: Vec<PoolLevel>,
}
