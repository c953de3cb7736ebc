//! A plan for people and for programs: aligned text, JSON.

use serde::Serialize;
use tracer_common::event::Kind;
use tracer_common::point::Point;

use super::catalogue::{self, Candidate, Entry};
use super::choice::NOT_THERE;
use super::{AttachMethod, Attempt, Outcome, Plan, PlannedPoint, PointReport};

/// Name and version of the JSON form.
pub const SCHEMA: &str = "rmapscope.probes/1";

/// What to show of a plan.
#[derive(Clone, Copy, Debug, Default)]
pub struct Detail {
    /// Leave out points that were not asked for.
    pub asked_only: bool,
    /// Below each point its candidates, and why each was passed over.
    pub candidates: bool,
}

const HEAD: [&str; 5] = ["EVENT", "POINT", "STATE", "THROUGH", "REASON"];

/// The plan as aligned text: a line for each event of each point.
pub fn text(plan: &Plan, detail: Detail) -> String {
    let rows: Vec<(&PlannedPoint, Vec<[String; 5]>)> =
        shown(plan, detail).map(|planned| (planned, rows(planned))).collect();
    let mut widths = HEAD.map(str::len);
    for cells in rows.iter().flat_map(|(_, rows)| rows) {
        for (width, cell) in widths.iter_mut().zip(cells) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = line(&HEAD.map(str::to_owned), &widths);
    for (planned, cells) in &rows {
        for row in cells {
            text += &line(row, &widths);
        }
        if detail.candidates {
            text += &candidates(planned);
        }
    }
    for row in shared_rows(plan, detail) {
        text += &line(&row, &widths);
    }
    text
}

/// Lines of the events that no point makes on its own: any of several points makes them along with its own.
fn shared_rows(plan: &Plan, detail: Detail) -> Vec<[String; 5]> {
    let is_shared = |kind: &&Kind| !catalogue::entries().any(|entry| entry.point.kinds().contains(kind));
    let with = |kind: &Kind| {
        let makers: Vec<&PlannedPoint> = shown(plan, detail)
            .filter(|planned| {
                !planned.entry().point.kinds().is_empty() && planned.entry().also.contains(kind)
            })
            .collect();
        let family = kind.family().name();
        let ready = makers.iter().filter(|planned| planned.candidate.is_some()).count();
        let (state, reason) = if !plan.probe_read && catalogue::ONLY_WITH_PROBE_READ.contains(kind) {
            ("denied", "the kernel is in lockdown (confidentiality): it cannot be read".to_owned())
        } else {
            let state = if ready > 0 { "ready" } else { "absent" };
            (
                state,
                format!("comes with any event of {family}; {ready} of its {} points are ready", makers.len()),
            )
        };
        (!makers.is_empty()).then(|| [kind.name(), "-", state, "-", &reason].map(str::to_owned))
    };
    let kinds = Kind::ALL.iter().filter(is_shared);
    kinds.filter_map(with).collect()
}

fn shown(plan: &Plan, detail: Detail) -> impl Iterator<Item = &PlannedPoint> {
    plan.points
        .iter()
        .filter(move |planned| !detail.asked_only || planned.report.outcome != Outcome::NotAsked)
}

/// One line; the last cell ends it, and nothing trails.
fn line(cells: &[String; 5], widths: &[usize; 5]) -> String {
    let mut line = String::new();
    for (cell, width) in cells.iter().zip(widths) {
        line += &format!("{cell:width$}  ");
    }
    line.truncate(line.trim_end().len());
    line + "\n"
}

/// The lines of a point: one for each event of its own, or for what it adds to.
fn rows(planned: &PlannedPoint) -> Vec<[String; 5]> {
    let entry = planned.entry();
    let own = entry.point.kinds();
    let kinds: &[Kind] = if own.is_empty() { entry.also } else { own };
    let cells = |kind: &Kind| {
        [
            kind.name().to_owned(),
            entry.name().to_owned(),
            state(&planned.report.outcome).to_owned(),
            through(planned),
            reason(planned),
        ]
    };
    kinds.iter().map(cells).collect()
}

/// The state of a point that is only planned: what would be attached is ready.
fn state(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Attached { .. } => "ready",
        Outcome::Fallback { .. } => "fallback",
        Outcome::Absent { .. } => "absent",
        Outcome::Inlined { .. } => "inlined",
        Outcome::Denied { .. } => "denied",
        Outcome::Refused { .. } => "refused",
        Outcome::Unresolved { .. } => "unresolved",
        Outcome::NotAsked => "not asked",
    }
}

