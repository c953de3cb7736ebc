//! What a session asks for.

use std::collections::BTreeSet;

use thiserror::Error;
use tracer_common::event::Kind;
use tracer_common::family::Family;

use super::catalogue::{self, Scope};
use crate::kernel::{Switch, SwitchState, SystemFiles};

/// Which ways to attach may be taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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

/// A name that is neither an event nor a family.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("there is no event or family `{}`", name.escape_default())]
pub struct UnknownEvent {
    /// The name as it was given.
    pub name: String,
}

impl From<UnknownEvent> for crate::Error {
    fn from(error: UnknownEvent) -> Self {
        let families: Vec<&str> = Family::ALL.into_iter().map(Family::name).collect();
        let remedy = match nearest(&error.name) {
            Some(name) => format!("did you mean `{name}`? `rmapscope probes` lists every event"),
            None => format!("`rmapscope probes` lists every event; families: {}", families.join(", ")),
        };
        Self::failure(error.to_string(), remedy)
    }
}

/// The events that a list of names selects: events, families, and `all`; several may be in one name,
/// separated by commas. An empty list selects all. With a family come its per-VMA events only when
/// `per_vma` is set. Process life is always part of it, and with bounce buffers the names of the devices.
///
/// # Errors
/// The first name that is unknown.
pub fn select<S: AsRef<str>>(names: &[S], per_vma: bool) -> Result<BTreeSet<Kind>, UnknownEvent> {
    let mut kinds = BTreeSet::new();
    let add_family = |kinds: &mut BTreeSet<Kind>, family: Family| {
        kinds.extend(
            Kind::ALL.iter().filter(|kind| kind.family() == family && (per_vma || !is_per_vma(**kind))),
        );
    };
    add_family(&mut kinds, Family::Process);
    let names: Vec<&str> = names
        .iter()
        .flat_map(|name| name.as_ref().split(','))
        .map(str::trim)
        .filter(|n| !n.is_empty())
        .collect();
    if names.is_empty() || names.contains(&"all") {
        Family::ALL.into_iter().for_each(|family| add_family(&mut kinds, family));
    }
    for name in names {
        if let Some(kind) = Kind::from_name(name) {
            kinds.insert(kind);
        } else if let Some(family) = Family::from_name(name) {
            add_family(&mut kinds, family);
        } else if name != "all" {
            return Err(UnknownEvent { name: name.to_owned() });
        }
    }
    if kinds.iter().any(|kind| kind.family() == Family::Swiotlb) {
        kinds.insert(Kind::DeviceName);
    }
    Ok(kinds)
}

/// Whether the event comes only when asked for by name or with all per-VMA detail.
pub fn is_per_vma(kind: Kind) -> bool {
    catalogue::entries()
        .filter(|entry| entry.all_kinds().any(|made| made == kind))
        .all(|entry| entry.scope == Scope::PerVma)
}

/// The known name that differs least, when it differs little.
fn nearest(name: &str) -> Option<&'static str> {
    // A name typed by a person is short; what is longer resembles nothing.
    let name: String = name.chars().take(64).collect();
    let kinds = Kind::ALL.iter().map(|kind| kind.name());
    kinds
        .chain(Family::ALL.into_iter().map(Family::name))
        .map(|known| (strsim::damerau_levenshtein(&name, known), known))
        .min()
        .filter(|(changes, known)| *changes <= 1 + known.len() / 5)
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_bring_their_usual_events_and_the_processes() {
        let kinds = select(&["rmap"], false).unwrap();
        assert!(kinds.contains(&Kind::TryToUnmap) && kinds.contains(&Kind::ProcessFork));
        assert!(!kinds.contains(&Kind::TryToUnmapOne) && !kinds.contains(&Kind::SwiotlbMap));
        assert!(select(&["rmap"], true).unwrap().contains(&Kind::TryToUnmapOne));
        let named = select(&["fork, try_to_unmap_one"], false).unwrap();
        assert!(named.contains(&Kind::TryToUnmapOne) && named.contains(&Kind::CopyPageRange));
        assert!(!named.contains(&Kind::TryToUnmap));
    }

    #[test]
    fn nothing_and_all_are_everything() {
        let nothing: [&str; 0] = [];
        assert_eq!(select(&nothing, false).unwrap(), Request::default().kinds);
        assert_eq!(select(&["all"], true).unwrap().len(), Kind::ALL.len());
    }

    #[test]
    fn unknown_names_come_with_a_guess() {
        let error = select(&["rmap", "try_to_unmpa"], false).unwrap_err();
        assert_eq!(error.name, "try_to_unmpa");
        assert!(crate::Error::from(error).remedy.contains("did you mean `try_to_unmap`?"));
        let hostile = UnknownEvent { name: "\u{1b}[2J".repeat(100) };
        assert!(!crate::Error::from(hostile).cause.contains('\u{1b}'));
    }
}
