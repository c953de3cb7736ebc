//! Evidence as lines of text, the same in every form that has text.

use std::collections::BTreeSet;

use super::words::plain;
use crate::check::{Actor, Diagnosis, Evidence, RuleVerdict, SilentProbes, Verdict};
use crate::event::{Family, Frame, unknown_kinds};
use crate::probe::{Outcome as Probe, PointReport};

/// Characters of a line, where its words allow it.
pub const WIDTH: usize = 100;

/// Cases of a diagnosis that text shows: it explains, and one explanation is as good as ten.
const CASES: usize = 3;

/// Frames of a stack that text shows.
const FRAMES: usize = 24;

/// A line and how deep it is indented, in steps of two spaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Steps.
    pub depth: usize,
    /// Without the indentation.
    pub text: String,
}

/// Lines with indentation, wrapped between words.
#[derive(Clone, Debug)]
pub struct Lines {
    lines: Vec<Line>,
    /// Characters that a line may have.
    width: usize,
}

impl Lines {
    /// No lines yet; each will get `margin` characters in front.
    pub const fn new(margin: usize) -> Self {
        Self::within(WIDTH - margin)
    }

    /// No lines yet; each may have `width` characters.
    pub const fn within(width: usize) -> Self {
        Self { lines: Vec::new(), width }
    }

    /// No lines yet, which will be as long as they are.
    pub const fn unwrapped() -> Self {
        Self { lines: Vec::new(), width: usize::MAX }
    }

    /// What was added.
    pub fn finish(self) -> Vec<Line> {
        self.lines
    }

