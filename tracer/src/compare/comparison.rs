//! From two sides of runs to the comparison, which every output is made of.

use serde::Serialize;

use super::basis::{Basis, BasisChoice};
use super::differences::{Difference, differences, latency_obstacle, obstacle};
use super::estimate::{Estimate, estimate};
use super::gate::{Gate, GateResult};
use super::noise::{Change, Verdict, change, holm, middle};
use super::quantity::Quantity;
use super::sample::{Run, is_bookkeeping};
use super::side::Origin;
use crate::check::Outcome;
use crate::event::{Kind, place};

/// The floor when one run a side leaves the noise between runs unseen; `docs/diff.md` has the measurement.
const SINGLE_FLOOR: f64 = 0.25;

/// The floor when several runs tell the noise: what is less is of no interest.
const FLOOR: f64 = 0.05;

/// What is asked of a comparison.
#[derive(Clone, Debug)]
pub struct Options {
    /// What counts are given by.
    pub basis: BasisChoice,
    /// Differences up to this ratio less one count as the same: 0.25 for 25 %. `None` chooses by the number of runs.
    pub floor: Option<f64>,
    /// Chance that no difference of the whole comparison is a false alarm, and that an interval holds the truth.
    pub confidence: f64,
    /// Budgets to judge by.
    pub gates: Vec<Gate>,
    /// Whether gates judge the plain numbers, whatever the noise.
    pub strict: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { basis: BasisChoice::Auto, floor: None, confidence: 0.95, gates: Vec::new(), strict: false }
    }
}

/// One quantity of one event on both sides.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// Name of the event.
    pub event: &'static str,
    /// What of it.
    pub quantity: Quantity,
    /// The first side: the geometric mean of its runs. Nanoseconds for everything but `rate`; `time` is nanoseconds
    /// by the basis.
    pub before: Option<f64>,
    /// The second side.
    pub after: Option<f64>,
    /// The difference, where both have it.
    pub change: Option<Change>,
    /// `change.p`, raised by Holm's method to be held against 1 - confidence.
    pub adjusted_p: Option<f64>,
    /// The answer.
    pub verdict: Verdict,
}

/// One rule on both sides: the worst answer of any run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RulePair {
    /// The rule's name.
    pub name: &'static str,
    /// Answer of the first side.
    pub before: Outcome,
    /// Violations of all its runs.
    pub before_violations: u64,
    /// Answer of the second side.
    pub after: Outcome,
    /// Violations of all its runs.
    pub after_violations: u64,
}

/// Two sides, compared.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// Runs of the first side, A.
    pub before: Vec<Origin>,
    /// Runs of the second side, B.
    pub after: Vec<Origin>,
    /// What rates and time sums are given by.
    pub basis: Basis,
    /// Why by that.
    pub basis_reason: String,
    /// How much of the basis each side has, its runs together.
    pub exposures: [f64; 2],
    /// Ratio less one up to which sides count as the same.
    pub floor: f64,
    /// Confidence of an interval, and that there is no false alarm at all.
    pub confidence: f64,
    /// Quantities that were tested together.
    pub tested: usize,
    /// What the sides do not have in common before any event.
    pub differences: Vec<Difference>,
    /// Rules: those first that only the second side violates.
    pub rules: Vec<RulePair>,
    /// Events by quantity: differences first, by how unlikely they are to be noise.
    pub rows: Vec<Row>,
    /// Budgets.
    pub gates: Vec<GateResult>,
}

/// Both sides' runs with how they are compared.
pub(super) struct Sides {
    pub before: Vec<Run>,
    pub after: Vec<Run>,
    pub basis: Basis,
    pub floor: f64,
    pub confidence: f64,
}

/// A quantity of both sides before it is judged among the others.
pub(super) struct Measured {
    pub before: Vec<Estimate>,
    pub after: Vec<Estimate>,
    pub change: Option<Change>,
    /// Why there is nothing to judge.
    pub obstacle: Option<String>,
}

impl Measured {
    pub fn value(side: &[Estimate]) -> Option<f64> {
        (!side.is_empty()).then(|| middle(side))
    }
}

