//! What a session asks for.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use tracer_common::event::Kind;
use tracer_common::family::Family;

use super::catalogue::{self, Scope};
use crate::event::EventName;
use crate::kernel::{Switch, SwitchState, SystemFiles};

/// Which ways to attach may be taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Preference {
    /// The cheapest that works.
    #[default]
    Auto,
    /// Only programs whose arguments have BTF types: fentry, fexit, BTF tracepoints.
    Fentry,
    /// Only programs that need no BTF types: kprobes, kretprobes, raw tracepoints.
    Kprobe,
}

/// What a session asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Events.
    pub kinds: BTreeSet<Kind>,
    /// Measure the time in functions.
    pub latency: bool,
    /// Of the visits of rmap walks send only those that the rules are about, and samples of very long walks.
    pub visits_for_rules: bool,
    /// Calls are counted where they begin, at the points where [that is the same](tracer_common::point::Point::counted_at_entry): nothing of
    /// their end is asked.
    pub entries_only: bool,
    /// Ways to attach.
    pub attach: Preference,
    /// Whether `bpf_probe_read_kernel` works. It does not under lockdown=confidentiality, where kprobes
    /// are refused too (6.12 kernel/trace/bpf_trace.c, bpf_tracing_func_proto; trace_kprobe.c).
    pub probe_read: bool,
    /// Switches that are off: what they silence is not attached. It would not fire; and where a probe is attached
    /// and detached while ftrace is off, the kernel forgets to clear what it noted of the function, takes that for an
    /// error later, and shuts ftrace down until it is booted again (seen on 6.12.117, kernel/trace/ftrace.c,
    /// ftrace_shutdown).
    pub off: Vec<Switch>,
}

impl Default for Request {
    /// Every event that comes with its family, no latency, the cheapest way.
    fn default() -> Self {
        let kinds = Kind::ALL.iter().copied().filter(|kind| !is_per_vma(*kind)).collect();
        Self {
            kinds,
            latency: false,
            visits_for_rules: false,
            entries_only: false,
            attach: Preference::Auto,
            probe_read: true,
            off: Vec::new(),
        }
    }
}

impl Request {
    /// Takes over which switches of that machine are off.
    pub fn look_at_switches(&mut self, system: &SystemFiles) {
        let is_off = |switch: &Switch| switch.state(system) == SwitchState::Off;
        self.off = Switch::ALL.into_iter().filter(is_off).collect();
    }
}

/// The events that names select; none select all. With a family come its per-VMA events only when `per_vma` is set.
/// Process life is always part of it, and with bounce buffers the names of the devices.
pub fn select(names: &[EventName], per_vma: bool) -> BTreeSet<Kind> {
    let of_families = |families: &[Family]| {
        let is_meant = |kind: &&Kind| families.contains(&kind.family()) && (per_vma || !is_per_vma(**kind));
        Kind::ALL.iter().filter(is_meant).copied().collect::<Vec<_>>()
    };
    let mut kinds: BTreeSet<Kind> = of_families(&[Family::Process]).into_iter().collect();
    let all = [EventName::All];
    for name in if names.is_empty() { &all } else { names } {
        match name {
            EventName::All => kinds.extend(of_families(&Family::ALL)),
            EventName::Family(family) => kinds.extend(of_families(&[*family])),
            EventName::Event(kind) => drop(kinds.insert(*kind)),
        }
    }
    if kinds.iter().any(|kind| kind.family() == Family::Swiotlb) {
        kinds.insert(Kind::DeviceName);
    }
    kinds
}

/// Whether the event comes only when asked for by name or with all per-VMA detail.
pub fn is_per_vma(kind: Kind) -> bool {
    catalogue::entries()
        .filter(|entry| entry.all_kinds().any(|made| made == kind))
        .all(|entry| entry.scope == Scope::PerVma)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_bring_their_usual_events_and_the_processes() {
        let rmap = [EventName::Family(Family::Rmap)];
        let kinds = select(&rmap, false);
        assert!(kinds.contains(&Kind::TryToUnmap) && kinds.contains(&Kind::ProcessFork));
        assert!(!kinds.contains(&Kind::TryToUnmapOne) && !kinds.contains(&Kind::SwiotlbMap));
        assert!(select(&rmap, true).contains(&Kind::TryToUnmapOne));
        let named = select(&[EventName::Family(Family::Fork), EventName::Event(Kind::TryToUnmapOne)], false);
        assert!(named.contains(&Kind::TryToUnmapOne) && named.contains(&Kind::CopyPageRange));
        assert!(!named.contains(&Kind::TryToUnmap));
    }

    #[test]
    fn nothing_and_all_are_everything() {
        assert_eq!(select(&[], false), Request::default().kinds);
        assert_eq!(select(&[EventName::All], true).len(), Kind::ALL.len());
    }
}
