//! The comparison for people: gates, rules that changed, differences, then what is the same.

use anstyle::{AnsiColor, Style};

use super::basis::Basis;
use super::noise::{Change, Verdict};
use super::quantity::Quantity;
use super::side::Origin;
use super::{Comparison, GateOutcome, Row};
use crate::check::Outcome;
use crate::check::formats::lines::{Line, Lines, counted, seconds};
use crate::check::formats::words::plain;

/// The comparison as text, ended by a line feed; `top` rows of each verdict at most.
pub fn text(comparison: &Comparison, top: usize, color: bool) -> String {
    let mut page = Page { text: String::new(), color };
    page.line(headline_style(comparison), &headline(comparison));
    for (side, runs) in [("A", &comparison.before), ("B", &comparison.after)] {
        for run in runs {
            page.paragraph(0, &origin(side, run));
        }
    }
    for difference in &comparison.differences {
        let shown =
            |values: &[String]| values.iter().map(|value| plain(value)).collect::<Vec<_>>().join(" | ");
        let consequence = difference.consequence.map_or_else(String::new, |text| format!("; {text}"));
        page.paragraph(
            0,
            &format!(
                "{} differs: A {}; B {}{consequence}",
                difference.what,
                shown(&difference.before),
                shown(&difference.after)
            ),
        );
    }
    page.paragraph(
        0,
        &format!("rates and time are per {}: {}", comparison.basis.name(), comparison.basis_reason),
    );
    page.paragraph(0, &noise(comparison));
    page.gates(comparison);
    page.rules(comparison);
    page.rows(comparison, top);
    page.text
}

fn headline_style(comparison: &Comparison) -> Style {
    let newly_broken = comparison
        .rules
        .iter()
        .any(|rule| rule.after == Outcome::Violated && rule.before != Outcome::Violated);
    if newly_broken || comparison.gates.iter().any(|gate| gate.outcome == GateOutcome::Fail) {
        AnsiColor::Red.on_default().bold()
    } else if comparison.rows.iter().any(|row| row.verdict.is_difference()) {
        AnsiColor::Yellow.on_default().bold()
    } else {
        Style::new().bold()
    }
}

fn headline(comparison: &Comparison) -> String {
    let count = |wanted: fn(&Verdict) -> bool| {
        comparison.rows.iter().filter(|row| wanted(&row.verdict)).count() as u64
    };
    let differences = count(Verdict::is_difference);
    let mut line = match differences {
        0 => "no difference beyond noise".to_owned(),
        1 => "1 difference beyond noise".to_owned(),
        many => format!("{many} differences beyond noise"),
    };
    let parts: [(u64, &str); 4] = [
        (count(|verdict| matches!(verdict, Verdict::Appeared | Verdict::Vanished)), "on one side only"),
        (count(|verdict| matches!(verdict, Verdict::Incomparable(_))), "incomparable"),
        (count(|verdict| *verdict == Verdict::Unclear), "unclear"),
        (count(|verdict| *verdict == Verdict::Same), "the same"),
    ];
    for (count, what) in parts.into_iter().filter(|(count, _)| *count > 0) {
        line += &format!(", {count} {what}");
    }
    for (side, runs) in [("A", &comparison.before), ("B", &comparison.after)] {
        if runs.iter().any(|run| run.incomplete.is_some()) {
            line += &format!("; {side} is incomplete");
        }
    }
    line
}

fn origin(side: &str, run: &Origin) -> String {
    let mut line = format!(
        "{side}: {} on Linux {}: {} in {}",
        plain(&run.name),
        plain(&run.release),
        counted(run.events, "event"),
        seconds(run.duration)
    );
    for (family, part) in &run.missing {
        line += &format!("; {:.1}% of its {family} events are missing", part * 100.0);
    }
    if let Some(incomplete) = &run.incomplete {
        line += &format!("; incomplete: {}", plain(incomplete));
    }
    line
}

fn noise(comparison: &Comparison) -> String {
    let runs = comparison.before.len() + comparison.after.len();
    let source = if runs > 2 {
        "noise: between and within runs"
    } else {
        "noise: within runs only; give several runs per side to measure it between runs"
    };
    format!(
        "{source}; a difference is reported when it is beyond {}%, with {}% confidence for all {} tests together",
        rounded(comparison.floor),
        rounded(comparison.confidence),
        comparison.tested
    )
}

/// Per cent without needless digits.
fn rounded(part: f64) -> f64 {
    (part * 1e5).round() / 1e3
}

/// A value of a quantity with its unit.
pub fn number(value: f64, quantity: Quantity) -> String {
    if quantity.is_latency() {
        return match value {
            value if value >= 1e9 => format!("{:.3} s", value / 1e9),
            value if value >= 1e6 => format!("{:.2} ms", value / 1e6),
            value if value >= 1e3 => format!("{:.2} us", value / 1e3),
            value => format!("{value:.0} ns"),
        };
    }
    match value {
        value if (value - value.round()).abs() <= 1e-9 * value.abs() => format!("{value:.0}"),
        value if value.abs() >= 100.0 => format!("{value:.1}"),
        value if value.abs() >= 1.0 => format!("{value:.3}"),
        value => format!("{value:.3e}"),
    }
}

/// A ratio less one for people: in per cent, or as a factor where that is easier to read.
pub fn percent(change: f64) -> String {
    match change {
        change if change >= 9.0 => format!("x{:.1}", change + 1.0),
        change => format!("{:+.1}%", change * 100.0),
    }
}

