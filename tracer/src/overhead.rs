//! What the programs themselves cost, by program and by rule.

use std::collections::BTreeSet;

use tracer_common::event::Kind;
use tracer_common::point::Point;

use crate::check::{Selection, kinds_for, rules};

/// One program of a session, with its copies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramCost {
    /// Its name.
    pub name: String,
    /// What it is attached for.
    pub point: Point,
    /// How often it ran.
    pub runs: u64,
    /// Nanoseconds in it.
    pub time: u64,
}

/// A line a program, and how much of `watched` nanoseconds they took; 0 where that is not known.
pub fn by_program(costs: &[ProgramCost], watched: u64) -> Vec<String> {
    let mut lines = vec![format!("{:<40} {:>11} {:>11} {:>9}", "PROGRAM", "RUNS", "TOTAL(ms)", "MEAN(ns)")];
    let (runs, time) = sum(costs.iter());
    let programs = costs.iter().map(|cost| (cost.name.as_str(), cost.runs, cost.time));
    for (name, runs, time) in programs.chain([("all", runs, time)]) {
        let mean = time.checked_div(runs).map_or("-".to_owned(), |mean| mean.to_string());
        lines.push(format!("{name:<40} {runs:>11} {:>11.3} {mean:>9}", milliseconds(time)));
    }
    if watched > 0 {
        let percent = time as f64 * 100.0 / watched as f64;
        lines.push(format!("{percent:.2} % of one CPU, the kernel's measuring of it included"));
    }
    lines
}

/// A line a rule: what the programs that it needs cost, and what would not have been attached without it.
pub fn by_rule(costs: &[ProgramCost], judged: &Selection) -> Vec<String> {
    let mut lines = vec![format!("{:<40} {:>11} {:>11} {:>9}", "RULE", "RUNS", "TOTAL(ms)", "ALONE(ms)")];
    for rule in rules().iter().filter(|rule| judged.contains(rule.name)) {
        let needed: BTreeSet<Kind> = rule.needs.iter().map(|need| need.kind).collect();
        let needed = |cost: &&ProgramCost| makes_any(cost.point, &needed);
        let (runs, time) = sum(costs.iter().filter(needed));
        // A name of the catalogue.
        let others = judged.without(&[rule.name]).map(|others| kinds_for(&others)).unwrap_or_default();
        let (_, alone) = sum(costs.iter().filter(needed).filter(|cost| !makes_any(cost.point, &others)));
        lines.push(format!(
            "{:<40} {runs:>11} {:>11.3} {:>9.3}",
            rule.name,
            milliseconds(time),
            milliseconds(alone)
        ));
    }
    lines
        .push("total: programs that other rules may need too; alone: what --not-rule would spare".to_owned());
    lines
}

fn makes_any(point: Point, kinds: &BTreeSet<Kind>) -> bool {
    point.kinds().iter().any(|kind| kinds.contains(kind))
}

fn sum<'costs>(costs: impl Iterator<Item = &'costs ProgramCost>) -> (u64, u64) {
    costs.fold((0, 0), |(runs, time), cost| (runs + cost.runs, time + cost.time))
}

fn milliseconds(time: u64) -> f64 {
    time as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cost(point: Point, runs: u64, time: u64) -> ProgramCost {
        ProgramCost { name: format!("{point:?}"), point, runs, time }
    }

    fn costs() -> Vec<ProgramCost> {
        vec![
            cost(Point::TryToUnmap, 100, 30_000),
            cost(Point::TryToUnmapOne, 100, 20_000),
            cost(Point::ProcessExit, 1, 1000),
        ]
    }

    #[test]
    fn programs_add_up() {
        let lines = by_program(&costs(), 10_000_000);
        assert_eq!(lines.len(), 6);
        assert_eq!(lines[1].split_whitespace().collect::<Vec<_>>(), ["TryToUnmap", "100", "0.030", "300"]);
        assert_eq!(lines[4].split_whitespace().collect::<Vec<_>>(), ["all", "201", "0.051", "253"]);
        assert!(lines[5].starts_with("0.51 %"), "{}", lines[5]);
    }

    #[test]
    fn what_other_rules_need_is_not_spared() {
        let row = |name: &str, judged: &Selection| {
            let lines = by_rule(&costs(), judged);
            let line = lines.iter().find(|line| line.starts_with(name)).expect("a line").clone();
            line.split_whitespace().skip(1).map(str::to_owned).collect::<Vec<_>>()
        };
        let all = Selection::all();
        assert_eq!(row("mlocked-stays-mapped", &all), ["200", "0.050", "0.020"]);
        assert_eq!(row("rmap-caller-locked", &all), ["100", "0.030", "0.000"]);
        let one = Selection::only(&["rmap-caller-locked"]).expect("a rule");
        assert_eq!(row("rmap-caller-locked", &one), ["100", "0.030", "0.030"]);
        assert_eq!(by_rule(&costs(), &one).len(), 3);
    }
}