    /// Adds words that are safe to print; what goes over the width is continued two steps deeper.
    pub fn add(&mut self, depth: usize, text: &str) {
        let mut depth = depth;
        let mut line = String::new();
        let continued = depth + 2;
        for word in text.split(' ') {
            let length = 2 * depth + line.chars().count() + 1 + word.chars().count();
            if !line.is_empty() && length > self.width {
                self.lines.push(Line { depth, text: std::mem::take(&mut line) });
                depth = continued;
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line += word;
        }
        self.lines.push(Line { depth, text: line });
    }

    /// Adds everything that is known of a violation or a case.
    pub fn evidence(&mut self, depth: usize, number: usize, evidence: &Evidence) {
        self.add(depth, &format!("{number}. {}", plain(&evidence.what)));
        let inner = depth + 1;
        self.add(inner, &format!("{} {}", evidence.event, when_and_who(&evidence.actor)));
        let mut places = Vec::new();
        if let Some(address) = evidence.address {
            places.push(format!("address {address:#x}"));
        }
        if let Some(pfn) = evidence.pfn {
            places.push(format!("pfn {pfn:#x}"));
        }
        if let Some(device) = &evidence.device {
            places.push(format!("device {}", plain(device)));
        }
        if let Some(owner) = evidence.owner_pid {
            places.push(format!("memory of pid {owner}"));
        }
        if !places.is_empty() {
            self.add(inner, &places.join(", "));
        }
        if !evidence.fields.is_empty() {
            let fields: Vec<String> =
                evidence.fields.iter().map(|(name, value)| format!("{name}={}", plain(value))).collect();
            self.add(inner, &fields.join(" "));
        }
        self.stack(inner, &evidence.actor.stack);
        for earlier in &evidence.before {
            self.add(inner, &format!("before: {} {}", plain(&earlier.what), when_and_who(&earlier.actor)));
            self.stack(inner, &earlier.actor.stack);
        }
    }

    fn stack(&mut self, depth: usize, frames: &[Frame]) {
        for frame in frames.iter().take(FRAMES) {
            self.add(depth + 1, &self::frame(frame));
        }
        if frames.len() > FRAMES {
            self.add(depth + 1, &format!("and {} more callers", frames.len() - FRAMES));
        }
    }

    /// Adds the evidence of a violated rule, and how much of it is not shown.
    pub fn violations(&mut self, depth: usize, rule: &RuleVerdict) {
        for (index, evidence) in rule.evidence.iter().enumerate() {
            self.evidence(depth, index + 1, evidence);
        }
        let shown = rule.evidence.len() as u64;
        if rule.violations > shown && shown > 0 {
            self.add(depth, &format!("and {} more", rule.violations - shown));
        }
    }

    /// Adds a diagnosis: what it says, its cases, what to do.
    pub fn diagnosis(&mut self, depth: usize, diagnosis: &Diagnosis) {
        self.add(depth, &plain(&diagnosis.summary));
        for (index, evidence) in diagnosis.evidence.iter().take(CASES).enumerate() {
            self.evidence(depth, index + 1, evidence);
        }
        let more = diagnosis.count.saturating_sub(CASES as u64);
        if more > 0 && diagnosis.evidence.len() > CASES {
            self.add(depth, &format!("and {more} more"));
        }
        self.add(depth, &format!("try: {}", plain(diagnosis.remedy)));
    }
}

fn when_and_who(actor: &Actor) -> String {
    let name = if actor.comm.is_empty() { "?".to_owned() } else { plain(&actor.comm) };
    let thread = if actor.tid == actor.pid { String::new() } else { format!(" tid {}", actor.tid) };
    format!("at {} by {name} pid {}{thread} on CPU {}", seconds(actor.time), actor.pid, actor.cpu)
}

fn frame(frame: &Frame) -> String {
    let place = match &frame.symbol {
        Some(symbol) => format!("{}+{:#x}", plain(symbol), frame.offset),
        None => format!("{:#x}", frame.address),
    };
    match &frame.module {
        Some(module) => format!("{place} [{}]", plain(module)),
        None => place,
    }
}

/// Nanoseconds as seconds, with their unit.
pub fn seconds(nanoseconds: u64) -> String {
    format!("{}.{:06} s", nanoseconds / 1_000_000_000, nanoseconds / 1000 % 1_000_000)
}

/// `1 event`, `2 events`.
pub fn counted(count: u64, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// The verdict in a line: its outcome, then the number of rules per answer.
pub fn headline(verdict: &Verdict) -> String {
    use crate::check::Outcome::{Inconclusive, NotExercised, Pass, Violated};
    let outcome = verdict.outcome();
    let rules = verdict.rules.len() as u64;
    let mut line = match verdict.count(outcome) {
        count if count as u64 == rules => format!("{}: {}", outcome.name(), counted(rules, "rule")),
        count => format!("{}: {count} of {}", outcome.name(), counted(rules, "rule")),
    };
    let mut separator = "; ";
    for other in [Pass, Violated, Inconclusive, NotExercised] {
        let count = verdict.count(other);
        if other != outcome && count > 0 {
            line += &format!("{separator}{count} {}", other.name());
            separator = ", ";
        }
    }
    line
}

/// What was judged: program, kernel, host, events, time, command.
pub fn subject(verdict: &Verdict) -> String {
    let subject = &verdict.subject;
    let mut line = format!("rmapscope {}", plain(&subject.program_version));
    for (before, text) in [(" on Linux ", &subject.release), (" ", &subject.machine), (" of ", &subject.host)]
    {
        if !text.is_empty() {
            line += before;
            line += &plain(text);
        }
    }
    line += &format!("; {} in {}", counted(subject.events, "event"), seconds(subject.duration));
    if subject.incomplete.is_some() {
        line += ", incomplete";
    }
    if let Some(command) = &subject.command {
        line += &format!("; `{}`", plain(&command.join(" ")));
        if let Some(status) = subject.command_status {
            line += &format!(" ended with status {status}");
        }
    }
    if let Some(watched) = &subject.watched {
        line += &format!("; watched only: {}", plain(watched));
    }
    line
}

/// What is missing from the stream: always the four sums, and by family what is not 0.
pub fn losses(verdict: &Verdict) -> String {
    let subject = &verdict.subject;
    let all = [
        ("lost", &subject.lost),
        ("missed", &subject.missed),
        ("dropped", &subject.dropped),
        ("unpaired", &subject.unpaired),
    ];
    let parts = all.map(|(name, counts)| {
        let families = Family::ALL.into_iter().map(Family::name).chain(["unknown"]);
        let by_family: Vec<String> = families
            .filter_map(|family| counts.get(family).filter(|count| **count > 0).map(|count| (family, count)))
            .map(|(family, count)| format!("{family} {count}"))
            .collect();
        let sum: u64 = counts.values().sum();
        match by_family.is_empty() {
            true => format!("{name} {sum}"),
            false => format!("{name} {sum} ({})", by_family.join(", ")),
        }
    });
    let mut line = parts.join("  ");
    if !subject.unknown_kinds.is_empty() {
        line += &format!("; {}", plain(&unknown_kinds(&subject.unknown_kinds, &subject.program_version)));
    }
    line
}

/// Probe points that were asked for and give nothing or less, a line each; not those of which this kernel has
/// nothing to tell.
pub fn gaps(verdict: &Verdict) -> impl Iterator<Item = String> {
    let silent = verdict.subject.silent.iter().map(SilentProbes::line);
    let gaps = verdict.probes.iter().filter_map(|report| match &report.outcome {
        Probe::Attached { .. } | Probe::NotAsked | Probe::Absent { impossible: true, .. } => None,
        Probe::Fallback { symbol, lost, .. } => {
            Some(format!("{} through {}, without {}", report.point, plain(symbol), plain(lost)))
        }
        missing => Some(format!("{}: {}", report.point, plain(&crate::session::gaps::reason(missing)))),
    });
    silent.chain(gaps)
}

/// How many probes were asked for and attached, and how many this kernel has no use for.
pub fn coverage(verdict: &Verdict) -> String {
    let (asked, attached) = crate::session::gaps::coverage(&verdict.probes);
    let impossible = |report: &&PointReport| matches!(report.outcome, Probe::Absent { impossible: true, .. });
    let silent: BTreeSet<&str> =
        verdict.subject.silent.iter().flat_map(|silent| &silent.points).map(String::as_str).collect();
    let silent = match silent.len() {
        0 => String::new(),
        count => format!("; {count} may be incomplete"),
    };
    match verdict.probes.iter().filter(impossible).count() {
        0 => format!("{attached} of {asked} probes attached{silent}"),
        none => {
            format!("{attached} of {} probes attached, {none} not for this kernel{silent}", asked - none)
        }
    }
}