/// The interval of a change; what is not bounded is `?`.
pub fn interval(change: &Change) -> String {
    let end = |end: Option<f64>| end.map_or_else(|| "?".to_owned(), percent);
    format!("[{}, {}]", end(change.low), end(change.high))
}

struct Page {
    text: String,
    color: bool,
}

impl Page {
    fn line(&mut self, style: Style, text: &str) {
        if self.color {
            self.text += &format!("{style}{text}{style:#}\n");
        } else {
            self.text += text;
            self.text.push('\n');
        }
    }

    fn paragraph(&mut self, depth: usize, text: &str) {
        let mut lines = Lines::new(0);
        lines.add(depth, text);
        for Line { depth, text } in lines.finish() {
            self.text += &format!("{:1$}{text}\n", "", 2 * depth);
        }
    }

    fn gates(&mut self, comparison: &Comparison) {
        if !comparison.gates.is_empty() {
            self.text.push('\n');
        }
        for gate in &comparison.gates {
            let (word, style) = match gate.outcome {
                GateOutcome::Pass => ("pass", AnsiColor::Green.on_default()),
                GateOutcome::Fail => ("FAIL", AnsiColor::Red.on_default().bold()),
                GateOutcome::Inconclusive => ("inconclusive", AnsiColor::Yellow.on_default().bold()),
            };
            self.line(style, &format!("gate {word:<12}  {}", plain(&gate.gate)));
            self.paragraph(3, &gate.reason);
        }
    }

    fn rules(&mut self, comparison: &Comparison) {
        let (told, rest): (Vec<_>, Vec<_>) = comparison
            .rules
            .iter()
            .partition(|rule| rule.before != rule.after || rule.after == Outcome::Violated);
        self.text.push('\n');
        let width = told.iter().map(|rule| rule.name.len()).max().unwrap_or(0);
        for rule in told {
            let side = |outcome: Outcome, violations: u64| match violations {
                0 => outcome.name().to_owned(),
                count => format!("{} ({count} times)", outcome.name()),
            };
            let style = match rule.after {
                Outcome::Violated if rule.before != Outcome::Violated => AnsiColor::Red.on_default().bold(),
                _ => Style::new(),
            };
            let (before, after) =
                (side(rule.before, rule.before_violations), side(rule.after, rule.after_violations));
            self.line(style, &format!("rule  {:<width$}  A {before}, B {after}", rule.name));
        }
        let count = |outcome| rest.iter().filter(|rule| rule.after == outcome).count();
        let same: Vec<String> = [Outcome::Pass, Outcome::Inconclusive, Outcome::NotExercised]
            .into_iter()
            .filter(|outcome| count(*outcome) > 0)
            .map(|outcome| format!("{} {}", count(outcome), outcome.name()))
            .collect();
        if !same.is_empty() {
            self.paragraph(0, &format!("rules with the same answer on both sides: {}", same.join(", ")));
        }
    }

    fn rows(&mut self, comparison: &Comparison, top: usize) {
        let shown: Vec<(&Row, [String; 5])> =
            comparison.rows.iter().map(|row| (row, cells(row, comparison.basis))).collect();
        let width = |column: usize, title: &str| {
            let widest = shown.iter().map(|(_, cells)| cells[column].chars().count()).max().unwrap_or(0);
            widest.max(title.len())
        };
        let titles = ["EVENT", "A", "B", "CHANGE", "INTERVAL"];
        let widths: Vec<usize> =
            titles.iter().enumerate().map(|(column, title)| width(column, title)).collect();
        let line = |cells: &[&str; 5], last: &str| {
            format!(
                "{:<a$}  {:>b$}  {:>c$}  {:>d$}  {:<e$}  {last}",
                cells[0],
                cells[1],
                cells[2],
                cells[3],
                cells[4],
                a = widths[0],
                b = widths[1],
                c = widths[2],
                d = widths[3],
                e = widths[4],
            )
        };
        if shown.is_empty() {
            return self.paragraph(0, "neither side has an event to compare");
        }
        self.text.push('\n');
        self.line(Style::new().bold(), &line(&titles, "VERDICT"));
        let mut at = 0;
        while at < shown.len() {
            let word = shown[at].0.verdict.name();
            let many = shown[at..].iter().take_while(|(row, _)| row.verdict.name() == word).count();
            for (row, cells) in &shown[at..at + many.min(top)] {
                let because = match &row.verdict {
                    Verdict::Incomparable(because) => format!("{word}: {}", plain(because)),
                    _ => word.to_owned(),
                };
                let style = match row.verdict {
                    Verdict::Slower | Verdict::More => AnsiColor::Red.on_default(),
                    Verdict::Faster | Verdict::Fewer => AnsiColor::Green.on_default(),
                    _ => Style::new(),
                };
                self.line(style, line(&cells.each_ref().map(String::as_str), &because).trim_end());
            }
            if many > top {
                self.paragraph(1, &format!("and {} more that are {word} (--top)", many - top));
            }
            at += many;
        }
    }
}

fn cells(row: &Row, basis: Basis) -> [String; 5] {
    let unit = match (row.quantity, basis) {
        (Quantity::Rate | Quantity::Time, Basis::Second) => "/s",
        (Quantity::Rate | Quantity::Time, Basis::Event | Basis::Page | Basis::Kind(_)) => "/1",
        _ => "",
    };
    let value =
        |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| number(value, row.quantity) + unit);
    [
        format!("{}.{}", row.event, row.quantity),
        value(row.before),
        value(row.after),
        row.change.map_or_else(String::new, |change| percent(change.change)),
        row.change.filter(|change| change.p.is_some()).as_ref().map_or_else(String::new, interval),
    ]
}
