//! `JUnit` XML: a violation is a failure, an inconclusive rule an error, one that was not exercised is skipped.
//!
//! Some readers show skipped tests as passed and hide their message, so nothing doubtful is ever skipped.

use std::time::Duration;

use chrono::DateTime;
use quick_junit::{NonSuccessKind, Property, Report, SerializeError, TestCase, TestCaseStatus, TestSuite};

use super::lines::{Line, Lines, counted, gaps, losses};
use super::words::{self, plain};
use crate::check::{Outcome, RuleVerdict, Severity, Verdict};

/// The verdict as XML, ended by a line feed. Its times are those of the session, not of its judging.
///
/// # Errors
/// When the XML writer refuses; it has no reason to.
pub fn render(verdict: &Verdict) -> Result<String, SerializeError> {
    let subject = &verdict.subject;
    let started = DateTime::from_timestamp_nanos(subject.started).fixed_offset();
    let took = Duration::from_nanos(subject.duration);
    let mut suite = TestSuite::new("rmapscope");
    suite.set_timestamp(started).set_time(took);
    let mut property = |name: &str, value: &str| {
        suite.add_property(Property::new(name, plain(value)));
    };
    for (name, value) in [
        ("rmapscope.version", &subject.program_version),
        ("host", &subject.host),
        ("kernel.release", &subject.release),
        ("kernel.version", &subject.version),
        ("kernel.machine", &subject.machine),
    ] {
        property(name, value);
    }
    if let Some(build_id) = &subject.build_id {
        property("kernel.build_id", build_id);
    }
    if let Some(command) = &subject.command {
        property("command", &command.join(" "));
    }
    if let Some(status) = subject.command_status {
        property("command.status", &status.to_string());
    }
    if let Some(watched) = &subject.watched {
        property("watched", watched);
    }
    property("events", &subject.events.to_string());
    property("losses", &losses(verdict));
    if let Some(incomplete) = &subject.incomplete {
        property("incomplete", incomplete);
    }
    gaps(verdict).for_each(|gap| property("probe", &gap));
    suite.add_test_cases(verdict.rules.iter().map(case));
    let mut lines = Lines::new(0);
    for diagnosis in &verdict.diagnoses {
        lines.add(0, &format!("diagnosis {}: {}", diagnosis.name, counted(diagnosis.count, "time")));
        lines.diagnosis(1, diagnosis);
    }
    let output = joined(lines);
    if !output.is_empty() {
        suite.set_system_out(output);
    }
    document("rmapscope check", suite)
}

/// The XML of one suite, ended by a line feed, with the suite's times.
///
/// # Errors
/// When the XML writer refuses; it has no reason to.
pub(crate) fn document(name: &str, suite: TestSuite) -> Result<String, SerializeError> {
    let mut report = Report::new(name);
    report.timestamp = suite.timestamp;
    report.time = suite.time;
    report.add_test_suite(suite);
    let mut text = words::xml(&report.to_string()?);
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(text)
}

fn case(rule: &RuleVerdict) -> TestCase {
    let reasons: Vec<String> = rule.reasons.iter().map(|reason| plain(reason)).collect();
    let reasons = reasons.join("; ");
    let status = match rule.outcome {
        Outcome::Pass => TestCaseStatus::success(),
        Outcome::Violated => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            let mut lines = Lines::new(0);
            lines.violations(0, rule);
            status
                .set_message(format!("{} of {}: {}", rule.violations, rule.evaluated, plain(rule.title)))
                .set_type(match rule.severity {
                    Severity::Corruption => "corruption",
                    Severity::Broken => "broken",
                })
                .set_description(joined(lines));
            status
        }
        Outcome::Inconclusive => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
            status.set_message(reasons).set_type("inconclusive");
            status
        }
        Outcome::NotExercised => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(format!("not exercised: {reasons}"));
            status
        }
    };
    let mut case = TestCase::new(rule.name, status);
    case.set_classname("rmapscope");
    case.set_assertions(usize::try_from(rule.evaluated).unwrap_or(usize::MAX));
    let mut notes = Lines::new(0);
    rule.notes.iter().for_each(|note| notes.add(0, &format!("note: {}", plain(note))));
    let notes = joined(notes);
    if !notes.is_empty() {
        case.set_system_out(notes);
    }
    case
}

fn joined(lines: Lines) -> String {
    let lines = lines.finish().into_iter().map(|Line { depth, text }| format!("{:1$}{text}", "", 2 * depth));
    lines.collect::<Vec<_>>().join("\n")
}
