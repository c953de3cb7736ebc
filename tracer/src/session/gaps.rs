//! What is not traced, in words.

use crate::probe::{Outcome, PointReport};

/// Why a point that was asked for is not attached; empty for the others.
pub fn reason(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Attached { .. } | Outcome::Fallback { .. } | Outcome::NotAsked => String::new(),
        Outcome::Absent { reason, .. } => format!("absent, {reason}"),
        Outcome::Inlined { reason } => format!("inlined, {reason}"),
        Outcome::Denied { reason } => format!("denied, {reason}"),
        Outcome::Refused { reason, .. } => format!("refused, {reason}"),
        Outcome::Unresolved { missing } => format!("this kernel lacks {}", missing.join(", ")),
    }
}

/// Points that were asked for, and those of them that are attached.
pub fn coverage(reports: &[PointReport]) -> (usize, usize) {
    let asked = reports.iter().filter(|report| report.outcome != Outcome::NotAsked);
    asked.fold((0, 0), |(asked, attached), report| {
        (asked + 1, attached + usize::from(report.outcome.is_attached()))
    })
}

/// Points that were asked for and are not attached.
pub fn gaps(reports: &[PointReport]) -> impl Iterator<Item = &PointReport> {
    reports.iter().filter(|report| report.outcome != Outcome::NotAsked && !report.outcome.is_attached())
}
