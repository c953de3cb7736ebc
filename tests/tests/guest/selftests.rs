//! The kernel's own selftests, each under a check: one list for the guest and for the judge.

use crate::checks::Applies;
use crate::kernels::{Kernel, has_test_driver};
use crate::runs;
use crate::wanted::Wanted;

/// A selftest and the session that it runs in.
#[derive(Clone, Copy, Debug)]
pub struct Selftest {
    /// The program, as `xtask::kernel::selftests` builds it.
    pub program: &'static str,
    /// The attach method.
    pub method: &'static str,
    /// What the shell runs, as `run_vmtests.sh` runs it, but for the measurements of time.
    command: &'static str,
    /// Rules that it exercises.
    pub exercised: &'static [&'static str],
    needs_driver: bool,
}

/// All of them. Huge pages are there, KSM is on, and the folder that they run in can be written to.
pub const ALL: &[Selftest] = &[
    with_driver(runs::AUTO),
    with_driver(runs::KPROBE),
    one("migration", MIGRATION),
    one("mlock2-tests", &[]),
    one("cow", UNMAPPING),
    Selftest { command: KSM_TESTS, ..one("ksm_tests", &[]) },
    one("madv_populate", &[]),
    // Writes to read-only memory by ptrace, which a kernel may be configured to refuse.
    one("mkdirty", MIGRATION),
    one("mlock-random-test", &[]),
    // Some of its tests want more memory than a guest has.
    one("mremap_test", &[]),
    one("soft-dirty", &[]),
    // In newer sources.
    one("rmap", MIGRATION),
    one("guard-regions", UNMAPPING),
    one("merge", &[]),
    one("process_madv", &[]),
];

/// The rest is a benchmark, of up to two minutes.
const HMM_TESTS: &str = "hmm-tests -T benchmark_thp_migration";

const KSM_TESTS: &str = "ksm_tests -M -p 10; ksm_tests -U; ksm_tests -Z -p 10 -z 0; ksm_tests -Z -p 10 -z 1; \
                         ksm_tests -N -m 1; ksm_tests -N -m 0; ksm_tests -C";

/// What the tests of device-exclusive pages exercise, fork among it.
pub const EXCLUSIVE: &[&str] = &[
    "migration-entry-locked",
    "fork-restores-exclusive",
    "fork-parent-keeps-page",
    "exclusive-anon-only",
    "exclusive-returned-locked",
    "exclusive-ends-once",
    "restore-keeps-bits",
];

const MIGRATION: &[&str] = &["migration-entry-locked", "rmap-caller-locked"];
const UNMAPPING: &[&str] = &["rmap-caller-locked"];

/// One that runs without arguments.
const fn one(program: &'static str, exercised: &'static [&'static str]) -> Selftest {
    Selftest { program, method: runs::AUTO, command: program, exercised, needs_driver: false }
}

/// The tests of device memory, with that attach method.
const fn with_driver(method: &'static str) -> Selftest {
    let test = one("hmm-tests", EXCLUSIVE);
    Selftest { method, command: HMM_TESTS, needs_driver: true, ..test }
}

impl Selftest {
    /// The name of its session.
    pub fn session(&self) -> String {
        format!("{}-{}", self.program, self.method)
    }

    /// Whether it is judged on that kernel: its source may not have it, or not be the one that they are built from.
    pub fn applies(&self, kernel: &Kernel) -> Applies {
        let folder = kernel.selftests.as_ref();
        let is_missing = folder.is_some_and(|folder| !folder.join(self.program).exists());
        if self.needs_driver && !has_test_driver(&kernel.name) {
            Applies::Skipped("this kernel has no test_hmm")
        } else if is_missing && xtask::kernel::selftests::has(self.program) {
            Applies::Skipped("it is not among the selftests for this kernel")
        } else {
            Applies::Yes
        }
    }
}

/// The list for `verdicts.sh`, of the sessions that are wanted: session, attach method and command.
pub fn list(kernel: &Kernel, wanted: &Wanted) -> String {
    let there = ALL.iter().filter(|test| test.applies(kernel) == Applies::Yes && wanted.has(&test.session()));
    there.map(|test| format!("{}\t{}\t{}\n", test.session(), test.method, test.command)).collect()
}
