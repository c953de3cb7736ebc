//! What moved to devices and back, and what drivers asked of ranges.

use serde::{Serialize, Serializer};
use tracer_common::event::{RefusalReason, RefusalStep};

use super::{Top, hexadecimal, optional_hexadecimal};
use crate::check::formats::lines::counted;

/// Where pages went, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Way {
    /// From system memory to a device.
    ToDevice,
    /// Back, because a CPU touched a page of the device.
    FaultBack,
    /// Away from a device, as its driver wanted.
    FromDevice,
    /// Away from a device; before 6.1 the kernel does not say whether a CPU touched a page.
    Back,
    /// The kernel does not let it be read.
    Unknown,
}

impl Way {
    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ToDevice => "to device",
            Self::FaultBack => "back by fault",
            Self::FromDevice => "from device",
            Self::Back => "back",
            Self::Unknown => "?",
        }
    }
}

impl Serialize for Way {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// Whose doing it was, in which address space, for which device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Actor {
    /// Process whose task was running.
    pub pid: u32,
    /// Its name, raw.
    pub comm: String,
    /// Address space; 0 where it is not known.
    #[serde(serialize_with = "hexadecimal")]
    pub mm: u64,
    /// Whose device memory it is, as the driver says; `None` where it cannot be read.
    #[serde(serialize_with = "optional_hexadecimal")]
    pub owner: Option<u64>,
}

impl Actor {
    /// The address space, as it is shown.
    pub fn space(&self) -> String {
        if self.mm == 0 { "?".to_owned() } else { format!("{:#x}", self.mm) }
    }

    /// The device, as it is shown.
    pub fn device(&self) -> String {
        self.owner.map_or_else(|| "?".to_owned(), |owner| format!("{owner:#x}"))
    }
}

/// Migrations of one way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Migrated {
    /// By whom and of what.
    #[serde(flatten)]
    pub actor: Actor,
    /// Where to.
    pub way: Way,
    /// Calls of `migrate_vma_finalize`.
    pub migrations: u64,
    /// Pages of their ranges.
    pub pages: u64,
    /// Those that moved, with what a device got for addresses without a page.
    pub moved: u64,
    /// Those that were collected and did not move.
    pub refused: u64,
    /// Those that were not even collected.
    pub passed_over: u64,
    /// Migrations of which the last two are not known, and so not in them.
    pub unknown: u64,
}

/// Pages that did not migrate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refused {
    /// By whom and of what.
    #[serde(flatten)]
    pub actor: Actor,
    /// Where to.
    pub way: Way,
    /// How far they came.
    #[serde(serialize_with = "step")]
    pub step: RefusalStep,
    /// Why; `null` where the kernel's state does not say.
    #[serde(serialize_with = "reason")]
    pub reason: RefusalReason,
    /// How many.
    pub pages: u64,
}

impl Refused {
    /// The reason, as it is shown.
    pub const fn why(&self) -> &'static str {
        match self.reason {
            RefusalReason::Unknown => "?",
            reason => reason.name(),
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
fn step<S: Serializer>(step: &RefusalStep, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(step.name())
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
fn reason<S: Serializer>(reason: &RefusalReason, serializer: S) -> Result<S::Ok, S::Error> {
    (*reason != RefusalReason::Unknown).then(|| reason.name()).serialize(serializer)
}

/// Calls of `hmm_range_fault`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RangeFaults {
    /// By whom and of what.
    #[serde(flatten)]
    pub actor: Actor,
    /// How many.
    pub calls: u64,
    /// Pages of the ranges of those that succeeded.
    pub pages: u64,
    /// Those to which the kernel said -EBUSY, so that the driver has to ask again.
    pub busy: u64,
    /// Those that failed otherwise.
    pub failed: u64,
}

/// Pages that drivers collected to take them back, wherever they were mapped.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TakenBack {
    /// Calls of `migrate_device_range` or `migrate_device_pfns`.
    pub calls: u64,
    /// Pages.
    pub pages: u64,
    /// Calls of which the pages are not known, and so not in them.
    pub unknown: u64,
}

impl TakenBack {
    /// In a few words; none where nothing was taken back.
    pub fn words(&self) -> String {
        match self {
            Self { pages: 0, unknown: 0, .. } => String::new(),
            Self { unknown: 0, pages, .. } => {
                format!("{} collected by drivers for taking them back", counted(*pages, "page"))
            }
            Self { calls, .. } => format!("drivers took back pages in {}", counted(*calls, "call")),
        }
    }
}

/// Addresses whose pages went to a device, left it, and went there again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PingPong {
    /// Who migrated first of its address space, and of what.
    #[serde(flatten)]
    pub actor: Actor,
    /// First address.
    #[serde(serialize_with = "hexadecimal")]
    pub start: u64,
    /// Address after the last.
    #[serde(serialize_with = "hexadecimal")]
    pub end: u64,
    /// Pages between the two, each of which went there again.
    pub pages: u64,
    /// How often, all pages together.
    pub returns: u64,
    /// How often the one that did most.
    pub most: u64,
    /// Stays of a page on the device of which beginning and end were seen.
    pub stays: u64,
    /// How long they lasted, all together.
    pub time: u64,
    /// The stack by which most of its pages went there last, innermost first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub to_device: Vec<String>,
    /// The stack by which most of its pages left last.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub back: Vec<String>,
}

impl PingPong {
    /// The addresses, as they are shown.
    pub fn addresses(&self) -> String {
        format!("{:#x}-{:#x}", self.start, self.end)
    }

    /// How long a page stays, where that is known.
    pub fn mean(&self) -> Option<u64> {
        self.time.checked_div(self.stays)
    }
}

/// All of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PingPongs {
    /// The most returns first.
    pub entries: Vec<PingPong>,
    /// How many ranges there were.
    pub distinct: u64,
    /// Moves of pages that were not followed, because there were too many pages at once.
    pub left_out: u64,
}

impl PingPongs {
    /// What is not shown, in a few words.
    pub fn words(&self) -> String {
        let (shown, left_out) = (self.entries.len() as u64, self.left_out);
        let mut words = Vec::new();
        if self.distinct > shown {
            words.push(format!("the {shown} of {} with the most returns", self.distinct));
        }
        if left_out > 0 {
            words.push(format!("{} not followed", counted(left_out, "page move")));
        }
        words.join("; ")
    }
}

/// Device memory.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct DeviceMemory {
    /// By process, address space, device and way; the most pages first.
    pub migrated: Top<Migrated>,
    /// Pages that did not migrate, by the same, step and reason; the most pages first.
    pub refused: Top<Refused>,
    /// What drivers took back.
    pub taken_back: TakenBack,
    /// By process, address space and device; the most calls first.
    pub range_faults: Top<RangeFaults>,
    /// Ranges of addresses that went to a device again and again; the most returns first.
    pub ping_pong: PingPongs,
}
