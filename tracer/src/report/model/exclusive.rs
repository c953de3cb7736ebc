//! How long pages were device-exclusive.

use serde::Serialize;

use super::Distribution;

/// What ended an exclusive entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// A CPU accessed it: `do_swap_page`, `remove_device_exclusive_entry`.
    Fault,
    /// fork restored it in the parent before the copy.
    Fork,
    /// Something else restored it, such as mprotect or GUP.
    Restored,
    /// Reclaim or migration unmapped it.
    Unmapped,
    /// munmap, exit or truncation zapped it.
    Zapped,
    /// Made exclusive once more while it was.
    Again,
    /// Still exclusive when the stream ended.
    Open,
    /// Its end was not seen, for example because events were lost.
    Unseen,
}

impl Ended {
    /// For people and as key.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fault => "CPU access",
            Self::Fork => "fork",
            Self::Restored => "restored otherwise",
            Self::Unmapped => "unmapped by reclaim or migration",
            Self::Zapped => "zapped",
            Self::Again => "made exclusive again",
            Self::Open => "still exclusive at the end",
            Self::Unseen => "end not seen",
        }
    }
}

/// The entries that ended in one way.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Residency {
    /// How.
    pub ended: Ended,
    /// How many.
    pub count: u64,
    /// How long they were exclusive; `event` is `exclusive_page`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub residency: Option<Distribution>,
}

/// Device-exclusive pages.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Exclusive {
    /// Pages made exclusive.
    pub made: u64,
    /// Most that were exclusive at the same moment.
    pub peak: u64,
    /// By what ended it; those that did not happen are left out.
    pub ends: Vec<Residency>,
    /// Pages whose beginning was not seen: exclusive before the session, or events lost.
    pub unseen_beginnings: u64,
}
