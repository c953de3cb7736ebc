//! Sessions on real kernels in guests, judged on the host.
//!
//! - Recordings with counts that are known beforehand, with fentry and then with kprobes alone (`sessions.sh`).
//! - Verdicts (`verdicts.sh`): kernels that keep their rules under their own selftests and under stress must
//!   pass, what was not seen must not pass, and each planted bug of `docs/mutants.md` must be found.
//!
//! Each kernel is booted once for its recordings and once for its verdicts; 6.12 in lockdown, `6.12-hmm` once more
//! with little room for bounce buffers, and once more for the planted bugs, which are switched while it runs. What
//! the sessions left behind stays in `target/guest-tests`.
//!
//! The environment says where things are, as `cargo xtask test` sets it:
//! - `RMAPSCOPE_KERNELS`: the kernels (`kernels.rs`); without it all tests are ignored, and their names say so;
//! - `RMAPSCOPE_PROGRAMS`: the folder of `rmapscope` and `rmapscope-workload` (`target/debug` if not set);
//! - `RMAPSCOPE_STRESS_SECONDS`: how long each kernel is stressed under a check (60 if not set);
//! - `RMAPSCOPE_JUDGE_LAST`: boot nothing, judge what the last boot left behind.

mod boot;
mod checks;
mod kernels;
mod mutants;
mod recording;
mod selftests;
mod verdict;

use std::sync::Arc;

use boot::{Boot, Configuration};
use checks::{Applies, Run};
use kernels::Kernel;
use libtest_mimic::{Arguments, Failed, Trial};

fn main() {
    let arguments = Arguments::from_args();
    let (mut trials, mut boots) = (Vec::new(), Vec::new());
    for kernel in kernels::all() {
        for configuration in kernel.configurations() {
            let boot = Arc::new(Boot::new(kernel, configuration));
            let of_boot = trials_of(kernel, configuration, &boot);
            if of_boot.iter().any(|trial| is_wanted(&arguments, trial)) {
                boots.push(boot);
            }
            trials.extend(of_boot);
        }
    }
    boot::start(boots);
    libtest_mimic::run(&arguments, trials).exit();
}

fn is_wanted(arguments: &Arguments, trial: &Trial) -> bool {
    let is_named = arguments.filter.as_deref().is_none_or(|filter| trial.name().contains(filter));
    is_named && !trial.has_ignored_flag() && !arguments.list
}

fn trials_of(kernel: &'static Kernel, configuration: Configuration, boot: &Arc<Boot>) -> Vec<Trial> {
    let missing = kernel.image.is_none().then(|| "RMAPSCOPE_KERNELS is not set".to_owned());
    let name = kernel.name.as_str();
    let mut trials = Vec::new();
    for &run in configuration.runs() {
        for check in checks::all() {
            let applies = (check.applies)(name, run);
            if applies == Applies::No {
                continue;
            }
            let boot = Arc::clone(boot);
            let judge = move || judge(&boot, run, check.judge);
            trials.push(trial(format!("{name} {run}: {}", check.name), applies, &missing, judge));
        }
    }
    if configuration == Configuration::Verdicts {
        for test in selftests::ALL {
            let boot = Arc::clone(boot);
            let judge = move || judge(&boot, "healthy", |run| checks::selftest(run, test));
            let trial_name = format!("{name} healthy: selftest {}", test.session());
            trials.push(trial(trial_name, test.applies(kernel), &missing, judge));
        }
    }
    if configuration == Configuration::Mutants {
        for mutant in mutants::all() {
            let boot = Arc::clone(boot);
            let judge = move || judge(&boot, "mutants", |run| checks::planted_bug(run, mutant));
            trials.push(trial(format!("{name} mutants: {}", mutant.name), Applies::Yes, &missing, judge));
        }
    }
    trials
}

/// A test that is ignored, and says why, if it cannot be judged or there is no kernel.
fn trial(
    name: String,
    applies: Applies,
    missing: &Option<String>,
    judge: impl FnOnce() -> Result<(), Failed> + Send + 'static,
) -> Trial {
    let skipped = match applies {
        Applies::Skipped(reason) => Some(reason.to_owned()),
        _ => missing.clone(),
    };
    let ignored = skipped.is_some();
    let name = skipped.map_or_else(|| name.clone(), |reason| format!("{name} (skipped: {reason})"));
    Trial::test(name, judge).with_ignored_flag(ignored)
}

fn judge(
    boot: &Boot,
    method: &'static str,
    judge: impl Fn(&Run<'_>) -> anyhow::Result<()>,
) -> Result<(), Failed> {
    boot.ensure_done().map_err(|error| format!("the guest failed: {error}"))?;
    let run = Run { kernel: &boot.kernel().name, method, open: &|session| boot.session(method, session) };
    judge(&run).map_err(|error| Failed::from(format!("{error:#}")))
}
