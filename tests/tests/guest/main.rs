//! Sessions on real kernels in guests, judged on the host.
//!
//! - Recordings with counts that are known beforehand, with fentry and then with kprobes alone (`sessions.sh`).
//! - Verdicts (`verdicts.sh`): kernels that keep their rules under their own selftests and under stress must
//!   pass, what was not seen must not pass, and each planted bug of `docs/mutants.md` must be found.
//!
//! Each kernel is booted once for its recordings and once for its verdicts; 6.12 in lockdown, `latest` with eight
//! CPUs, `6.12-hmm` once more with little room for bounce buffers, and once more for the planted bugs, which are
//! switched while it runs; those of 64-bit Arm once for all they have (`arm64.sh`). What the sessions left behind stays
//! in `target/guest-tests`.
//!
//! A boot runs only the sessions that its tests have declared; with a name, or `--skip`, those of the wanted ones.
//!
//! The environment says where things are, as `cargo xtask test` sets it:
//! - `RMAPSCOPE_KERNELS`: the kernels (`kernels.rs`); without it all tests are ignored, and their names say so;
//! - `RMAPSCOPE_PROGRAMS`: the folder of `rmapscope` and `rmapscope-workload` (`target/debug` if not set);
//! - `RMAPSCOPE_STRESS_SECONDS`: how long each kernel is stressed under a check (60 if not set);
//! - `RMAPSCOPE_JUDGE_LAST`: boot nothing, judge what the last boot left behind.

mod boot;
mod case;
mod checks;
mod kernels;
mod mutants;
mod recording;
mod runs;
mod scripts;
mod selftests;
mod verdict;
mod wanted;

use std::sync::Arc;

use boot::Boot;
use case::Case;
use libtest_mimic::{Arguments, Trial};
use wanted::Wanted;

fn main() {
    let arguments = Arguments::from_args();
    let (mut trials, mut boots) = (vec![scripts::trial()], Vec::new());
    for kernel in kernels::all() {
        for configuration in kernel.configurations() {
            let cases = case::all(kernel, configuration);
            let wanted: Vec<&Case> = cases.iter().filter(|case| is_wanted(&arguments, case)).collect();
            let sessions = Wanted(wanted.iter().flat_map(|case| case.sessions.iter().cloned()).collect());
            let boot = Arc::new(Boot::new(kernel, configuration, sessions));
            if !wanted.is_empty() {
                boots.push(Arc::clone(&boot));
            }
            trials.extend(cases.into_iter().map(|case| trial(case, &boot)));
        }
    }
    boot::start(boots);
    libtest_mimic::run(&arguments, trials).exit();
}

/// Whether it will be judged.
fn is_wanted(arguments: &Arguments, case: &Case) -> bool {
    wanted::is_named(arguments, &case.name) && !case.is_skipped && !arguments.list
}

fn trial(case: Case, boot: &Arc<Boot>) -> Trial {
    let (name, is_skipped, boot) = (case.name.clone(), case.is_skipped, Arc::clone(boot));
    Trial::test(name, move || case.judge(&boot)).with_ignored_flag(is_skipped)
}
