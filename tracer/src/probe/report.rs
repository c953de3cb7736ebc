//! What became of each probe point; stored in the trace file and repeated in every summary.

use serde::{Deserialize, Serialize};
use tracer_common::event::Kind;
use tracer_common::point::Point;

use super::catalogue;

/// How a program hangs on its point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AttachMethod {
    /// fentry and/or fexit.
    Fentry,
    /// kprobe and/or kretprobe.
    Kprobe,
    /// A tracepoint through BTF (`tp_btf`).
    Tracepoint,
    /// A raw tracepoint, arguments read with `bpf_probe_read_kernel`.
    RawTracepoint,
}

impl AttachMethod {
    /// The name used in every output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fentry => "fentry",
            Self::Kprobe => "kprobe",
            Self::Tracepoint => "tracepoint",
            Self::RawTracepoint => "raw tracepoint",
        }
    }
}

/// The end of the story of one point.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Outcome {
    /// It can be (in a plan) or was (in a session) attached, and tells all that it should; a way that costs more
    /// tells no less.
    Attached {
        /// Kernel symbol or tracepoint.
        symbol: String,
        /// How.
        method: AttachMethod,
    },
    /// Another choice than the first, and what is lost by it.
    Fallback {
        /// Kernel symbol or tracepoint.
        symbol: String,
        /// How.
        method: AttachMethod,
        /// What the first choice would have told and this one does not: never a mere cost.
        lost: String,
    },
    /// No candidate exists in this kernel.
    Absent {
        /// Why that is, for people: version range, configuration option.
        reason: String,
        /// Whether this kernel cannot do at all what the point would tell of: it is another version's function,
        /// or the feature is not built in. Otherwise the kernel does it out of sight.
        #[serde(default)]
        impossible: bool,
    },
    /// The function's code is only inside its callers.
    Inlined {
        /// Where its work can be seen instead.
        reason: String,
    },
    /// The kernel forbids probing it (blacklist, lockdown, notrace).
    Denied {
        /// Why.
        reason: String,
    },
    /// Load or attach failed.
    Refused {
        /// errno of the failed call; 0 when there is none.
        errno: i32,
        /// What was tried and what the kernel said, one line.
        reason: String,
    },
    /// A kernel type lacks what the program needs.
    Unresolved {
        /// The missing fields or arguments, by name.
        missing: Vec<String>,
    },
    /// The session did not ask for its events.
    NotAsked,
}

impl Outcome {
    /// Whether events come from the point.
    pub const fn is_attached(&self) -> bool {
        matches!(self, Self::Attached { .. } | Self::Fallback { .. })
    }

    /// The kernel symbol or tracepoint that it is attached to, and how.
    pub fn attached(&self) -> Option<(&str, AttachMethod)> {
        match self {
            Self::Attached { symbol, method } | Self::Fallback { symbol, method, .. } => {
                Some((symbol, *method))
            }
            _ => None,
        }
    }
}

/// One candidate that was looked at and not taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Kernel symbol or tracepoint.
    pub symbol: String,
    /// How it would have been attached.
    pub method: AttachMethod,
    /// Why it was not.
    pub reason: String,
    /// It was tried, and the kernel refused it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_refusal: bool,
}

/// One probe point and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PointReport {
    /// The point's name: its first candidate.
    pub point: String,
    /// Its family's name.
    pub family: String,
    /// Names of the events that it makes.
    pub events: Vec<String>,
    /// What became of it.
    pub outcome: Outcome,
    /// Candidates passed over, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<Attempt>,
}

impl PointReport {
    /// The events that it makes, as far as this version knows them.
    pub fn kinds(&self) -> impl Iterator<Item = Kind> {
        self.events.iter().filter_map(|name| Kind::from_name(name))
    }

    /// Whether it makes events of that kind.
    pub fn makes(&self, kind: Kind) -> bool {
        self.kinds().any(|made| made == kind)
    }

    /// Whether it is of that point.
    pub fn is_of(&self, point: Point) -> bool {
        self.point == catalogue::entry(point).name()
    }
}
