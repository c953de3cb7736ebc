//! The verdict for people: the answer first, then what they have to look at, then what is well.

use anstyle::{AnsiColor, Style};

use super::lines::{Line, Lines, counted, coverage, gaps, headline, losses, subject};
use super::words::plain;
use crate::check::{Outcome, RuleVerdict, Severity, Verdict};

/// The order in which rules are told: the worst first.
const ORDER: [Outcome; 4] = [Outcome::Violated, Outcome::Inconclusive, Outcome::Pass, Outcome::NotExercised];

/// The verdict as text, ended by a line feed.
pub fn render(verdict: &Verdict, color: bool) -> String {
    let mut page = Page { text: String::new(), color };
    page.line(style(verdict.outcome()), &headline(verdict));
    page.paragraph(&subject(verdict));
    if let Some(incomplete) = &verdict.subject.incomplete {
        page.paragraph(&format!("incomplete: {}", plain(incomplete)));
    }
    let width = verdict.rules.iter().map(|rule| rule.name.len()).max().unwrap_or(0);
    for outcome in ORDER {
        let mut rules = verdict.rules.iter().filter(|rule| rule.outcome == outcome).peekable();
        if rules.peek().is_some() {
            page.text.push('\n');
        }
        for rule in rules {
            page.rule(rule, width);
        }
    }
    for diagnosis in &verdict.diagnoses {
        page.text.push('\n');
        let count = counted(diagnosis.count, "time");
        page.line(Style::new().bold(), &format!("diagnosis      {}  {count}", diagnosis.name));
        let mut lines = Lines::new(0);
        lines.diagnosis(1, diagnosis);
        page.lines(lines);
    }
    page.text.push('\n');
    page.paragraph(&losses(verdict));
    page.paragraph(&coverage(verdict));
    for gap in gaps(verdict) {
        let mut lines = Lines::new(0);
        lines.add(1, &gap);
        page.lines(lines);
    }
    page.text
}

fn style(outcome: Outcome) -> Style {
    match outcome {
        Outcome::Violated => AnsiColor::Red.on_default().bold(),
        Outcome::Inconclusive => AnsiColor::Yellow.on_default().bold(),
        Outcome::Pass => AnsiColor::Green.on_default(),
        Outcome::NotExercised => Style::new().dimmed(),
    }
}

struct Page {
    text: String,
    color: bool,
}

impl Page {
    fn line(&mut self, style: Style, text: &str) {
        let mut lines = Lines::new(0);
        lines.add(0, text);
        for Line { depth, text } in lines.finish() {
            let text = format!("{:1$}{text}", "", 2 * depth);
            if self.color {
                self.text += &format!("{style}{text}{style:#}\n");
            } else {
                self.text += &format!("{text}\n");
            }
        }
    }

    fn paragraph(&mut self, text: &str) {
        let mut lines = Lines::new(0);
        lines.add(0, text);
        self.lines(lines);
    }

    fn lines(&mut self, lines: Lines) {
        for Line { depth, text } in lines.finish() {
            self.text += &format!("{:1$}{text}\n", "", 2 * depth);
        }
    }

    fn rule(&mut self, rule: &RuleVerdict, width: usize) {
        let answer = match rule.outcome {
            Outcome::Violated => format!("{} of {}", rule.violations, rule.evaluated),
            Outcome::Pass | Outcome::Inconclusive => format!("{} evaluated", rule.evaluated),
            // In short: one line with its first reason.
            Outcome::NotExercised => rule.reasons.first().map_or_else(String::new, |reason| plain(reason)),
        };
        let line = format!("{:<13}  {:<width$}  {answer}", rule.outcome.name(), rule.name);
        self.line(style(rule.outcome), line.trim_end());
        let mut lines = Lines::new(0);
        match rule.outcome {
            Outcome::Violated => {
                let severity = match rule.severity {
                    Severity::Corruption => "memory is or may be corrupted",
                    Severity::Broken => "a promise of the kernel is broken",
                };
                lines.add(1, &format!("broken: {} ({severity})", plain(rule.title)));
                lines.violations(1, rule);
            }
            Outcome::Inconclusive => {
                rule.reasons.iter().for_each(|reason| lines.add(1, &format!("because {}", plain(reason))));
            }
            Outcome::Pass | Outcome::NotExercised => {}
        }
        for note in &rule.notes {
            lines.add(1, &format!("note: {}", plain(note)));
        }
        if matches!(rule.outcome, Outcome::Violated) {
            lines.add(1, &format!("`rmapscope explain {}` shows what the kernel promises", rule.name));
        }
        self.lines(lines);
    }
}
