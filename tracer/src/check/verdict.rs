//! What a check found: one verdict per rule, the diagnoses beside them, and what it was found on.
//!
//! A verdict holds nothing that a trace file does not, so that judging the file gives the verdict of the live
//! session byte for byte. Every [format](super::formats) is made from it.

use serde::{Serialize, Serializer};
use std::collections::BTreeMap;

use super::formats::words::plain;
use crate::event::Frame;
use crate::probe::PointReport;

/// How much a violation of a rule matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Memory is corrupted, or can be: two owners of a page or of a bounce slot, a page freed in use.
    Corruption,
    /// The kernel broke a promise that others rely on.
    Broken,
}

/// The four answers of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was evaluated and held every time, and nothing was missing that it depends on.
    Pass,
    /// It did not hold.
    Violated,
    /// It held as far as was seen, but something was missing: events, a probe, evaluations.
    Inconclusive,
    /// Nothing happened that it speaks about, or this kernel cannot do it.
    NotExercised,
}

impl Outcome {
    /// The word in every output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Violated => "violated",
            Self::Inconclusive => "inconclusive",
            Self::NotExercised => "not exercised",
        }
    }
}

/// Who did something, and when.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Actor {
    /// Nanoseconds since the session began.
    pub time: u64,
    /// Process id of `current`.
    pub pid: u32,
    /// Thread id of `current`.
    pub tid: u32,
    /// Name of the thread: raw, to be escaped by whoever prints it; empty when it is not known.
    pub comm: String,
    /// CPU.
    pub cpu: u16,
    /// Its kernel stack, innermost frame first; empty where stacks were not recorded.
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "frames")]
    pub stack: Vec<Frame>,
}

/// An address or a page frame number as `script --json` writes it: a string, because a JSON number of 64 bits
/// does not survive every reader.
fn hexadecimal<S: Serializer>(value: &Option<u64>, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => serializer.collect_str(&format_args!("{value:#x}")),
        None => serializer.serialize_none(),
    }
}

#[expect(clippy::ptr_arg, reason = "the signature that serde asks for")]
fn frames<S: Serializer>(frames: &Vec<Frame>, serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Shown<'a> {
        #[serde(serialize_with = "hexadecimal")]
        address: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        symbol: Option<&'a str>,
        offset: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        module: Option<&'a str>,
    }
    serializer.collect_seq(frames.iter().map(|frame| Shown {
        address: Some(frame.address),
        symbol: frame.symbol.as_deref(),
        offset: frame.offset,
        module: frame.module.as_deref(),
    }))
}

/// One event as evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Evidence {
    /// What is wrong here, one sentence without a full stop.
    pub what: String,
    /// The event's name.
    pub event: &'static str,
    /// Who was running.
    pub actor: Actor,
    /// The process whose memory it is, where that is another one than `actor` and is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner_pid: Option<u32>,
    /// User address.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "hexadecimal")]
    pub address: Option<u64>,
    /// Page frame number.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "hexadecimal")]
    pub pfn: Option<u64>,
    /// Name of the device: raw, to be escaped; its address in hexadecimal where it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// Everything else that the event says, decoded, by the names and in the order of `script`.
    pub fields: Vec<(String, String)>,
    /// The other side: the earlier event that this one contradicts, the latest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub before: Vec<Earlier>,
}

/// An earlier event that belongs to the evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Earlier {
    /// What happened then, in a few words: `made exclusive`, `mapped`.
    pub what: String,
    /// By whom.
    pub actor: Actor,
}

