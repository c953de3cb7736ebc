//! What was traced, how it went, in two lines; and what the reader has to know before any number.

use super::layout::{BAD, DIM, DOUBTFUL, GOOD, HEADING, Page};
use super::{counted, duration, units};
use crate::check::Outcome;
use crate::check::formats::lines::headline;
use crate::check::formats::words::plain;
use crate::event::total;
use crate::report::model::Report;

/// The lines above the first section.
pub fn write(report: &Report, page: &mut Page) {
    if let Some(incomplete) = &report.losses.incomplete {
        page.prose(DOUBTFUL, 0, &format!("incomplete: {}", plain(incomplete)));
    }
    for silent in &report.verdict.subject.silent {
        page.prose(DOUBTFUL, 0, &silent.line());
    }
    page.prose(HEADING, 0, &subject(report, page));
    let verdict = &report.verdict;
    let (style, answer) = match verdict.outcome() {
        Outcome::Violated => (BAD, headline(verdict)),
        Outcome::Inconclusive => (DOUBTFUL, headline(verdict)),
        Outcome::Pass => (GOOD, headline(verdict)),
        Outcome::NotExercised => (DIM, headline(verdict)),
    };
    page.prose(style, 0, &format!("{answer}; {}", losses(report)));
    if let Some(filter) = &report.filter {
        let text = format!(
            "only {}: {} of {} (the verdict is of all)",
            plain(filter),
            report.total.count,
            counted(verdict.subject.events, "event")
        );
        page.prose(DOUBTFUL, 0, &text);
    }
}

/// Kernel, host, command, events and time.
fn subject(report: &Report, page: &Page) -> String {
    let subject = &report.verdict.subject;
    let mut line = "Linux".to_owned();
    for (before, text) in [(" ", &subject.release), (" ", &subject.machine), (" on ", &subject.host)] {
        if !text.is_empty() {
            line += before;
            line += &plain(text);
        }
    }
    if let Some(command) = &subject.command {
        line += &format!(", `{}`", plain(&command.join(" ")));
        match subject.command_status {
            Some(0) | None => {}
            Some(status) => line += &format!(" (status {status})"),
        }
    }
    if let Some(watched) = &subject.watched {
        line += &format!(", only {}", plain(watched));
    }
    let duration = duration(report);
    line += &format!(": {} in {}", counted(subject.events, "event"), page.time(duration));
    let rate = units::rate(subject.events, duration);
    if !rate.is_empty() {
        line += &format!(", {rate} per second");
    }
    line
}

/// The losses in a few words; by family they are at the end.
fn losses(report: &Report) -> String {
    let losses = &report.losses;
    let sums = [("lost", &losses.lost), ("missed", &losses.missed), ("dropped", &losses.dropped)];
    let mut parts: Vec<String> = sums
        .into_iter()
        .filter_map(|(name, counts)| {
            let sum = total(counts.values());
            (sum > 0).then(|| format!("{name} {sum}"))
        })
        .collect();
    let unknown = total(report.verdict.subject.unknown_kinds.values());
    if unknown > 0 {
        parts.push(format!("{unknown} of them of unknown kinds"));
    }
    if losses.stacks_lost > 0 {
        parts.push(format!("stacks lost {}", losses.stacks_lost));
    }
    if !report.verdict.subject.silent.is_empty() {
        parts.push("probes could not fire".to_owned());
    }
    if parts.is_empty() { "no event lost".to_owned() } else { parts.join(", ") }
}
