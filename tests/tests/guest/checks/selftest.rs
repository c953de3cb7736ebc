//! A kernel that keeps its rules, under one of its own selftests.

use anyhow::ensure;

use super::Run;
use super::false_alarm::expect_exercised;
use crate::selftests::Selftest;
use crate::verdict::Verdict;

/// No rule is violated and none is inconclusive. What the selftest says of itself is not judged: some fail on a
/// kernel without rmapscope, too.
pub fn selftest(run: &Run<'_>, test: &Selftest) -> anyhow::Result<()> {
    let session = run.session(&test.session())?;
    let verdict = Verdict::of(&session)?;
    verdict.expect_no_violation()?;
    let results = Results::read(&session.text("stdout")?);
    results.report(run.kernel, &test.session());
    ensure!(results.passed > 0, "not one test passed:\n{}", session.said());
    expect_exercised(&verdict, test.exercised)?;
    session.expect_status(0)?;
    session.expect_same_verdict_of_file()
}

/// What the selftests said of themselves; that is not the verdict, and is shown for people.
#[derive(Default)]
struct Results {
    passed: u64,
    failed: Vec<String>,
    skipped: u64,
}

impl Results {
    fn read(output: &str) -> Self {
        let mut results = Self::default();
        for line in output.lines().map(str::trim_start) {
            if line.starts_with("ok ") {
                if line.contains("# SKIP") { results.skipped += 1 } else { results.passed += 1 }
            } else if let Some(test) = line.strip_prefix("not ok ") {
                results.failed.push(test.to_owned());
            }
        }
        results
    }

    #[expect(clippy::print_stderr, reason = "skipped tests are to be seen")]
    fn report(&self, kernel: &str, name: &str) {
        let failed = if self.failed.is_empty() {
            String::new()
        } else {
            format!(", {} failed ({})", self.failed.len(), self.failed.join("; "))
        };
        eprintln!("{kernel} {name}: {} passed, {} skipped themselves{failed}", self.passed, self.skipped);
    }
}
