//! Annotations of GitHub Actions: an error a violated rule, a warning an inconclusive one, a notice a diagnosis.

use super::lines::{Line, Lines, subject};
use super::words::plain;
use crate::check::{Outcome, RuleVerdict, Verdict};

/// Cases of a rule that an annotation shows; more hides the first in GitHub's summary.
const CASES: usize = 3;

/// The verdict as workflow commands, one a line; nothing when there is nothing to say.
pub fn render(verdict: &Verdict) -> String {
    let mut text = String::new();
    for rule in &verdict.rules {
        match rule.outcome {
            Outcome::Violated => command(&mut text, "error", rule.name, violation(verdict, rule)),
            Outcome::Inconclusive => command(&mut text, "warning", rule.name, inconclusive(rule)),
            Outcome::Pass | Outcome::NotExercised => {}
        }
    }
    for diagnosis in &verdict.diagnoses {
        let mut lines = Lines::unwrapped();
        lines.add(0, &plain(&diagnosis.summary));
        lines.add(0, &format!("try: {}", plain(diagnosis.remedy)));
        command(&mut text, "notice", diagnosis.name, lines);
    }
    text
}

fn violation(verdict: &Verdict, rule: &RuleVerdict) -> Lines {
    let mut lines = Lines::unwrapped();
    lines.add(0, &format!("{} of {}: {}", rule.violations, rule.evaluated, plain(rule.title)));
    for (index, evidence) in rule.evidence.iter().take(CASES).enumerate() {
        lines.evidence(0, index + 1, evidence);
    }
    lines.add(0, &subject(verdict));
    lines
}

fn inconclusive(rule: &RuleVerdict) -> Lines {
    let mut lines = Lines::unwrapped();
    lines.add(0, &format!("inconclusive: {}", plain(rule.title)));
    rule.reasons.iter().for_each(|reason| lines.add(0, &format!("because {}", plain(reason))));
    lines
}

/// One command. Line ends and `%` are encoded, in the title what ends a property, too.
fn command(text: &mut String, name: &str, title: &str, message: Lines) {
    let title = format!("rmapscope {title}").replace('%', "%25").replace(':', "%3A").replace(',', "%2C");
    let lines =
        message.finish().into_iter().map(|Line { depth, text }| format!("{:1$}{text}", "", 2 * depth));
    let message = lines.collect::<Vec<_>>().join("\n").replace('%', "%25").replace('\n', "%0A");
    *text += &format!("::{name} title={title}::{message}\n");
}
