//! Which events a stream can have, by what became of the probe points.

use std::fmt::Write as _;

use tracer_common::event::Kind;

use super::facts::Facts;
use super::info::{Need, Role};
use super::silence::Silences;
use crate::kernel::Switch;
use crate::probe::{Outcome, PointReport};
use crate::session::gaps;

/// Why a probe is missing that nobody wanted.
pub const NOT_ASKED_FOR: &str = "its events were not asked for";

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
    Missing(String),
}

/// Whether events of that kind can be in a session with these probes.
pub fn availability(probes: &[PointReport], kind: Kind) -> Availability {
    let makers = || probes.iter().filter(|report| report.makes(kind));
    let attached = makers().find(|report| report.outcome.is_attached());
    if let Some(report) = attached {
        let lost = match &report.outcome {
            Outcome::Fallback { lost, .. } => Some(lost.clone()),
            _ => None,
        };
        return Availability::Attached { lost };
    }
    let is_impossible =
        |report: &PointReport| matches!(report.outcome, Outcome::Absent { impossible: true, .. });
    let reason = |report: &PointReport| match &report.outcome {
        Outcome::NotAsked => NOT_ASKED_FOR.to_owned(),
        outcome => gaps::reason(outcome),
    };
    // Of several points the one that the kernel could have counts.
    match makers().find(|report| !is_impossible(report)).or_else(|| makers().next()) {
        Some(report) if is_impossible(report) => Availability::Impossible(reason(report)),
        Some(report) => Availability::Missing(format!("{}: {}", report.point, reason(report))),
        None => Availability::Missing("the session has no probe for it".to_owned()),
    }
}

/// What is missing of the events that a rule uses.
#[derive(Debug, Default)]
pub struct Gaps {
    /// Why a needed event is not there; one sentence each.
    pub missing: Vec<String>,
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
        let why = match facts.availability(need.kind) {
            Availability::Attached { lost: Some(lost) } if need.role == Role::Whole => {
                format!("a fallback does not tell {lost}")
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
            Availability::Missing(reason) => reason.clone(),
        };
        let stand_in =
            needs.iter().find(|other| other.role == Role::InPlaceOf(need.kind) && facts.has(other.kind));
        match stand_in {
            Some(other) => {
                is_silent(other.kind);
                gaps.notes.push(format!("{} stands in for {name} ({why})", other.kind.name()));
            }
            None => {
                let mut sentence = format!("{name} is not watched ({why})");
                let _ = write!(sentence, "; it serves {}: {}", need.serves, remedy(&why));
                gaps.missing.push(sentence);
            }
        }
    }
    gaps.silent = silent
        .into_iter()
        .map(|(why, remedy, names)| format!("{why}, and {} may be missing: {remedy}", names.join(", ")))
        .collect();
    gaps
}

fn remedy(why: &str) -> &'static str {
    if let Some(switch) = Switch::ALL.into_iter().find(|switch| why.contains(switch.name())) {
        switch.remedy()
    } else if why.contains(NOT_ASKED_FOR) {
        "record it, too (-e), or leave the rule out (--not-rule)"
    } else {
        "`rmapscope probes` and `rmapscope doctor` tell what this kernel gives"
    }
}