impl Sides {
    /// What both sides have of a quantity.
    pub fn measure(&self, kind: Kind, quantity: Quantity) -> Measured {
        let side = |runs: &[Run]| -> Vec<Estimate> {
            runs.iter().filter_map(|run| estimate(run, kind, quantity, self.basis)).collect()
        };
        let (before, after) = (side(&self.before), side(&self.after));
        let mut obstacle = obstacle(kind, &self.before, &self.after);
        if obstacle.is_none() && quantity.is_latency() && !before.is_empty() && !after.is_empty() {
            obstacle = latency_obstacle(kind, &self.before, &self.after);
        }
        let is_sum = matches!(quantity, Quantity::Rate | Quantity::Time | Quantity::Count);
        if obstacle.is_none() && is_sum && (self.basis == Basis::Run || quantity == Quantity::Count) {
            obstacle = incomplete(&self.before, &self.after);
        }
        // A run without the event has a rate of 0, which has no ratio to others.
        let is_whole = !is_sum || before.len() == self.before.len() && after.len() == self.after.len();
        let both = !before.is_empty() && !after.is_empty();
        let change = (both && is_whole).then(|| change(&before, &after, self.floor, self.confidence));
        let unbounded =
            |side: &[Estimate]| side.iter().any(|estimate| estimate.up + estimate.down == f64::INFINITY);
        if obstacle.is_none() && both && (unbounded(&before) || unbounded(&after)) {
            obstacle = Some(format!(
                "{} of A's and {} of B's {} events are missing",
                percent(&self.before, kind),
                percent(&self.after, kind),
                kind.family().name()
            ));
        }
        Measured { before, after, change, obstacle }
    }

    /// The answer, when `adjusted` is the chance of the difference among all that were tested.
    pub fn judge(&self, measured: &Measured, quantity: Quantity, adjusted: Option<f64>) -> Verdict {
        if let Some(obstacle) = &measured.obstacle {
            return Verdict::Incomparable(obstacle.clone());
        }
        match (measured.before.is_empty(), measured.after.is_empty()) {
            (true, _) => return Verdict::Appeared,
            (_, true) => return Verdict::Vanished,
            _ => {}
        }
        let Some(change) = measured.change else { return Verdict::Unclear };
        if adjusted.is_some_and(|chance| chance <= 1.0 - self.confidence) {
            return match (
                matches!(quantity, Quantity::Rate | Quantity::Time | Quantity::Count),
                change.change > 0.0,
            ) {
                (true, true) => Verdict::More,
                (true, false) => Verdict::Fewer,
                (false, true) => Verdict::Slower,
                (false, false) => Verdict::Faster,
            };
        }
        let inside = |end: Option<f64>| end.is_some_and(|end| end.ln_1p().abs() <= self.floor.ln_1p());
        let doubt =
            measured.before.iter().chain(&measured.after).any(|estimate| estimate.up + estimate.down > 0.0);
        if (change.change == 0.0 && !doubt) || inside(change.low) && inside(change.high) {
            Verdict::Same
        } else {
            Verdict::Unclear
        }
    }
}

/// Why sums over whole runs cannot be compared, when a run is not whole.
fn incomplete(before: &[Run], after: &[Run]) -> Option<String> {
    let is_cut = |side: &[Run]| side.iter().any(|run| run.verdict.subject.incomplete.is_some());
    [("A", before), ("B", after)]
        .into_iter()
        .find(|(_, runs)| is_cut(runs))
        .map(|(side, _)| format!("{side} is incomplete"))
}

fn percent(side: &[Run], kind: Kind) -> String {
    let part = side.iter().map(|run| run.missing_part(kind.family())).fold(0.0, f64::max);
    format!("{:.1}%", part * 100.0)
}

/// Compares two sides, each of at least one run.
pub fn compare(before: Vec<Run>, after: Vec<Run>, options: &Options) -> Comparison {
    let (basis, basis_reason) = basis(options.basis, &before, &after);
    let floor = options.floor.unwrap_or(match before.len() + after.len() {
        0..=2 => SINGLE_FLOOR,
        _ => FLOOR,
    });
    let sides = Sides { before, after, basis, floor, confidence: options.confidence };
    let rows = rows(&sides);
    Comparison {
        tested: rows.iter().filter(|row| row.adjusted_p.is_some()).count(),
        before: sides.before.iter().map(Origin::new).collect(),
        after: sides.after.iter().map(Origin::new).collect(),
        basis,
        basis_reason,
        exposures: [exposure(&sides.before, basis), exposure(&sides.after, basis)],
        floor,
        confidence: options.confidence,
        differences: differences(&sides.before, &sides.after),
        rules: rules(&sides.before, &sides.after),
        rows,
        gates: super::gate::judge(&options.gates, &sides, options.strict),
    }
}

