//! Whether budgets are kept.

use serde::Serialize;

use super::{Gate, Limit, Metric, Relation};
use crate::check::Outcome;
use crate::compare::comparison::{Measured, Sides};
use crate::compare::noise::{beyond, holm};
use crate::compare::sample::Run;
use crate::compare::text::{interval, number, percent};
use crate::event::{LossCause, total};

/// The answer of a budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum GateOutcome {
    /// It is kept.
    Pass,
    /// It is exceeded, beyond noise.
    Fail,
    /// It is exceeded, but that can be noise; or there is nothing to judge.
    Inconclusive,
}

impl From<GateOutcome> for Outcome {
    fn from(outcome: GateOutcome) -> Self {
        match outcome {
            GateOutcome::Pass => Self::Pass,
            GateOutcome::Fail => Self::Violated,
            GateOutcome::Inconclusive => Self::Inconclusive,
        }
    }
}

/// A budget with its answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GateResult {
    /// The budget as it was given.
    pub gate: String,
    /// The answer.
    pub outcome: GateOutcome,
    /// The numbers, and why it is inconclusive; one sentence without a full stop.
    pub reason: String,
}

/// A budget whose noise is still to be held against that of the others.
enum Finding {
    Done(GateOutcome, String),
    Exceeded { chance: f64, numbers: String },
}

/// Judges budgets together: no more than 1 - confidence of all comparisons without a difference fail in any.
pub fn judge(gates: &[Gate], sides: &Sides, strict: bool) -> Vec<GateResult> {
    let findings: Vec<Finding> = gates.iter().map(|gate| find(gate, sides, strict)).collect();
    let chances: Vec<f64> = findings
        .iter()
        .map(|finding| match finding {
            Finding::Exceeded { chance, .. } => *chance,
            Finding::Done(..) => 1.0,
        })
        .collect();
    let results = gates.iter().zip(findings).zip(holm(&chances)).map(|((gate, finding), adjusted)| {
        let (outcome, reason) = match finding {
            Finding::Done(outcome, reason) => (outcome, reason),
            Finding::Exceeded { numbers, .. } if adjusted <= 1.0 - sides.confidence => {
                (GateOutcome::Fail, format!("{numbers}; beyond noise"))
            }
            Finding::Exceeded { numbers, .. } => (
                GateOutcome::Inconclusive,
                format!("{numbers}; over the budget, but not beyond noise: record more runs"),
            ),
        };
        GateResult { gate: gate.text.clone(), outcome, reason }
    });
    results.collect()
}

fn find(gate: &Gate, sides: &Sides, strict: bool) -> Finding {
    let Metric::Event(kind, quantity) = gate.metric else {
        return whole(gate, &sides.after);
    };
    let measured = sides.measure(kind, quantity);
    let none = |side: &str| {
        Finding::Done(GateOutcome::Inconclusive, format!("{side} has no such event, or did not measure it"))
    };
    let (before, after) = (Measured::value(&measured.before), Measured::value(&measured.after));
    let shown = |value: f64| number(value, quantity);
    match gate.limit {
        Limit::Change(limit) => {
            let (Some(before), Some(after)) = (before, after) else {
                return none(if before.is_none() { "A" } else { "B" });
            };
            if let (Some(obstacle), false) = (&measured.obstacle, strict) {
                return Finding::Done(
                    GateOutcome::Inconclusive,
                    format!("A and B are not comparable: {obstacle}"),
                );
            }
            let Some(change) = measured.change else {
                return Finding::Done(GateOutcome::Inconclusive, "not every run has such events".to_owned());
            };
            let numbers = format!(
                "{} to {}, {} {}",
                shown(before),
                shown(after),
                percent(change.change),
                interval(&change)
            );
            verdict(gate.relation, change.change, limit, strict, numbers, change.p.unwrap_or(1.0))
        }
        Limit::Number(limit) => {
            let Some(after) = after else {
                // No event at all is a count of 0.
                let is_count =
                    matches!(quantity, crate::compare::Quantity::Count | crate::compare::Quantity::Rate);
                if is_count && measured.obstacle.is_none() {
                    return verdict(gate.relation, 0.0, limit, true, "0".to_owned(), 1.0);
                }
                return none("B");
            };
            let exact = measured.after.iter().all(|estimate| estimate.variance.is_none())
                && measured.after.len() == 1;
            verdict(
                gate.relation,
                after,
                limit,
                strict || exact,
                shown(after),
                beyond(&measured.after, limit),
            )
        }
    }
}

/// The answer for a number and its limit; `chance` is that of such a number by noise alone.
fn verdict(
    relation: Relation,
    number: f64,
    limit: f64,
    strict: bool,
    numbers: String,
    chance: f64,
) -> Finding {
    if relation.holds(number, limit) {
        Finding::Done(GateOutcome::Pass, numbers)
    } else if strict {
        Finding::Done(GateOutcome::Fail, numbers)
    } else {
        Finding::Exceeded { chance, numbers }
    }
}

/// Budgets of the second side as a whole: plain numbers, without noise.
fn whole(gate: &Gate, after: &[Run]) -> Finding {
    let rules = |outcome| after.iter().map(|run| run.verdict.count(outcome)).max().unwrap_or_default() as u64;
    let lost = |cause| total(after.iter().map(|run| run.missing.of_cause(cause)));
    let number = match gate.metric {
        Metric::Lost => lost(LossCause::Lost),
        Metric::Missed => lost(LossCause::Missed),
        Metric::Dropped => lost(LossCause::Dropped),
        Metric::Unpaired => total(after.iter().map(|run| run.missing.unpaired())),
        Metric::Violated => rules(Outcome::Violated),
        Metric::Inconclusive | Metric::Event(..) => rules(Outcome::Inconclusive),
    };
    let Limit::Number(limit) = gate.limit else {
        return Finding::Done(GateOutcome::Inconclusive, "it has no change in per cent".to_owned());
    };
    let numbers = format!("{number} in B");
    if gate.relation.holds(number as f64, limit) {
        return Finding::Done(GateOutcome::Pass, numbers);
    }
    Finding::Done(GateOutcome::Fail, numbers)
}