/// Kinds of the programs and what they are attached to.
fn through(planned: &PlannedPoint) -> String {
    let Some(chosen) = &planned.candidate else { return "-".to_owned() };
    let mut kinds: Vec<&str> =
        chosen.programs(planned.point).iter().map(|program| program.kind.name()).collect();
    // The entry first, as the kernel runs them.
    kinds.reverse();
    format!("{} {}", kinds.join("+"), chosen.symbol)
}

fn reason(planned: &PlannedPoint) -> String {
    let mut reasons = match &planned.report.outcome {
        Outcome::Attached { .. } => Vec::new(),
        Outcome::Fallback { lost, .. } => vec![format!("lost: {lost}")],
        Outcome::Absent { reason, .. } | Outcome::Inlined { reason } | Outcome::Denied { reason } => {
            vec![reason.clone()]
        }
        Outcome::Refused { reason, .. } => vec![reason.clone()],
        Outcome::Unresolved { missing } => vec![format!("not found: {}", missing.join(", "))],
        Outcome::NotAsked if planned.is_per_vma() => {
            vec!["one event a VMA: ask for it by name or with --per-vma".to_owned()]
        }
        Outcome::NotAsked => Vec::new(),
    };
    if is_dearer(planned) {
        reasons.push("each hit costs more than through a trampoline".to_owned());
    }
    if planned.candidate.is_some() && !planned.serves.is_empty() {
        reasons.push(format!("completes the records of {}", names(&planned.serves)));
    }
    if planned.candidate.as_ref().is_some_and(|chosen| chosen.unfamiliar.is_some()) {
        reasons.push("its parameter list is new to this version; arguments were found by name".to_owned());
    }
    reasons.join("; ")
}

/// Whether a cheaper way to the same function was passed over. That is a cost, and nothing that a rule misses.
fn is_dearer(planned: &PlannedPoint) -> bool {
    planned.candidate.as_ref().is_some_and(|chosen| {
        let cheaper = |attempt: &Attempt| {
            attempt.symbol == chosen.symbol
                && matches!(attempt.method, AttachMethod::Fentry | AttachMethod::Tracepoint)
        };
        matches!(chosen.method, AttachMethod::Kprobe | AttachMethod::RawTracepoint)
            && planned.report.attempts.iter().any(cheaper)
    })
}

fn names(points: &[Point]) -> String {
    let names: Vec<&str> = points.iter().map(|point| catalogue::entry(*point).name()).collect();
    names.join(", ")
}

/// A line for each candidate, and what stood in its way.
fn candidates(planned: &PlannedPoint) -> String {
    let mut text = String::new();
    for candidate in planned.entry().candidates {
        text += &format!("    {}, {}", candidate.symbol, candidate.versions);
        if let Some(chosen) = planned.candidate.as_ref().filter(|chosen| serves_as(&chosen.symbol, candidate))
        {
            text += ": chosen";
            if let Some(parameters) = &chosen.unfamiliar {
                text += &format!(", as ({parameters})");
            }
        }
        text += "\n";
        for attempt in &planned.report.attempts {
            if serves_as(&attempt.symbol, candidate) {
                let way = if attempt.reason == NOT_THERE {
                    String::new()
                } else {
                    format!("not by {}: ", attempt.method.name())
                };
                text += &format!("        {way}{}\n", attempt.reason);
            }
        }
    }
    text
}

/// Whether the symbol is the candidate or a copy of it that the compiler made.
fn serves_as(symbol: &str, candidate: &Candidate) -> bool {
    symbol.strip_prefix(candidate.symbol).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Where the plan's knowledge comes from.
#[derive(Clone, Debug, Serialize)]
pub struct Source {
    /// `uname -r` of the running kernel; absent for another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
    /// File with the types.
    pub btf: String,
    /// Whether the kernel's symbols were looked at; otherwise BTF decides which functions there are.
    pub symbols_verified: bool,
    /// Whether the kernel is in lockdown (confidentiality); absent where that cannot be seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lockdown: Option<bool>,
}

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    #[serde(flatten)]
    source: &'a Source,
    points: Vec<PointDocument<'a>>,
}

