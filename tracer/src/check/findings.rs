//! What a rule has found so far.

use tracer_common::event::Header;

use super::Evidence;
use super::losses::Losses;
use super::stream_context::StreamContext;
use crate::event::Event;

/// Most violations that are kept to be looked at again when it is known what was lost.
const MOST_PROVISIONAL: usize = 1 << 12;

/// The accounts of one rule.
#[derive(Debug)]
pub struct Findings {
    /// How often it was evaluated.
    pub evaluated: u64,
    violations: u64,
    evidence: Vec<Evidence>,
    /// Violations that rest on two events: when the earlier one was, when the later one, how many, and which
    /// place in `evidence` is theirs.
    provisional: Vec<Provisional>,
    limit: usize,
    /// What could not be read, and how often.
    pub unreadable: Vec<(&'static str, u64)>,
    /// What else is to be known.
    pub notes: Vec<String>,
}

#[derive(Clone, Copy, Debug)]
struct Provisional {
    since: u64,
    until: u64,
    count: u64,
    evidence: Option<usize>,
    doubt: Doubt,
}

/// Which missing events may explain a violation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doubt {
    /// Any, also those that the kernel does not count.
    AnyMissing,
    /// Only those that were noticed.
    OnlyNoticed,
}

/// The violations of a rule that stand when everything is known.
#[derive(Debug, Default)]
pub struct Confirmed {
    /// How many.
    pub violations: u64,
    /// The first ones.
    pub evidence: Vec<Evidence>,
    /// Violations that missing events may explain.
    pub doubtful: u64,
}

impl Findings {
    /// Nothing found; keeps that much evidence.
    pub fn new(limit: usize) -> Self {
        Self {
            evaluated: 0,
            violations: 0,
            evidence: Vec::new(),
            provisional: Vec::new(),
            limit,
            unreadable: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// Whether a violation was found, be it a provisional one.
    pub fn is_violated(&self) -> bool {
        self.violations > 0
    }

    /// The violations that stand. `families` (bits by number) are those of the rule's events.
    pub fn settle(&mut self, losses: &Losses, families: u32) -> Confirmed {
        let mut confirmed = Confirmed { violations: self.violations, ..Confirmed::default() };
        let mut dropped = vec![false; self.evidence.len()];
        for provisional in &self.provisional {
            let (since, until) = (provisional.since, provisional.until);
            let may_be_missing = match provisional.doubt {
                Doubt::AnyMissing => losses.touch(families, since, until),
                Doubt::OnlyNoticed => losses.noticed(families, since, until),
            };
            if may_be_missing {
                confirmed.violations -= provisional.count;
                confirmed.doubtful += provisional.count;
                if let Some(place) = provisional.evidence {
                    dropped[place] = true;
                }
            }
        }
        let mut dropped = dropped.into_iter();
        self.evidence.retain(|_| !dropped.next().unwrap_or(false));
        confirmed.evidence = std::mem::take(&mut self.evidence);
        confirmed
    }
}

/// A rule's place at work: what is known, and where its findings go.
pub struct RuleContext<'a> {
    /// What is known.
    pub stream: &'a StreamContext<'a>,
    /// The rule's accounts.
    pub findings: &'a mut Findings,
}

impl RuleContext<'_> {
    /// The rule was evaluated and held.
    #[inline]
    pub fn held(&mut self) {
        self.findings.evaluated += 1;
    }

    /// The rule was to be evaluated, but `what` could not be read.
    #[cold]
    pub fn unreadable(&mut self, what: &'static str) {
        match self.findings.unreadable.iter_mut().find(|(known, _)| *known == what) {
            Some((_, count)) => *count += 1,
            None => self.findings.unreadable.push((what, 1)),
        }
    }

    /// The rule did not hold, as this event alone shows. The evidence, where it is kept, can be completed.
    #[cold]
    pub fn violated(&mut self, event: &Event, what: impl Into<String>) -> Option<&mut Evidence> {
        self.findings.evaluated += 1;
        self.found(event, what)
    }

    fn found(&mut self, event: &Event, what: impl Into<String>) -> Option<&mut Evidence> {
        self.findings.violations += 1;
        if self.findings.evidence.len() >= self.findings.limit {
            return None;
        }
        self.findings.evidence.push(self.stream.evidence(event, what));
        self.findings.evidence.last_mut()
    }

    /// The rule did not hold, as this event shows together with an earlier one: unless something in between
    /// is missing.
    #[cold]
    pub fn contradicted(
        &mut self,
        event: &Event,
        what: impl Into<String>,
        earlier: &Header,
        did: &str,
    ) -> Option<&mut Evidence> {
        let before = self.stream.earlier(earlier, did);
        let evidence = self.provisional(event, what, earlier.time, event.header.time, Doubt::AnyMissing)?;
        evidence.before.push(before);
        Some(evidence)
    }

    /// The rule did not hold, as nothing followed this event until that time: unless what followed is missing.
    #[cold]
    pub fn unanswered(&mut self, event: &Event, what: impl Into<String>, until: u64) {
        self.provisional(event, what, event.header.time, until, Doubt::AnyMissing);
    }

    /// The same of an event that shows it almost alone: what would have to follow it to explain it is so much that
    /// only a loss that was noticed can hide it.
    #[cold]
    pub fn unanswered_surely(&mut self, event: &Event, what: impl Into<String>, until: u64) {
        self.provisional(event, what, event.header.time, until, Doubt::OnlyNoticed);
    }

    fn provisional(
        &mut self,
        event: &Event,
        what: impl Into<String>,
        since: u64,
        until: u64,
        doubt: Doubt,
    ) -> Option<&mut Evidence> {
        self.findings.evaluated += 1;
        let place = self.findings.evidence.len();
        let evidence = self.found(event, what).is_some().then_some(place);
        if self.findings.provisional.len() < MOST_PROVISIONAL {
            self.findings.provisional.push(Provisional { since, until, count: 1, evidence, doubt });
        } else if let Some(last) = self.findings.provisional.last_mut() {
            last.since = last.since.min(since);
            last.until = last.until.max(until);
            last.count += 1;
            if doubt == Doubt::AnyMissing {
                last.doubt = doubt;
            }
        }
        self.findings.evidence.get_mut(evidence?)
    }
}
