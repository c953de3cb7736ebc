//! What is judged of a boot, and by which of its sessions.

use libtest_mimic::Failed;

use crate::boot::{Boot, Configuration};
use crate::checks::{self, Applies, Check, Run};
use crate::kernels::Kernel;
use crate::mutants::{self, Mutant};
use crate::runs;
use crate::selftests::{self, Selftest};

/// Who judges.
#[derive(Clone, Copy)]
enum Judge {
    Check(&'static Check),
    Selftest(&'static Selftest),
    Mutant(&'static Mutant),
}

/// A test of a boot.
pub struct Case {
    /// The name of the test. It says why if the test is skipped.
    pub name: String,
    /// It cannot be judged.
    pub is_skipped: bool,
    /// The sessions that it is judged by.
    pub sessions: Vec<String>,
    run: &'static str,
    judge: Judge,
}

/// All tests of a boot.
pub fn all(kernel: &Kernel, configuration: Configuration) -> Vec<Case> {
    let mut cases = Vec::new();
    for &run in configuration.runs() {
        for check in checks::all() {
            let sessions = check.sessions.iter().copied().map(str::to_owned).collect();
            let applies = (check.applies)(&kernel.name, run);
            cases.extend(Case::new(kernel, run, check.name, applies, sessions, Judge::Check(check)));
        }
    }
    if configuration == Configuration::Verdicts {
        for test in selftests::ALL {
            let (name, applies) = (format!("selftest {}", test.session()), test.applies(kernel));
            let sessions = vec![test.session()];
            cases.extend(Case::new(kernel, "healthy", &name, applies, sessions, Judge::Selftest(test)));
        }
    }
    if configuration == Configuration::Mutants {
        for mutant in mutants::all() {
            let judge = Judge::Mutant(mutant);
            cases.extend(Case::new(
                kernel,
                runs::MUTANTS,
                &mutant.name,
                Applies::Yes,
                mutant.sessions(),
                judge,
            ));
        }
    }
    cases
}

impl Case {
    /// None where it does not apply.
    fn new(
        kernel: &Kernel,
        run: &'static str,
        name: &str,
        applies: Applies,
        sessions: Vec<String>,
        judge: Judge,
    ) -> Option<Self> {
        let no_kernel = || kernel.image.is_none().then_some("RMAPSCOPE_KERNELS is not set");
        let reason = match applies {
            Applies::No => return None,
            Applies::Yes => no_kernel(),
            Applies::Skipped(reason) => Some(reason),
        };
        let because = reason.map_or_else(String::new, |reason| format!(" (skipped: {reason})"));
        let name = format!("{} {run}: {name}{because}", kernel.name);
        Some(Self { name, is_skipped: reason.is_some(), sessions, run, judge })
    }

    /// Judges it, when the guest has ended.
    pub fn judge(&self, boot: &Boot) -> Result<(), Failed> {
        boot.judged().map_err(|error| format!("the guest failed: {error}"))?;
        let run = Run {
            kernel: &boot.kernel().name,
            method: self.run,
            sessions: &self.sessions,
            open: &|session| boot.session(self.run, session),
        };
        match self.judge {
            Judge::Check(check) => (check.judge)(&run),
            Judge::Selftest(test) => checks::selftest(&run, test),
            Judge::Mutant(mutant) => checks::planted_bug(&run, mutant),
        }
        .map_err(|error| Failed::from(format!("{error:#}")))
    }
}
