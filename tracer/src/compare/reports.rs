//! Gates as KTAP and `JUnit`, a test a gate, by the conventions of `check`.

use quick_junit::{NonSuccessKind, SerializeError, TestCase, TestCaseStatus, TestSuite};

use super::{Comparison, GateOutcome, GateResult};
use crate::check::formats::words::plain;
use crate::check::formats::{junit as junit_form, ktap as ktap_form};

/// Gates as KTAP version 1.
pub fn ktap(comparison: &Comparison) -> String {
    let mut text = format!("KTAP version 1\n1..{}\n", comparison.gates.len());
    for (index, gate) in comparison.gates.iter().enumerate() {
        text += &format!("# {}\n", plain(&gate.reason));
        // `#` begins a directive.
        let name = plain(&gate.gate).replace('#', "\\x23");
        text += &ktap_form::result(index + 1, &name, gate.outcome.into(), std::slice::from_ref(&gate.reason));
    }
    text
}

/// Gates as `JUnit` XML, ended by a line feed.
///
/// # Errors
/// When the XML writer refuses; it has no reason to.
pub fn junit(comparison: &Comparison) -> Result<String, SerializeError> {
    let mut suite = TestSuite::new("rmapscope diff");
    suite.add_test_cases(comparison.gates.iter().map(case));
    junit_form::document("rmapscope diff", suite)
}

fn case(gate: &GateResult) -> TestCase {
    let reason = plain(&gate.reason);
    let (status, output) = match gate.outcome {
        GateOutcome::Pass => (TestCaseStatus::success(), Some(reason)),
        GateOutcome::Fail => (failed(NonSuccessKind::Failure, reason, "exceeded"), None),
        GateOutcome::Inconclusive => (failed(NonSuccessKind::Error, reason, "inconclusive"), None),
    };
    let mut case = TestCase::new(plain(&gate.gate), status);
    case.set_classname("rmapscope.diff");
    if let Some(output) = output {
        case.set_system_out(output);
    }
    case
}

fn failed(kind: NonSuccessKind, message: String, what: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(kind);
    status.set_message(message).set_type(what);
    status
}
