//! What the sides do not have in common before any event: kernel, options, probes.

use std::collections::BTreeSet;

use serde::Serialize;

use super::sample::Run;
use crate::event::Kind;
use crate::probe::{AttachMethod, Outcome};
use crate::trace_file::SessionOptions;

/// Something in which the runs differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// What.
    pub what: &'static str,
    /// What the first side has; all that its runs have, when they differ among themselves.
    pub before: Vec<String>,
    /// What the second side has.
    pub after: Vec<String>,
    /// What follows for the comparison; `None` when it may be what the comparison is about.
    pub consequence: Option<&'static str>,
}

type Property = fn(&Run) -> String;

const LATENCIES: Option<&str> =
    Some("recording inside a probed function is part of its time: latencies are not comparable");

/// Everything that is looked at.
const PROPERTIES: [(&str, Property, Option<&str>); 12] = [
    ("kernel", |run| format!("{} {}", run.header.kernel.release, run.header.kernel.version), None),
    ("machine", |run| run.header.kernel.machine.clone(), None),
    ("CPUs", |run| run.header.kernel.possible_cpus.to_string(), None),
    (
        "command",
        |run| run.header.traced_command.as_ref().map_or_else(String::new, |words| words.join(" ")),
        None,
    ),
    ("program version", |run| run.header.program_version.clone(), None),
    ("--latency", |run| shown(&run.header.options.latency), Some("only one side has times")),
    ("--stacks", |run| shown(&run.header.options.stacks), LATENCIES),
    ("--per-vma", |run| shown(&run.header.options.per_vma), LATENCIES),
    (
        "--min-latency",
        |run| shown(&run.header.options.min_latency),
        Some("neither counts nor latencies are comparable"),
    ),
    (
        "--event",
        |run| shown(&run.header.options.event),
        Some("events that one side did not watch are left out"),
    ),
    ("tasks", tasks, Some("counts refer to different tasks")),
    ("page size", |run| run.header.kernel.page_size.to_string(), None),
];

fn shown(option: &impl Serialize) -> String {
    serde_json::to_string(option).unwrap_or_default()
}

fn tasks(run: &Run) -> String {
    let SessionOptions { all, comm, cgroup, no_inherit, .. } = &run.header.options;
    format!("all {all}, comm {}, cgroup {}, no-inherit {no_inherit}", shown(comm), shown(cgroup))
}

fn values(side: &[Run], property: impl Fn(&Run) -> String) -> Vec<String> {
    side.iter().map(property).collect::<BTreeSet<_>>().into_iter().collect()
}

/// Everything in which the runs differ.
pub fn differences(before: &[Run], after: &[Run]) -> Vec<Difference> {
    let properties = PROPERTIES.iter().filter_map(|(what, property, consequence)| {
        let (before, after) = (values(before, property), values(after, property));
        (before != after || before.len() > 1).then_some(Difference {
            what,
            before,
            after,
            consequence: *consequence,
        })
    });
    let mut differences: Vec<Difference> = properties.collect();
    let has_kprobe = before.iter().chain(after).any(has_kprobe);
    let methods = |side: &[Run]| values(side, |run| run_methods(run).join(", "));
    let (before, after) = (methods(before), methods(after));
    if before != after {
        let consequence = has_kprobe.then_some(
            "kprobes have more overhead than fentry: latencies measured differently are not comparable",
        );
        differences.push(Difference { what: "probes", before, after, consequence });
    }
    differences
}

/// How often each way to attach was used.
fn run_methods(run: &Run) -> Vec<String> {
    let mut methods = std::collections::BTreeMap::<&str, u32>::new();
    for report in &run.header.probes {
        if let Some(method) = method(&report.outcome) {
            *methods.entry(method.name()).or_default() += 1;
        }
    }
    methods.into_iter().map(|(method, count)| format!("{count} {method}")).collect()
}

fn has_kprobe(run: &Run) -> bool {
    run.header.probes.iter().any(|report| method(&report.outcome) == Some(AttachMethod::Kprobe))
}

const fn method(outcome: &Outcome) -> Option<AttachMethod> {
    match outcome {
        Outcome::Attached { method, .. } | Outcome::Fallback { method, .. } => Some(*method),
        _ => None,
    }
}

/// How the probes of an event hang, by run; empty where none does.
fn attached(side: &[Run], kind: Kind) -> Vec<String> {
    values(side, |run| {
        let reports = run.header.probes.iter().filter(|report| report.makes(kind));
        reports
            .filter_map(|report| method(&report.outcome).map(AttachMethod::name))
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect::<Vec<_>>()
            .join(", ")
    })
}

/// Why events of a kind cannot be compared at all, when they cannot.
pub fn obstacle(kind: Kind, before: &[Run], after: &[Run]) -> Option<String> {
    let unwatched = |side: &[Run]| {
        side.iter().any(|run| !run.header.probes.is_empty())
            && attached(side, kind).iter().any(String::is_empty)
    };
    if unwatched(before) || unwatched(after) {
        let side = if unwatched(before) { "A" } else { "B" };
        return Some(format!("{side} did not watch it"));
    }
    differs(before, after, |run| shown(&run.header.options.min_latency))
        .then(|| "--min-latency differs".to_owned())
}

/// Why times in the probed function cannot be compared, when they cannot.
pub fn latency_obstacle(kind: Kind, before: &[Run], after: &[Run]) -> Option<String> {
    let (a, b) = (attached(before, kind), attached(after, kind));
    if a != b || a.len() > 1 {
        return Some(format!("A measures through {}, B through {}", a.join(" or "), b.join(" or ")));
    }
    let costly: [(&str, Property); 2] = [
        ("--stacks", |run| shown(&run.header.options.stacks)),
        ("--per-vma", |run| shown(&run.header.options.per_vma)),
    ];
    costly
        .into_iter()
        .find(|(_, property)| differs(before, after, property))
        .map(|(name, _)| format!("{name} differs and affects the measured time"))
}

fn differs(before: &[Run], after: &[Run], property: impl Fn(&Run) -> String) -> bool {
    let values = values(before, &property);
    values.len() > 1 || values != self::values(after, property)
}
