//! The rules' answers with their evidence, and the diagnoses.

use askama::Template;

use super::grid::{Cell, Grid, numbers, words};
use super::{Block, Section};
use crate::check::formats::lines::{Lines, counted};
use crate::check::formats::words::plain;
use crate::check::{Evidence, Outcome, RuleVerdict, Severity, Verdict};

/// What has to be looked at: a rule or a diagnosis, its evidence folded up.
#[derive(Template)]
#[template(path = "report/rule.html")]
pub struct Rules {
    /// The class that its colour comes from.
    class: &'static str,
    /// The answer in a word: colour alone says nothing.
    word: &'static str,
    name: &'static str,
    summary: String,
    paragraphs: Vec<String>,
    cases: Vec<Case>,
    more: u64,
}

struct Case {
    what: String,
    lines: String,
}

/// Every rule: first those that do not hold.
pub fn rules(verdict: &Verdict) -> Section {
    let of = |outcome| verdict.rules.iter().filter(move |rule| rule.outcome == outcome);
    let mut blocks: Vec<Block> = of(Outcome::Violated).chain(of(Outcome::Inconclusive)).map(rule).collect();
    let mut grid = Grid::new(
        format!("All {} rules", verdict.rules.len()),
        [
            words("rule"),
            words("answer"),
            numbers("evaluated"),
            numbers("violations"),
            words("what it says"),
            words("remark"),
        ],
    );
    for outcome in [Outcome::Violated, Outcome::Inconclusive, Outcome::Pass, Outcome::NotExercised] {
        for rule in of(outcome) {
            let remarks: Vec<String> =
                rule.reasons.iter().chain(&rule.notes).map(|text| plain(text)).collect();
            grid.row([
                Cell::from(rule.name),
                outcome.name().into(),
                rule.evaluated.into(),
                rule.violations.into(),
                plain(rule.title).into(),
                remarks.join("; ").into(),
            ]);
        }
    }
    blocks.push(grid.folded().block());
    let remark = "`rmapscope explain RULE` shows what the kernel promises".to_owned();
    Section { id: "rules", title: "Rules", remark, blocks }
}

fn rule(rule: &RuleVerdict) -> Block {
    let mut paragraphs = Vec::new();
    let summary = match rule.outcome {
        Outcome::Violated => {
            paragraphs.push(match rule.severity {
                Severity::Corruption => "Memory is or may be corrupted.".to_owned(),
                Severity::Broken => "A promise of the kernel is broken.".to_owned(),
            });
            format!("{} of {}: {}", rule.violations, rule.evaluated, plain(rule.title))
        }
        _ => plain(rule.title),
    };
    paragraphs.extend(rule.reasons.iter().map(|reason| format!("Because {}.", plain(reason))));
    paragraphs.extend(rule.notes.iter().map(|note| format!("Note: {}.", plain(note))));
    Block::Rules(Rules {
        class: class(rule.outcome),
        word: rule.outcome.name(),
        name: rule.name,
        summary,
        paragraphs,
        cases: rule.evidence.iter().map(case).collect(),
        more: rule.violations.saturating_sub(rule.evidence.len() as u64),
    })
}

/// Trouble explained that is no fault of the kernel.
pub fn diagnoses(verdict: &Verdict) -> Section {
    let blocks = verdict.diagnoses.iter().map(|diagnosis| {
        Block::Rules(Rules {
            class: "doubtful",
            word: "diagnosis",
            name: diagnosis.name,
            summary: format!("{}: {}", counted(diagnosis.count, "time"), plain(&diagnosis.summary)),
            paragraphs: vec![format!("Try: {}.", plain(diagnosis.remedy))],
            cases: diagnosis.evidence.iter().map(case).collect(),
            more: diagnosis.count.saturating_sub(diagnosis.evidence.len() as u64),
        })
    });
    let remark = "problems that are not the kernel's fault".to_owned();
    Section { id: "diagnoses", title: "Diagnoses", remark, blocks: blocks.collect() }
}

fn case(evidence: &Evidence) -> Case {
    let mut lines = Lines::new(0);
    lines.evidence(0, 1, evidence);
    // The first line is the sentence that stands in the summary.
    let depth_of = |line: &&crate::check::formats::lines::Line| line.depth > 0;
    let lines: Vec<String> = lines
        .finish()
        .iter()
        .filter(depth_of)
        .map(|line| format!("{:1$}{2}", "", 2 * (line.depth - 1), line.text))
        .collect();
    Case { what: plain(&evidence.what), lines: lines.join("\n") }
}

/// The class of an answer.
pub const fn class(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Pass => "good",
        Outcome::Violated => "bad",
        Outcome::Inconclusive => "doubtful",
        Outcome::NotExercised => "dim",
    }
}
