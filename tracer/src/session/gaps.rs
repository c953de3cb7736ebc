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

/// Points that are attached by another choice than the plan's, because the kernel refused that one: a line each, of what
/// it said.
pub fn second_choices(reports: &[PointReport]) -> impl Iterator<Item = String> {
    reports.iter().filter_map(|report| {
        let (symbol, method) = report.outcome.attached()?;
        let refused = report.attempts.iter().rfind(|attempt| attempt.is_refusal)?;
        Some(format!(
            "{} by {} of {symbol}, because the kernel refused {}: {}",
            report.point,
            method.name(),
            refused.method.name(),
            refused.reason
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::{AttachMethod, Attempt};

    #[test]
    fn a_second_choice_is_told_with_what_the_kernel_said() {
        let attempt = |reason: &str, is_refusal| Attempt {
            symbol: "try_to_unmap".to_owned(),
            method: AttachMethod::Fentry,
            reason: reason.to_owned(),
            is_refusal,
        };
        let report = |method, attempts| PointReport {
            point: "try_to_unmap".to_owned(),
            family: "rmap".to_owned(),
            events: vec!["try_to_unmap".to_owned()],
            outcome: Outcome::Attached { symbol: "try_to_unmap".to_owned(), method },
            attempts,
        };
        let reports = [
            report(AttachMethod::Fentry, vec![]),
            report(AttachMethod::Kprobe, vec![attempt("seven arguments", false)]),
            report(AttachMethod::Kprobe, vec![attempt("load refused: too many states", true)]),
        ];
        assert_eq!(
            second_choices(&reports).collect::<Vec<_>>(),
            [
                "try_to_unmap by kprobe of try_to_unmap, because the kernel refused fentry: load refused: too many states"
            ]
        );
    }
}
