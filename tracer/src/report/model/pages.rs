//! Single pages: which have the most events, and which go back and forth.

use serde::Serialize;

use super::{Top, hexadecimal, optional_hexadecimal};

/// One page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HotPage {
    /// Page frame number.
    #[serde(serialize_with = "hexadecimal")]
    pub pfn: u64,
    /// Its events.
    pub count: u64,
    /// The same by event name, the most first.
    pub events: Vec<(&'static str, u64)>,
    /// Process of its last event, and that thread's name.
    pub pid: u32,
    /// Raw.
    pub comm: String,
    /// Last user address that was named with it.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "optional_hexadecimal")]
    pub address: Option<u64>,
    /// First event.
    pub first: u64,
    /// Last event.
    pub last: u64,
    /// How often it was made device-exclusive again after a CPU had taken it back.
    pub exclusive_returns: u64,
    /// How often it got a migration entry again after one was removed.
    pub migration_returns: u64,
}

/// Single pages.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Pages {
    /// With the most events.
    pub hot: Top<HotPage>,
    /// That went back and forth most often, between device and CPU or between two places.
    pub ping_pong: Top<HotPage>,
}
