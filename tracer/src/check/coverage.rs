//! Which events a stream can have, by what became of the probe points.

use tracer_common::event::Kind;
use tracer_common::point::Point;

use super::facts::Facts;
use super::info::{Need, Role};
use super::silence::Silences;
use crate::kernel::Switch;
use crate::probe::{Outcome, PointReport};
use crate::session::gaps;

/// Whether events of a kind can be in the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Availability {
    /// Their probe is attached.
    Attached {
        /// What the fallback that was taken does not tell.
        lost: Option<String>,
    },
    /// This kernel cannot do what they tell of, for that reason.
    Impossible(String),
    /// Their probe is missing, for that reason.
    Missing(Missing),
}

/// Why events are missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// In words.
    pub reason: String,
    /// What kind of reason it is.
    pub cause: Cause,
}

/// What kind of reason events are missing for: each has its remedy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The session did not ask for them.
    NotAsked,
    /// A switch of the kernel is off.
    Off(Switch),
    /// The kernel does not give them.
    Kernel,
}

impl Cause {
    const fn remedy(self) -> &'static str {
        match self {
            Self::NotAsked => "record it as well (-e), or drop the rule (--not-rule)",
            Self::Off(switch) => switch.remedy(),
            Self::Kernel => "`rmapscope probes` and `rmapscope doctor` show what this kernel supports",
        }
    }
}

/// Whether events of that kind can be in a session with these probes.
pub fn availability(probes: &[PointReport], kind: Kind) -> Availability {
    let makers = || probes.iter().filter(|report| report.makes(kind));
    let attached = makers().find(|report| report.outcome.is_attached());
    if let Some(report) = attached
        && !has_blind_spot(probes, kind)
    {
        let lost = match &report.outcome {
            Outcome::Fallback { lost, .. } => Some(lost.clone()),
            _ => None,
        };
        return Availability::Attached { lost };
    }
    let is_impossible =
        |report: &PointReport| matches!(report.outcome, Outcome::Absent { impossible: true, .. });
    let missing = |report: &PointReport| {
        let (reason, cause) = match &report.outcome {
            Outcome::NotAsked => ("its events were not requested".to_owned(), Cause::NotAsked),
            outcome => {
                let reason = gaps::reason(outcome);
                let cause = Switch::blamed(&reason).map_or(Cause::Kernel, Cause::Off);
                (reason, cause)
            }
        };
        Missing { reason: format!("{}: {reason}", report.point), cause }
    };
    // Of several points the one that the kernel could have counts.
    let open = |report: &&PointReport| !is_impossible(report) && !report.outcome.is_attached();
    match makers().find(open).or_else(|| makers().next()) {
        Some(report) if is_impossible(report) => Availability::Impossible(gaps::reason(&report.outcome)),
        Some(report) => Availability::Missing(missing(report)),
        None => {
            let reason = "the session has no probe for it".to_owned();
            Availability::Missing(Missing { reason, cause: Cause::Kernel })
        }
    }
}

/// Whether some of the points that each see a part of these events do not see theirs.
fn has_blind_spot(probes: &[PointReport], kind: Kind) -> bool {
    let is_blind = |report: &PointReport| {
        !report.outcome.is_attached() && !matches!(report.outcome, Outcome::Absent { impossible: true, .. })
    };
    let parts = PARTS.iter().filter(|(of, _)| *of == kind).flat_map(|(_, points)| *points);
    let mut reports = parts.filter_map(|point| probes.iter().find(|report| report.is_of(*point)));
    reports.any(is_blind)
}

/// Events of which each of several points makes some: single mappings and lists.
const PARTS: &[(Kind, &[Point])] = &[(Kind::DmaMapDirect, &[Point::DmaMapPage, Point::DmaDirectMapSg])];

/// What is missing of the events that a rule uses.
#[derive(Debug, Default)]
pub struct Gaps {
    /// Why a needed event is not there; one sentence each.
    pub missing: Vec<Missing>,
    /// Why a needed event may be missing although its probe was attached; one sentence for each reason.
    pub silent: Vec<String>,
    /// Why the kernel cannot do what the rule speaks about.
    pub impossible: Option<String>,
    /// What else is to be known.
    pub notes: Vec<String>,
}

/// What is missing of these events.
pub fn gaps(needs: &[Need], facts: &Facts, silences: &Silences) -> Gaps {
    let mut gaps = Gaps::default();
    let mut silent: Vec<(&str, &str, Vec<&str>)> = Vec::new();
    let mut is_silent = |kind: Kind| {
        let Some((why, remedy)) = silences.of_kind(kind) else { return };
        match silent.iter_mut().find(|(known, ..)| *known == why) {
            Some((_, _, names)) => names.push(kind.name()),
            None => silent.push((why, remedy, vec![kind.name()])),
        }
    };
    for need in needs.iter().filter(|need| need.is_required()) {
        let name = need.kind.name();
        let Missing { reason: why, cause } = match facts.availability(need.kind) {
            Availability::Attached { lost: Some(lost) } if need.role == Role::Whole => {
                Missing { reason: format!("the fallback does not show {lost}"), cause: Cause::Kernel }
            }
            Availability::Attached { .. } => {
                is_silent(need.kind);
                continue;
            }
            Availability::Impossible(_) if need.role == Role::WherePossible => continue,
            Availability::Impossible(reason) => {
                gaps.impossible.get_or_insert_with(|| format!("{name}: {reason}"));
                continue;
            }
            Availability::Missing(missing) => missing.clone(),
        };
        let stand_in =
            needs.iter().find(|other| other.role == Role::InPlaceOf(need.kind) && facts.has(other.kind));
        match stand_in {
            Some(other) => {
                is_silent(other.kind);
                gaps.notes.push(format!("{} is used instead of {name} ({why})", other.kind.name()));
            }
            None => {
                let (serves, remedy) = (need.serves, cause.remedy());
                let reason = format!("{name} is not watched ({why}), which is needed for {serves}: {remedy}");
                gaps.missing.push(Missing { reason, cause });
            }
        }
    }
    gaps.silent = silent
        .into_iter()
        .map(|(why, remedy, names)| format!("{why}, and {} may be missing: {remedy}", names.join(", ")))
        .collect();
    gaps
}
