//! `rmapscope doctor`: can this user record on this machine, and if not, what helps?

use std::path::PathBuf;

use rmapscope::escape::escaped;
use rmapscope::kernel::{CheckState, Checkup, SystemFiles};
use rmapscope::{Error, ExitCode};

use super::standard_output::print_result;

/// Check privileges, kernel features and limits, with a remedy for each problem. Needs no privilege.
#[derive(Debug, clap::Args)]
pub struct DoctorArgs {
    /// Print one JSON object instead of a table.
    #[arg(short = 'j', long)]
    pub json: bool,
    /// Take the kernel's types from FILE instead of /sys/kernel/btf/vmlinux.
    #[arg(long, value_name = "FILE")]
    pub btf: Option<PathBuf>,
}

/// Prints every check on standard output.
///
/// # Errors
///
/// A prerequisite (exit code 4), with the remedy of the first problem, when recording is not possible.
pub fn run(args: &DoctorArgs) -> Result<(), Error> {
    let checkup = Checkup::of(&SystemFiles::live(), args.btf.clone());
    let text = if args.json {
        let json = serde_json::to_string_pretty(&checkup);
        json.map_err(|error| {
            Error::failure(format!("cannot print as JSON: {error}"), "please report this bug")
        })? + "\n"
    } else {
        table(&checkup)
    };
    print_result(&text)?;
    match checkup.checks.iter().find(|check| check.state == CheckState::Problem) {
        None => Ok(()),
        Some(problem) => Err(Error {
            cause: format!("recording is not possible: {}: {}", problem.name, problem.finding),
            remedy: problem.remedy.clone(),
            code: ExitCode::Prerequisite,
        }),
    }
}

/// The checks, a line each, with meaning and remedy below where there is something to say.
fn table(checkup: &Checkup) -> String {
    let width = checkup.checks.iter().map(|check| check.name.len()).max().unwrap_or(0);
    let indent = width + "problem".len() + 4;
    let mut text = format!("{:width$}  {:7}  linux {}\n", "kernel", "", escaped(&checkup.release));
    for check in &checkup.checks {
        let finding = escaped(&check.finding);
        text += &format!("{:width$}  {:7}  {finding}\n", check.name, check.state.name());
        for (label, words) in [("means", check.meaning), ("remedy", check.remedy.as_str())] {
            if !words.is_empty() {
                text += &format!("{:indent$}{label}: {}\n", "", escaped(words));
            }
        }
    }
    let verdict = if checkup.recording_possible { "possible" } else { "not possible" };
    text + &format!("{:width$}  {:7}  {verdict}\n", "recording", "")
}