#[derive(Serialize)]
struct PointDocument<'a> {
    #[serde(flatten)]
    report: &'a PointReport,
    per_vma: bool,
    /// Points whose records it completes, where its own events were not asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    serves: Vec<&'static str>,
    programs: Vec<String>,
    /// The function's parameter list, when the catalogue does not know it.
    #[serde(skip_serializing_if = "Option::is_none")]
    unfamiliar: Option<&'a str>,
    candidates: Vec<CandidateDocument>,
}

#[derive(Serialize)]
struct CandidateDocument {
    symbol: &'static str,
    versions: &'static str,
    signatures: &'static [&'static str],
    #[serde(skip_serializing_if = "Option::is_none")]
    lost: Option<&'static str>,
}

/// The plan as one JSON object.
///
/// # Errors
/// None that these types can cause; the serialiser's own.
pub fn json(plan: &Plan, source: &Source, detail: Detail) -> serde_json::Result<String> {
    let document =
        Document { schema: SCHEMA, source, points: shown(plan, detail).map(point_document).collect() };
    serde_json::to_string_pretty(&document).map(|text| text + "\n")
}

fn point_document(planned: &PlannedPoint) -> PointDocument<'_> {
    let entry: &Entry = planned.entry();
    let chosen = planned.candidate.as_ref();
    PointDocument {
        report: &planned.report,
        per_vma: planned.is_per_vma(),
        serves: planned.serves.iter().map(|point| catalogue::entry(*point).name()).collect(),
        programs: chosen.map_or_else(Vec::new, |chosen| {
            chosen.programs(planned.point).into_iter().map(|program| program.name).collect()
        }),
        unfamiliar: chosen.and_then(|chosen| chosen.unfamiliar.as_deref()),
        candidates: entry
            .candidates
            .iter()
            .map(|candidate| CandidateDocument {
                symbol: candidate.symbol,
                versions: candidate.versions,
                signatures: candidate.signatures,
                lost: candidate.lost,
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use tracer_common::family::Family;

    use super::*;
    use crate::event::EventName;
    use crate::golden_common::assert_golden;
    use crate::probe::testing::TestKernel;
    use crate::probe::{Request, select};

    fn golden(name: &str, actual: &str) {
        assert_golden(format!("src/probe/golden/{name}"), actual);
    }

    fn everything() -> Request {
        Request { kinds: Kind::ALL.iter().copied().collect(), ..Request::default() }
    }

    #[test]
    fn text_of_distribution_kernels() {
        let plan = Plan::make(&TestKernel::v6_1(), &Request::default());
        golden("v6_1.txt", &text(&plan, Detail::default()));
        let plan = Plan::make(&TestKernel::v5_15(), &everything());
        golden("v5_15_verbose.txt", &text(&plan, Detail { candidates: true, asked_only: false }));
    }

    #[test]
    fn text_of_one_family_with_what_completes_it() {
        let kinds = select(&[EventName::Family(Family::Exclusive)], false);
        let plan = Plan::make(&TestKernel::v6_12_hmm(), &Request { kinds, ..Request::default() });
        golden("v6_12_exclusive.txt", &text(&plan, Detail { asked_only: true, candidates: false }));
    }

    #[test]
    fn text_in_lockdown() {
        let kinds = select(&[EventName::Family(Family::Swiotlb)], false);
        let request = Request { kinds, probe_read: false, ..Request::default() };
        let plan = Plan::make(&TestKernel::v6_12(), &request);
        golden("v6_12_lockdown.txt", &text(&plan, Detail { asked_only: true, candidates: false }));
    }

    #[test]
    fn json_names_every_point() {
        let plan = Plan::make(&TestKernel::v6_15(), &everything());
        let source =
            Source { release: None, btf: "vmlinux".to_owned(), symbols_verified: true, lockdown: None };
        let document: serde_json::Value =
            serde_json::from_str(&json(&plan, &source, Detail::default()).unwrap()).unwrap();
        assert_eq!(document["schema"], SCHEMA);
        let points = document["points"].as_array().unwrap();
        assert_eq!(points.len(), Point::COUNT);
        let restore = points.iter().find(|point| point["point"] == "restore_exclusive_pte").unwrap();
        assert_eq!(restore["outcome"]["state"], "attached");
        assert_eq!(restore["programs"][1], "fentry_restore_exclusive_pte");
        assert_eq!(restore["candidates"][0]["versions"], "5.14 on");
    }
}
