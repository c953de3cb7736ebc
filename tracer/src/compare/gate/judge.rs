//! Whether budgets are kept.

use serde::Serialize;

use super::bounds::Bounds;
use super::{Gate, Limit, Metric};
use crate::check::Outcome;
use crate::compare::comparison::{Measured, Sides};
use crate::compare::estimate::Estimate;
use crate::compare::noise::{beyond, holm};
use crate::compare::quantity::Quantity;
use crate::compare::sample::Run;
use crate::compare::text::{interval, number, percent};
use crate::event::{Kind, LossCause, total};

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

/// What a budget is about, measured.
struct Number {
    value: f64,
    /// As people read it.
    text: String,
    /// Chance of such a number by noise alone, when it exceeds the limit; 0 for a plain number.
    chance: f64,
    /// What it can be in truth.
    bounds: Bounds,
    /// Why that is not known better.
    doubt: Option<String>,
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
    let (number, limit) = match (gate.metric, gate.limit) {
        (Metric::Event(kind, quantity), Limit::Change(limit)) => {
            (change(kind, quantity, sides, strict), limit)
        }
        (Metric::Event(kind, quantity), Limit::Number(limit)) => {
            (of_event(kind, quantity, limit, sides), limit)
        }
        (_, Limit::Change(limit)) => (Err("it has no percentage change".to_owned()), limit),
        (metric, Limit::Number(limit)) => (Ok(whole(metric, &sides.after)), limit),
    };
    let incomplete = incomplete("B", &sides.after).or_else(|| match gate.limit {
        Limit::Change(_) => incomplete("A", &sides.before),
        Limit::Number(_) => None,
    });
    let mut number = match (number, &incomplete) {
        (Ok(number), _) => number,
        (Err(reason), None) => return Finding::Done(GateOutcome::Inconclusive, reason),
        (Err(reason), Some(incomplete)) => {
            return Finding::Done(GateOutcome::Inconclusive, format!("{reason}; {incomplete}"));
        }
    };
    if incomplete.is_some() {
        let bounds = if only_grows(gate) { Bounds::at_least(number.bounds.low) } else { Bounds::UNKNOWN };
        (number.bounds, number.doubt) = (bounds, incomplete.clone());
    }
    let Number { value, text, chance, bounds, doubt } = number;
    if doubt.is_some() && bounds.ever(gate.relation, limit) && !bounds.always(gate.relation, limit)
        || incomplete.is_some() && gate.relation.holds(value, limit)
    {
        let doubt = doubt.unwrap_or_default();
        Finding::Done(GateOutcome::Inconclusive, format!("{text}, but {doubt}"))
    } else if gate.relation.holds(value, limit) {
        Finding::Done(GateOutcome::Pass, text)
    } else if strict || chance <= 0.0 {
        Finding::Done(GateOutcome::Fail, text)
    } else {
        Finding::Exceeded { chance, numbers: text }
    }
}

/// Why a side is no whole recording, when one of its runs is none.
fn incomplete(side: &str, runs: &[Run]) -> Option<String> {
    let (run, why) = runs.iter().find_map(|run| Some((run, run.verdict.subject.incomplete.as_ref()?)))?;
    Some(format!("{side} is incomplete: {}: {why}", run.name))
}

/// Whether what is missing from an incomplete recording can only add to the number.
const fn only_grows(gate: &Gate) -> bool {
    let is_count = match gate.metric {
        Metric::Event(_, quantity) => matches!(quantity, Quantity::Count),
        // A rule may be inconclusive only because the recording is incomplete.
        Metric::Inconclusive => false,
        Metric::Lost | Metric::Missed | Metric::Dropped | Metric::Unpaired | Metric::Violated => true,
    };
    is_count && matches!(gate.limit, Limit::Number(_))
}

/// What follows from events of that family that are missing from a side.
fn missing(runs: &[Run], kind: Kind) -> Option<String> {
    let part = runs.iter().map(|run| run.missing_part(kind.family())).fold(0.0, f64::max);
    (part > 0.0).then(|| format!("{:.1}% of its {} events are missing", part * 100.0, kind.family().name()))
}

/// How the second side differs from the first; or why that is not known.
fn change(kind: Kind, quantity: Quantity, sides: &Sides, strict: bool) -> Result<Number, String> {
    let measured = sides.measure(kind, quantity);
    let (Some(before), Some(after)) = (Measured::value(&measured.before), Measured::value(&measured.after))
    else {
        let side = if measured.before.is_empty() { "A" } else { "B" };
        return Err(format!("{side} has no such event, or did not measure it"));
    };
    if let (Some(obstacle), false) = (&measured.obstacle, strict) {
        return Err(format!("A and B are not comparable: {obstacle}"));
    }
    let change = measured.change.ok_or("not every run has such events")?;
    let doubt = missing(&sides.before, kind)
        .map(|missing| format!("of A {missing}"))
        .or_else(|| Some(format!("of B {}", missing(&sides.after, kind)?)));
    Ok(Number {
        value: change.change,
        text: format!(
            "{} to {}, {} {}",
            number(before, quantity),
            number(after, quantity),
            percent(change.change),
            interval(&change)
        ),
        chance: change.p.unwrap_or(1.0),
        bounds: Bounds::of_change(change.change, &measured.before, &measured.after),
        doubt,
    })
}

/// A quantity of the second side; or why it is not known.
fn of_event(kind: Kind, quantity: Quantity, limit: f64, sides: &Sides) -> Result<Number, String> {
    let measured = sides.measure(kind, quantity);
    let is_count = matches!(quantity, Quantity::Count | Quantity::Rate);
    let doubt = missing(&sides.after, kind).map(|missing| format!("of B {missing}"));
    let Some(value) = Measured::value(&measured.after) else {
        // No event at all is a count of 0.
        if is_count && measured.obstacle.is_none() {
            let bounds = if doubt.is_some() { Bounds::at_least(0.0) } else { Bounds::exact(0.0) };
            return Ok(Number { value: 0.0, text: "0".to_owned(), chance: 0.0, bounds, doubt });
        }
        return Err("B has no such event, or did not measure it".to_owned());
    };
    if is_count && measured.after.len() < sides.after.len() {
        return Err("not every run of B has such events".to_owned());
    }
    let is_plain = matches!(measured.after[..], [Estimate { variance: None, .. }]);
    Ok(Number {
        value,
        text: number(value, quantity),
        chance: if is_plain { 0.0 } else { beyond(&measured.after, limit) },
        bounds: Bounds::of_side(value, &measured.after),
        doubt,
    })
}

/// A number of the second side as a whole.
fn whole(metric: Metric, after: &[Run]) -> Number {
    let rules = |outcome| after.iter().map(|run| run.verdict.count(outcome)).max().unwrap_or_default() as u64;
    let lost = |cause| total(after.iter().map(|run| run.missing.of_cause(cause)));
    let number = match metric {
        Metric::Lost => lost(LossCause::Lost),
        Metric::Missed => lost(LossCause::Missed),
        Metric::Dropped => lost(LossCause::Dropped),
        Metric::Unpaired => total(after.iter().map(|run| run.missing.unpaired())),
        Metric::Violated => rules(Outcome::Violated),
        Metric::Inconclusive | Metric::Event(..) => rules(Outcome::Inconclusive),
    };
    let (value, text) = (number as f64, format!("{number} in B"));
    Number { value, text, chance: 0.0, bounds: Bounds::exact(value), doubt: None }
}
