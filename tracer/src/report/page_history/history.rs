//! A page_history as data.

use serde::Serialize;

use super::Target;
use crate::event::LossCause;
use crate::report::model::{hexadecimal, optional_hexadecimal};

/// What a page is at some time, as far as events tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Present in a page table.
    Mapped,
    /// A device-exclusive entry stands in its place.
    Exclusive,
    /// A migration entry stands in its place.
    Migrating,
    /// It is in a device's memory.
    OnDevice,
    /// Another page took its place: it was migrated.
    Replaced,
    /// Reclaim unmapped it: a swap entry or nothing stands in its place.
    Unmapped,
    /// munmap, MADV_DONTNEED, truncation or exit emptied the page table.
    Zapped,
    /// mremap took the entry to another address.
    Moved,
    /// Not known.
    Unknown,
    /// `PG_mlocked` was seen; beside the other states.
    Mlocked,
    /// A bounce buffer stands for it, or it is the bounce buffer; beside the other states.
    Bounced,
}

impl State {
    /// For people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mapped => "mapped",
            Self::Exclusive => "device-exclusive",
            Self::Migrating => "migration entry",
            Self::OnDevice => "on a device",
            Self::Replaced => "migrated away",
            Self::Unmapped => "unmapped",
            Self::Zapped => "zapped",
            Self::Moved => "moved away",
            Self::Unknown => "not known",
            Self::Mlocked => "mlocked",
            Self::Bounced => "bounced",
        }
    }
}

/// A time in one state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Episode {
    /// The state.
    pub state: State,
    /// The page that was in it, where it is known.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "optional_hexadecimal")]
    pub pfn: Option<u64>,
    /// When it began, or was seen first, in nanoseconds from the first event of the stream.
    pub from: u64,
    /// When it ended; `None` when the stream ended before.
    pub to: Option<u64>,
    /// Nanoseconds between the two.
    pub lasted: Option<u64>,
    /// Whether `from` is when it was seen, not when it began: it lasted longer.
    pub seen: bool,
    /// Whether `to` is when it was seen to be over, not when it ended: it did not last that long.
    pub over: bool,
    /// Place of the entry that began it in [`PageHistory::entries`].
    pub began: usize,
    /// Place of the entry that ended it.
    pub ended: Option<usize>,
    /// What ended it and who: `restore_exclusive by name 12/13`; the name is raw.
    pub ended_by: Option<String>,
}

/// Something that is not as it was in an earlier event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// `mapcount`, `refcount`, `pfn`, `entry`, or a page flag.
    pub what: String,
    /// Before; `None` when this event is the first that tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// After.
    pub after: String,
}

/// An event of the page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Moment {
    /// Nanoseconds from the first event of the stream.
    pub time: u64,
    /// Name of the event.
    pub event: &'static str,
    /// Process of `current`, which need not be the page's.
    pub pid: u32,
    /// Thread.
    pub tid: u32,
    /// Name of the thread, raw; empty when it is not known.
    pub comm: String,
    /// CPU.
    pub cpu: u16,
    /// Whether it is about the page itself; `false` for a call on a range that contains the page, and for another page
    /// that took its address.
    pub about: bool,
    /// Process that the address space in the event belongs to, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<u32>,
    /// What changed since the last event that told of it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Change>,
    /// The event's fields as `script` shows them, names of devices escaped.
    pub fields: Vec<(&'static str, String)>,
    /// Why: the kernel stack, innermost first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stack: Vec<String>,
}

/// Events that are missing here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Lost {
    /// How they were lost.
    pub cause: LossCause,
    /// Family, where it is known.
    pub family: Option<&'static str>,
    /// How many; 0 when that is not known.
    pub count: u64,
    /// Not before this.
    pub from: u64,
    /// Not after this; `None` when that is not known.
    pub to: Option<u64>,
}

/// One thing of a history, in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Entry {
    /// An event.
    Event(Moment),
    /// Events are missing here; whether the page's is not known.
    Lost(Lost),
    /// Entries were left out here because there were too many of them.
    LeftOut(u64),
}

/// An address space that had the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Space {
    /// Its `mm_struct`.
    #[serde(serialize_with = "hexadecimal")]
    pub mm: u64,
    /// Its process, where it is known.
    pub pid: Option<u32>,
    /// Whether that process was seen to work on its own memory; otherwise it was only the one that acted.
    pub is_certain: bool,
}

/// A page_history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PageHistory {
    /// Of what.
    pub target: Target,
    /// Events that are about the page itself, those left out too.
    pub events: u64,
    /// Address spaces in these events.
    pub spaces: Vec<Space>,
    /// Pages that an address had, in order; for a page itself alone.
    #[serde(serialize_with = "hexadecimals")]
    pub pfns: Vec<u64>,
    /// The states, by their beginning.
    pub states: Vec<Episode>,
    /// Everything in order.
    pub entries: Vec<Entry>,
    /// Other processes that have events at that address; events whose process is not known count as 0.
    pub others: Vec<u32>,
    /// Nanoseconds from the first to the last event of the stream.
    pub span: u64,
    /// Why the stream is not whole.
    pub incomplete: Option<String>,
}

fn hexadecimals<S: serde::Serializer>(values: &[u64], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(values.iter().map(|value| format!("{value:#x}")))
}

/// As JSON: one object, with names that alarm nobody and change no terminal.
pub fn json(history: &PageHistory) -> String {
    let text = serde_json::to_string_pretty(history).expect("a history has only keys that are text");
    crate::check::formats::words::json(&text)
}
