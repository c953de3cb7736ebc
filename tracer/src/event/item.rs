//! What a stream is made of.

use std::borrow::Borrow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tracer_common::event::{Body, Header, Kind};
use tracer_common::family::Family;

use super::Silence;

/// One record, decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// When, who and where.
    pub header: Header,
    /// What.
    pub body: Body,
}

/// A record that no version of this program writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MalformedRecord {
    /// Fewer bytes than a header.
    #[error("a record of {0} bytes is too short for its header")]
    NoHeader(usize),
    /// A kind that this version does not know.
    #[error("unknown event kind {0:#06x}")]
    UnknownKind(u16),
    /// A known kind with another size.
    #[error("a {kind} record has {actual} bytes instead of {expected}", kind = kind.name())]
    WrongSize {
        /// The kind in the header.
        kind: Kind,
        /// Bytes found, header included.
        actual: usize,
        /// Bytes of that kind, header included.
        expected: usize,
    },
}

impl Event {
    /// Decodes one record as it came from a buffer or from a trace file.
    ///
    /// # Errors
    /// When the bytes are not exactly one record of a known kind.
    #[inline]
    pub fn decode(record: &[u8]) -> Result<Self, MalformedRecord> {
        let header = Header::decode(record).ok_or(MalformedRecord::NoHeader(record.len()))?;
        let kind = Kind::from_number(header.kind).ok_or(MalformedRecord::UnknownKind(header.kind))?;
        Body::decode_into(
            kind,
            &record[size_of::<Header>()..],
            |body| Ok(Self { header, body }),
            || Err(MalformedRecord::WrongSize { kind, actual: record.len(), expected: kind.record_size() }),
        )
    }

    /// The kind of the event.
    #[inline]
    pub fn kind(&self) -> Kind {
        self.body.kind()
    }
}

/// The three ways to lose an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LossCause {
    /// The ring of its CPU was full.
    Lost,
    /// The kernel skipped the program: recursion, or no free return-probe instance.
    Missed,
    /// User space could not take it.
    Dropped,
}

/// Events that are missing from the stream at this place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loss {
    /// How they were lost.
    pub cause: LossCause,
    /// Number of the [`Family`] they belong to; `None` when that is not known.
    pub family: Option<u8>,
    /// How many.
    pub count: u64,
    /// They are missing after this time (`CLOCK_MONOTONIC`, nanoseconds).
    pub after: u64,
    /// They are missing before this time.
    pub before: u64,
    /// The kind's name in the file's header, of events that are in the file and that this version cannot read.
    #[serde(skip)]
    pub kind: Option<Arc<str>>,
}

impl Loss {
    /// Whether they are of a family that this version does not know: nothing that it follows is missing then.
    pub fn is_of_new_family(&self) -> bool {
        self.kind.is_some() && self.family().is_none()
    }

    /// The family they belong to, where that is known.
    pub fn family(&self) -> Option<Family> {
        Family::ALL.into_iter().find(|family| Some(*family as u8) == self.family)
    }
}

/// A thread that lived when the session began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessEntry {
    /// Process id.
    pub pid: u32,
    /// Thread id.
    pub tid: u32,
    /// Parent's process id.
    pub parent: u32,
    /// Name, raw bytes turned to text with U+FFFD for what is not UTF-8. Escape it before printing.
    pub comm: String,
}

/// One frame of a kernel stack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frame {
    /// Address in the kernel that was traced.
    pub address: u64,
    /// Name of the function, where symbols could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub symbol: Option<String>,
    /// Bytes from the start of the function.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub offset: u64,
    /// Module, for functions outside of the kernel image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub module: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
fn is_zero(value: &u64) -> bool {
    *value == 0
}

/// A kernel stack, innermost frame first. It comes before the first event that names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StackEntry {
    /// The id in [`Header::stack`].
    pub id: i32,
    /// Its frames.
    pub frames: Vec<Frame>,
}

/// The sum of counts, which stops at the largest number: a trace file may say anything.
pub fn total<C: Borrow<u64>>(counts: impl IntoIterator<Item = C>) -> u64 {
    counts.into_iter().fold(0, |sum, count| sum.saturating_add(*count.borrow()))
}

/// The last item of a session that ended in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Events seen by user space, by kind name.
    pub events: std::collections::BTreeMap<String, u64>,
    /// Records emitted by the programs, by family name: seen + lost.
    pub emitted: std::collections::BTreeMap<String, u64>,
    /// Records for which the ring had no room, by family name.
    pub lost: std::collections::BTreeMap<String, u64>,
    /// Program runs that the kernel skipped, by family name.
    pub missed: std::collections::BTreeMap<String, u64>,
    /// Events that user space could not take, by family name.
    pub dropped: std::collections::BTreeMap<String, u64>,
    /// Function ends without beginning and the reverse, by family name.
    pub unpaired: std::collections::BTreeMap<String, u64>,
    /// Stacks that the kernel could not store.
    pub stacks_lost: u64,
    /// Hits of each attached point, by its name.
    pub hits: std::collections::BTreeMap<String, u64>,
    /// Of these, those while every probe was attached; none in files that do not have it.
    #[serde(default, skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub watched_hits: std::collections::BTreeMap<String, u64>,
    /// Attached points that could not fire, as the session itself noticed; none in files that do not have it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub silenced: Vec<Silence>,
    /// First moment of the session, `CLOCK_MONOTONIC` in nanoseconds.
    pub begin: u64,
    /// Last moment of the session.
    pub end: u64,
    /// Since when every probe was attached, before the command was let go: no event but those of processes is earlier.
    /// 0 in files that do not have it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub attached: u64,
    /// When the session's end was decided, before the probes were detached; 0 in files that do not have it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub decided: u64,
    /// What ended the session, for people: `command exited with status 0`, `SIGINT`, `duration`.
    pub reason: String,
    /// Status of the traced command (128 + signal when killed), when there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command_status: Option<i32>,
}

impl Summary {
    /// Nanoseconds in which the system was watched by every probe: what rates are measured by. Attaching before and
    /// detaching behind can take longer than a short command.
    pub const fn watched(&self) -> u64 {
        if self.attached == 0 {
            self.end.saturating_sub(self.begin)
        } else {
            self.decided.saturating_sub(self.attached)
        }
    }
}

/// One thing of the stream, in the order of the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// An event.
    Event(Event),
    /// Events are missing here.
    Loss(Loss),
    /// A thread that lived when the session began.
    Process(ProcessEntry),
    /// A stack that later events name.
    Stack(StackEntry),
    /// The end; nothing comes after it.
    Summary(Summary),
}
