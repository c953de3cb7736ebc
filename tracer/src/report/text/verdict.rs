//! Rules that did not pass, and the diagnoses.

use std::collections::BTreeMap;

use super::layout::{BAD, DOUBTFUL, HEADING, Page};
use super::{Shown, counted};
use crate::check::formats::lines::Lines;
use crate::check::formats::words::plain;
use crate::check::{Outcome, RuleVerdict};
use crate::report::model::Report;

/// Violations of a rule that are shown here: `check` shows all that were kept.
const EVIDENCE: usize = 1;

/// Rules that are violated, with evidence, then those that are inconclusive, by their reasons.
pub fn rules(report: &Report, page: &mut Page) -> Shown {
    let of = |outcome| report.verdict.rules.iter().filter(move |rule| rule.outcome == outcome);
    if of(Outcome::Violated).chain(of(Outcome::Inconclusive)).next().is_none() {
        return Shown::Nothing;
    }
    page.heading("Rules", "`rmapscope explain RULE` shows what the kernel promises");
    for rule in of(Outcome::Violated) {
        let times = format!("{} of {}", rule.violations, rule.evaluated);
        page.prose(BAD, 1, &format!("violated {times}: {}: {}", rule.name, plain(rule.title)));
        let mut lines = Lines::within(page.layout.width);
        let shown =
            RuleVerdict { evidence: rule.evidence.iter().take(EVIDENCE).cloned().collect(), ..rule.clone() };
        lines.violations(2, &shown);
        page.wrapped(anstyle::Style::new(), lines);
    }
    let (unasked, open): (Vec<_>, Vec<_>) = of(Outcome::Inconclusive).partition(|rule| rule.is_unasked);
    let mut by_reasons: BTreeMap<&[String], Vec<&str>> = BTreeMap::new();
    for rule in open {
        by_reasons.entry(&rule.reasons).or_default().push(rule.name);
    }
    for (reasons, names) in by_reasons {
        page.prose(DOUBTFUL, 1, &format!("inconclusive: {}", names.join(", ")));
        for reason in reasons {
            page.plain(2, &format!("because {}", plain(reason)));
        }
    }
    if !unasked.is_empty() {
        let names: Vec<_> = unasked.iter().map(|rule| rule.name).collect();
        page.prose(DOUBTFUL, 1, &format!("inconclusive: {}", names.join(", ")));
        page.plain(2, "because events that they need were not requested; `rmapscope check -i` shows which");
    }
    Shown::Yes
}

/// Trouble explained that is no fault of the kernel.
pub fn diagnoses(report: &Report, page: &mut Page) -> Shown {
    if report.verdict.diagnoses.is_empty() {
        return Shown::Nothing;
    }
    page.heading("Diagnoses", "problems that are not the kernel's fault");
    for diagnosis in &report.verdict.diagnoses {
        page.prose(HEADING, 1, &format!("{}, {}", diagnosis.name, counted(diagnosis.count, "time")));
        page.plain(2, &plain(&diagnosis.summary));
        page.plain(2, &format!("try: {}", plain(diagnosis.remedy)));
    }
    Shown::Yes
}