/// The verdict of one rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RuleVerdict {
    /// The rule's name, which never changes.
    pub name: &'static str,
    /// The rule in one line.
    pub title: &'static str,
    /// How much a violation matters.
    pub severity: Severity,
    /// The answer.
    pub outcome: Outcome,
    /// How often it was evaluated.
    pub evaluated: u64,
    /// How often it did not hold.
    pub violations: u64,
    /// The first violations.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Evidence>,
    /// Why it is inconclusive or not exercised; one sentence each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
    /// Whether it is inconclusive only because events that it needs were not asked for.
    #[serde(skip)]
    pub is_unasked: bool,
    /// What else should be known: what was not looked at and does no harm to the answer, what outlived the
    /// session.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// Trouble explained that is no fault of the kernel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnosis {
    /// The diagnosis's name, which never changes.
    pub name: &'static str,
    /// What it says here, one sentence.
    pub summary: String,
    /// How often.
    pub count: u64,
    /// The first or the worst cases.
    pub evidence: Vec<Evidence>,
    /// What to do about it.
    pub remedy: &'static str,
}

/// Probes that were attached and told nothing, or not everything, for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SilentProbes {
    /// Why and when, one sentence without a full stop.
    pub reason: String,
    /// What helps.
    pub remedy: String,
    /// The points, by name.
    pub points: Vec<String>,
}

impl SilentProbes {
    /// Which, why and what helps, in one line that is safe to print.
    pub fn line(&self) -> String {
        let points = plain(&self.points.join(", "));
        format!(
            "events are missing: {}; try: {}; not reported by {points}",
            plain(&self.reason),
            plain(&self.remedy)
        )
    }
}

/// What the verdict is about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Subject {
    /// Version of rmapscope that recorded.
    pub program_version: String,
    /// Name of the machine.
    pub host: String,
    /// `uname -r`.
    pub release: String,
    /// `uname -v`.
    pub version: String,
    /// `uname -m`.
    pub machine: String,
    /// GNU build id of the kernel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub build_id: Option<String>,
    /// The command that was traced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<Vec<String>>,
    /// Its status (128 + signal when killed).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command_status: Option<i32>,
    /// The tasks that were watched, when that is not the whole system: raw, to be escaped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub watched: Option<String>,
    /// When the session began, nanoseconds since 1970-01-01 UTC.
    pub started: i64,
    /// How long it took, in nanoseconds; 0 when its end is missing.
    pub duration: u64,
    /// Events seen.
    pub events: u64,
    /// Events for which the ring had no room, by family; families without are left out.
    pub lost: BTreeMap<String, u64>,
    /// Program runs that the kernel skipped, by family.
    pub missed: BTreeMap<String, u64>,
    /// Events that user space or a damaged file dropped, by family; `unknown` where that is not known.
    pub dropped: BTreeMap<String, u64>,
    /// Of these, those of kinds that this version does not know, by the kind's name in the file: raw, to be escaped.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub unknown_kinds: BTreeMap<String, u64>,
    /// Function ends without a beginning and the reverse, by family.
    pub unpaired: BTreeMap<String, u64>,
    /// Probes that were attached and could not fire, or did not when they had to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub silent: Vec<SilentProbes>,
    /// Why the stream is not whole: the recording did not end in order, the file is cut or damaged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub incomplete: Option<String>,
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// What it is about.
    pub subject: Subject,
    /// The answer of each rule that was asked for, in the order of the catalogue.
    pub rules: Vec<RuleVerdict>,
    /// Trouble explained.
    pub diagnoses: Vec<Diagnosis>,
    /// Outcome of every probe point.
    pub probes: Vec<PointReport>,
}

impl Verdict {
    /// The answer of all rules together: violated if one is, else inconclusive if one is, else pass if one was
    /// evaluated, else not exercised.
    pub fn outcome(&self) -> Outcome {
        [Outcome::Violated, Outcome::Inconclusive, Outcome::Pass]
            .into_iter()
            .find(|outcome| self.rules.iter().any(|rule| rule.outcome == *outcome))
            .unwrap_or(Outcome::NotExercised)
    }

    /// How many rules have that answer.
    pub fn count(&self, outcome: Outcome) -> usize {
        self.rules.iter().filter(|rule| rule.outcome == outcome).count()
    }
}