fn basis(choice: BasisChoice, before: &[Run], after: &[Run]) -> (Basis, String) {
    if let BasisChoice::Fixed(basis) = choice {
        return (basis, "as asked for".to_owned());
    }
    let mut commands = before.iter().chain(after).map(|run| run.header.traced_command.as_ref());
    match commands.next().flatten() {
        Some(first) if commands.all(|command| command == Some(first)) => {
            (Basis::Run, "all runs are of the same command".to_owned())
        }
        _ => (Basis::Second, "the runs are not all of the same command".to_owned()),
    }
}

fn exposure(side: &[Run], basis: Basis) -> f64 {
    let slices = || side.iter().flat_map(|run| &run.slices);
    match basis {
        Basis::Run => side.len() as f64,
        Basis::Second => side.iter().map(|run| run.duration as f64 / 1e9).sum(),
        Basis::Event => slices().map(|slice| slice.events as f64).sum(),
        Basis::Page => slices().map(|slice| slice.pages as f64).sum(),
        Basis::Kind(kind) => side.iter().map(|run| run.count(place(kind)) as f64).sum(),
    }
}

fn rows(sides: &Sides) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut measured = Vec::new();
    for &kind in Kind::ALL.iter().filter(|kind| !is_bookkeeping(**kind)) {
        let is_seen = sides.before.iter().chain(&sides.after).any(|run| run.count(place(kind)) > 0);
        for quantity in Quantity::TESTED.into_iter().filter(|_| is_seen) {
            if matches!(sides.basis, Basis::Kind(of) if of == kind) && quantity == Quantity::Rate {
                continue;
            }
            let found = sides.measure(kind, quantity);
            // That an event is on one side only is told once, by its rate.
            let both = !found.before.is_empty() && !found.after.is_empty();
            if both || quantity == Quantity::Rate {
                measured.push((kind, quantity, found));
            }
        }
    }
    let chance =
        |found: &Measured| found.change.filter(|_| found.obstacle.is_none()).and_then(|change| change.p);
    let mut adjusted =
        holm(&measured.iter().filter_map(|(.., found)| chance(found)).collect::<Vec<_>>()).into_iter();
    for (kind, quantity, found) in measured {
        let adjusted_p = chance(&found).and_then(|_| adjusted.next());
        rows.push(Row {
            event: kind.name(),
            quantity,
            before: Measured::value(&found.before),
            after: Measured::value(&found.after),
            verdict: sides.judge(&found, quantity, adjusted_p),
            change: found.change,
            adjusted_p,
        });
    }
    rows.sort_by(|a, b| {
        let rank = |row: &Row| match row.verdict {
            Verdict::Appeared | Verdict::Vanished => 1,
            Verdict::Incomparable(_) => 2,
            Verdict::Unclear => 3,
            Verdict::Same => 4,
            _ => 0,
        };
        let size = |row: &Row| row.change.map_or(0.0, |change| change.change.ln_1p().abs());
        let chance = |row: &Row| row.adjusted_p.unwrap_or(1.0);
        rank(a).cmp(&rank(b)).then(chance(a).total_cmp(&chance(b))).then(if rank(a) == 0 {
            size(b).total_cmp(&size(a))
        } else {
            std::cmp::Ordering::Equal
        })
    });
    rows
}

fn rules(before: &[Run], after: &[Run]) -> Vec<RulePair> {
    let badness = |outcome: Outcome| match outcome {
        Outcome::NotExercised => 0,
        Outcome::Pass => 1,
        Outcome::Inconclusive => 2,
        Outcome::Violated => 3,
    };
    let side = |runs: &[Run], name: &str| {
        let mut worst = (Outcome::NotExercised, 0);
        for rule in runs.iter().flat_map(|run| &run.verdict.rules).filter(|rule| rule.name == name) {
            worst.1 += rule.violations;
            if badness(rule.outcome) > badness(worst.0) {
                worst.0 = rule.outcome;
            }
        }
        worst
    };
    let names = before.first().into_iter().flat_map(|run| run.verdict.rules.iter().map(|rule| rule.name));
    let mut pairs: Vec<RulePair> = names
        .map(|name| {
            let ((before, before_violations), (after, after_violations)) =
                (side(before, name), side(after, name));
            RulePair { name, before, before_violations, after, after_violations }
        })
        .collect();
    // Newly broken rules first, then the other violations, then what else changed.
    pairs.sort_by_key(|pair| match (pair.before, pair.after) {
        (Outcome::Violated, Outcome::Violated) => 1,
        (_, Outcome::Violated) => 0,
        (Outcome::Violated, _) => 2,
        (before, after) if before != after => 3,
        _ => 4,
    });
    pairs
}
