//! Kernels that keep their rules, under their own selftests and under stress.

use anyhow::{Context, ensure};
use serde_json::Value;

use super::{Applies, Check, Run, healthy, healthy_with_test_driver};
use crate::verdict::Verdict;

pub const CHECKS: &[Check] = &[
    Check {
        name: "selftest hmm-tests",
        applies: healthy_with_test_driver,
        judge: |run| selftest(run, "hmm-tests", EXCLUSIVE),
    },
    Check {
        name: "selftest hmm-tests, with kprobes",
        applies: healthy_with_test_driver,
        judge: |run| selftest(run, "kprobe-hmm-tests", EXCLUSIVE),
    },
    Check {
        name: "selftest migration",
        applies: healthy,
        judge: |run| selftest(run, "migration", &["migration-entry-locked", "rmap-caller-locked"]),
    },
    Check {
        name: "selftest mlock2-tests",
        applies: healthy,
        judge: |run| selftest(run, "mlock2-tests", &[]),
    },
    Check {
        name: "selftest cow",
        applies: healthy,
        judge: |run| selftest(run, "cow", &["rmap-caller-locked"]),
    },
    Check { name: "selftest ksm_tests", applies: healthy, judge: |run| selftest(run, "ksm_tests", &[]) },
    Check {
        name: "huge pages",
        applies: healthy,
        judge: |run| workloads(run, "huge", &["migration-entry-locked", "rmap-caller-locked"]),
    },
    Check {
        name: "pages of huge ones, exclusive and on a device",
        applies: healthy_with_test_driver,
        judge: |run| workloads(run, "huge-device", EXCLUSIVE),
    },
    Check { name: "stress", applies: healthy, judge: |run| stress(run, "stress") },
    Check { name: "stress, with kprobes", applies: healthy, judge: |run| stress(run, "kprobe-stress") },
];

/// What the tests of device-exclusive pages exercise, fork among it.
const EXCLUSIVE: &[&str] = &[
    "migration-entry-locked",
    "fork-restores-exclusive",
    "fork-parent-keeps-page",
    "exclusive-anon-only",
    "exclusive-returned-locked",
    "exclusive-ends-once",
    "restore-keeps-bits",
];

/// What the stress exercises on every kernel of the tests; the disk bounces.
const EVERYWHERE: &[&str] = &[
    "migration-entry-locked",
    "rmap-caller-locked",
    "swiotlb-paired",
    "swiotlb-in-pool",
    "swiotlb-restricted-bounces",
];

fn selftest(run: &Run<'_>, name: &str, exercised: &[&str]) -> anyhow::Result<()> {
    let session = run.session(name)?;
    let verdict = Verdict::of(&session)?;
    verdict.expect_no_violation()?;
    let results = Results::read(&session.text("stdout")?);
    results.report(run.kernel, name);
    ensure!(results.passed > 0, "not one test passed:\n{}", session.said());
    expect_exercised(&verdict, exercised)?;
    session.expect_status(0)?;
    session.expect_same_verdict_of_file()
}

fn workloads(run: &Run<'_>, name: &str, exercised: &[&str]) -> anyhow::Result<()> {
    let session = run.session(name)?;
    let verdict = Verdict::of(&session)?;
    verdict.expect_no_violation()?;
    ensure!(verdict.subject()["command_status"] == 0, "a workload failed:\n{}", session.said());
    expect_exercised(&verdict, exercised)?;
    session.expect_status(0)?;
    session.expect_same_verdict_of_file()
}

fn stress(run: &Run<'_>, name: &str) -> anyhow::Result<()> {
    let session = run.session(name)?;
    let verdict = Verdict::of(&session)?;
    verdict.expect_no_violation()?;
    ensure!(verdict.subject()["command_status"] == 0, "the stress failed:\n{}", session.said());
    expect_exercised(&verdict, EVERYWHERE)?;
    if healthy_with_test_driver(run.kernel, run.method) == Applies::Yes {
        expect_exercised(&verdict, EXCLUSIVE)?;
        expect_exercised(&verdict, &["restore-remlocks"])?;
    }
    expect_only_missed(run, &verdict)?;
    session.expect_status(if verdict.with_outcome("inconclusive").is_empty() { 0 } else { 3 })?;
    session.expect_same_verdict_of_file()
}

/// Under stress the kernel may skip kprobe programs (an interrupt within one), and on a slow machine the ring may
/// overflow; both must be counted then: nothing else may leave a rule inconclusive.
fn expect_only_missed(run: &Run<'_>, verdict: &Verdict) -> anyhow::Result<()> {
    let subject = verdict.subject();
    for name in verdict.with_outcome("inconclusive") {
        let rule = verdict.rule(name)?;
        let is_missed = |reason: &Value| {
            let reason = reason.as_str().unwrap_or_default();
            // A call whose beginning was skipped ends alone.
            [" were missed;", " were lost;", "were seen at one end only", "may come from missing events"]
                .iter()
                .any(|words| reason.contains(words))
        };
        let mut reasons = rule["reasons"].as_array().into_iter().flatten();
        ensure!(reasons.all(is_missed), "inconclusive, and not for what the kernel skipped: {rule}");
        // Before 6.7 the kernel does not count what it skips.
        let counts = run.kernel != "6.1";
        let has = |cause: &str| subject[cause].as_object().is_some_and(|families| !families.is_empty());
        let skipped = !counts || has("missed") || has("lost");
        ensure!(skipped, "{name} names missed events, and there are none: {subject}");
    }
    Ok(())
}

fn expect_exercised(verdict: &Verdict, names: &[&str]) -> anyhow::Result<()> {
    let evaluated = verdict.evaluated();
    for name in names {
        let times = *evaluated.get(name).with_context(|| format!("no rule {name}"))?;
        ensure!(times > 0, "{name} was not exercised: {}", verdict.rule(name)?);
    }
    Ok(())
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
