//! Recordings made on real kernels in guests, with counts that are known beforehand.
//!
//! Each kernel is booted once for everything, plus once in lockdown: the guest runs `sessions.sh`, which
//! makes all recordings with fentry and then with kprobes alone, and the checks judge them on the host.
//! What the sessions left behind stays in `target/guest-tests`.
//!
//! The environment says where things are, as `cargo xtask test` sets it:
//! - `RMAPSCOPE_KERNEL_6_1`, `RMAPSCOPE_KERNEL_6_12`, `RMAPSCOPE_KERNEL_6_12_HMM`: kernel images; the
//!   tests of a kernel without one are ignored, and their names say so;
//! - `RMAPSCOPE_PROGRAMS`: the folder of `rmapscope` and `rmapscope-workload`, both linked statically
//!   (`target/x86_64-unknown-linux-gnu/release` if not set);
//! - `RMAPSCOPE_JUDGE_LAST`: boot nothing, judge what the last boot left behind.

mod boot;
mod checks;
mod recording;

use std::path::PathBuf;
use std::sync::Arc;

use boot::{Boot, Configuration};
use checks::{Check, Run};
use libtest_mimic::{Arguments, Failed, Trial};

const KERNELS: [&str; 3] = ["6.1", "6.12", "6.12-hmm"];

fn main() {
    let arguments = Arguments::from_args();
    let mut trials = Vec::new();
    for kernel in KERNELS {
        trials.extend(trials_of(kernel, Configuration::Everything));
    }
    trials.extend(trials_of("6.12", Configuration::Lockdown));
    libtest_mimic::run(&arguments, trials).exit();
}

/// The environment variable that holds the path of a kernel image.
fn variable(kernel: &str) -> String {
    format!("RMAPSCOPE_KERNEL_{}", kernel.replace(['.', '-'], "_").to_uppercase())
}

fn trials_of(kernel: &'static str, configuration: Configuration) -> Vec<Trial> {
    let variable = variable(kernel);
    let image = std::env::var_os(&variable).map(PathBuf::from);
    let missing = image.is_none();
    let boot = Arc::new(Boot::new(kernel, image.unwrap_or_default(), configuration));
    let mut trials = Vec::new();
    for &method in configuration.methods() {
        for check in checks::all().filter(|check| (check.applies)(kernel, method)) {
            let name = if missing {
                format!("{kernel} {method}: {} (skipped: {variable} is not set)", check.name)
            } else {
                format!("{kernel} {method}: {}", check.name)
            };
            let boot = Arc::clone(&boot);
            let judge = move || judge(&boot, check, method);
            trials.push(Trial::test(name, judge).with_ignored_flag(missing));
        }
    }
    trials
}

fn judge(boot: &Boot, check: &Check, method: &'static str) -> Result<(), Failed> {
    boot.ensure_done().map_err(|error| format!("the guest failed: {error}"))?;
    let run = Run { kernel: boot.kernel(), method, open: &|session| boot.session(method, session) };
    (check.judge)(&run).map_err(|error| Failed::from(format!("{error:#}")))
}
