//! KTAP version 1: one level, one test per rule (6.12 Documentation/dev-tools/ktap.rst).
//!
//! What belongs to a test stands before its result line, where the kernel's parser looks for it. An inconclusive
//! rule is `not ok … # ERROR`, which parsers that do not know the directive count as failed: never as skipped. A
//! rule that was not exercised is `ok … # SKIP`.

use super::lines::{Line, Lines, gaps, headline, losses, subject};
use super::words::plain;
use crate::check::{Outcome, RuleVerdict, Verdict};

/// `# ` in front of each line.
const MARGIN: usize = 2;

/// The verdict as KTAP.
pub fn render(verdict: &Verdict) -> String {
    let mut text = "KTAP version 1\n".to_owned();
    let mut head = Lines::new(MARGIN);
    head.add(0, &subject(verdict));
    head.add(0, &losses(verdict));
    if let Some(incomplete) = &verdict.subject.incomplete {
        head.add(0, &format!("incomplete: {}", plain(incomplete)));
    }
    gaps(verdict).for_each(|gap| head.add(0, &format!("probe {gap}")));
    diagnostics(&mut text, head);
    text += &format!("1..{}\n", verdict.rules.len());
    for (index, rule) in verdict.rules.iter().enumerate() {
        diagnostics(&mut text, details(rule));
        text += &result(index + 1, rule.name, rule.outcome, &rule.reasons);
    }
    let mut tail = Lines::new(MARGIN);
    for diagnosis in &verdict.diagnoses {
        tail.add(0, &format!("diagnosis {}: {} times", diagnosis.name, diagnosis.count));
        tail.diagnosis(1, diagnosis);
    }
    tail.add(0, &headline(verdict));
    diagnostics(&mut text, tail);
    text
}

fn diagnostics(text: &mut String, lines: Lines) {
    for Line { depth, text: line } in lines.finish() {
        *text += &format!("# {:1$}{line}\n", "", 2 * depth);
    }
}

fn details(rule: &RuleVerdict) -> Lines {
    let mut lines = Lines::new(MARGIN);
    if rule.outcome == Outcome::Violated {
        lines.add(0, &format!("violation: {} of {} evaluated", rule.violations, rule.evaluated));
        lines.add(0, &format!("broken: {}", plain(rule.title)));
        lines.violations(1, rule);
    } else if rule.evaluated > 0 {
        lines.add(0, &format!("evaluated {}", rule.evaluated));
    }
    rule.notes.iter().for_each(|note| lines.add(0, &format!("note: {}", plain(note))));
    lines
}

/// The result line of a test, ended by a line feed. Its name is safe to print, its reasons need not be.
pub(crate) fn result(number: usize, name: &str, outcome: Outcome, reasons: &[String]) -> String {
    // A second `# SKIP` in the line would win over the ERROR in front of it (kunit_parser.py, TEST_RESULT_SKIP).
    let reasons: Vec<String> = reasons.iter().map(|reason| plain(reason).replace('#', "\\x23")).collect();
    let reasons = reasons.join("; ");
    let line = match outcome {
        Outcome::Pass => format!("ok {number} {name}"),
        Outcome::Violated => format!("not ok {number} {name}"),
        Outcome::Inconclusive => format!("not ok {number} {name} # ERROR inconclusive: {reasons}"),
        Outcome::NotExercised => format!("ok {number} {name} # SKIP not exercised: {reasons}"),
    };
    line + "\n"
}
