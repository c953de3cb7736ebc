//! The page around the sections: what was traced, how it went, links, the search.

use askama::Template;
use chrono::DateTime;

use super::flame::Flame;
use super::{Section, policy, verdict};
use crate::check::formats::lines::{counted, headline};
use crate::check::formats::words::plain;
use crate::event::{total, unknown_kinds};
use crate::report::model::Report;
use crate::report::text::units;

/// The page's style.
pub const STYLE: &str = include_str!("../../../templates/report/page.css");
/// The page's script.
pub const SCRIPT: &str = include_str!("../../../templates/report/page.js");

/// The whole page.
#[derive(Template)]
#[template(path = "report/page.html")]
pub struct Page {
    title: String,
    policy: String,
    style: &'static str,
    script: &'static str,
    class: &'static str,
    headline: String,
    /// Names and values of what was traced.
    facts: Vec<(&'static str, String)>,
    /// What the reader has to know before any number.
    alarms: Vec<String>,
    sections: Vec<Section>,
}

impl Page {
    /// Of a report and its sections.
    pub fn new(report: &Report, flames: &[Flame], sections: Vec<Section>) -> Self {
        let verdict = &report.verdict;
        let kernel = plain(&verdict.subject.release);
        Self {
            title: format!("rmapscope report: {}, Linux {kernel}", verdict.outcome().name()),
            policy: policy::of(flames),
            style: STYLE,
            script: SCRIPT,
            class: verdict::class(verdict.outcome()),
            headline: headline(verdict),
            facts: facts(report),
            alarms: alarms(report),
            sections,
        }
    }
}

fn facts(report: &Report) -> Vec<(&'static str, String)> {
    let subject = &report.verdict.subject;
    let mut facts = vec![("kernel", plain(&format!("Linux {} {}", subject.release, subject.machine)))];
    if !subject.host.is_empty() {
        facts.push(("host", plain(&subject.host)));
    }
    if let Some(command) = &subject.command {
        let mut text = plain(&command.join(" "));
        if let Some(status @ 1..) = subject.command_status {
            text += &format!(" (status {status})");
        }
        facts.push(("command", text));
    }
    if let Some(watched) = &subject.watched {
        facts.push(("only", plain(watched)));
    }
    if let Some(when) = DateTime::from_timestamp(subject.started.div_euclid(1_000_000_000), 0) {
        facts.push(("when", when.to_string()));
    }
    let duration = if subject.duration > 0 { subject.duration } else { report.span };
    facts
        .push(("events", format!("{} in {}", counted(subject.events, "event"), units::time(duration, true))));
    facts.push(("recorded by", format!("rmapscope {}", plain(&subject.program_version))));
    facts
}

/// Losses, a stream that is not whole, a filter.
fn alarms(report: &Report) -> Vec<String> {
    let losses = &report.losses;
    let mut alarms = Vec::new();
    if let Some(incomplete) = &losses.incomplete {
        alarms.push(format!("Incomplete: {}.", plain(incomplete)));
    }
    alarms.extend(report.verdict.subject.silent.iter().map(|silent| format!("{}.", silent.line())));
    let sums = [("lost", &losses.lost), ("missed", &losses.missed), ("dropped", &losses.dropped)];
    for (name, counts) in sums {
        let sum = total(counts.values());
        if sum > 0 {
            alarms.push(format!("{} {name}: numbers below are lower bounds.", counted(sum, "event")));
        }
    }
    let subject = &report.verdict.subject;
    if !subject.unknown_kinds.is_empty() {
        let unknown = unknown_kinds(&subject.unknown_kinds, &subject.program_version);
        alarms.push(format!("{}.", plain(&unknown)));
    }
    if losses.stacks_lost > 0 {
        alarms.push(format!("{} could not be kept.", counted(losses.stacks_lost, "stack")));
    }
    if let Some(filter) = &report.filter {
        let (some, all) = (report.total.count, report.verdict.subject.events);
        alarms.push(format!("Only {}: {some} of {all} events (the verdict is of all).", plain(filter)));
    }
    alarms
}
