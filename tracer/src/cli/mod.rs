//! The command line: one file a subcommand, each with its arguments and a `run`.
//!
//! Standard output is data, standard error is status. Every error ends here, as one line of cause, one of
//! remedy, and an exit code.

#![cfg_attr(not(feature = "reports"), allow(dead_code, reason = "some of it is for reports alone"))]

mod audit;
mod check;
mod choice;
mod clients;
mod completions;
#[cfg(feature = "reports")]
mod diff;
mod doctor;
mod explain;
#[cfg(feature = "reports")]
mod export;
mod filter;
#[cfg(feature = "reports")]
mod flame_args;
mod live;
mod man;
mod notation;
mod output_files;
mod probes;
#[cfg(feature = "reports")]
mod progress;
mod record;
#[cfg(feature = "reports")]
mod recordings;
#[cfg(feature = "reports")]
mod report;
mod script;
mod session_args;
mod standard_output;
mod stat;
mod status;
mod summary;
#[cfg(any(feature = "reports", feature = "top"))]
mod terminal;
#[cfg(feature = "top")]
mod top;
mod values;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::{ArgAction, Args, ColorChoice, Parser, Subcommand};
use rmapscope::output::PrintError;
use rmapscope::{Error, inherited};

use status::Status;

/// Watch who owns a page and why: device-exclusive access, reverse-map walks, migration entries, device memory, mlock,
/// page-table copies at fork and swiotlb bounces of a live Linux kernel.
#[derive(Debug, Parser)]
#[command(version, about, after_help = AFTER_HELP, max_term_width = 100, disable_help_subcommand = true)]
struct Cli {
    #[command(flatten)]
    global: GlobalArgs,
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
Examples:
  rmapscope doctor                             can this machine be traced?
  rmapscope record -e exclusive,fork -- ./job  trace a command into rmapscope.data
  rmapscope script -e try_to_unmap             print the events of one kind
  rmapscope script -j | jq .pfn                the same for programs
  rmapscope stat --by process -- ./job         count in the kernel, without a trace
  rmapscope top                                the same as a live screen
  rmapscope report                             a summary of the trace
  rmapscope check -- ./hmm-tests               does the kernel keep its own rules?
  rmapscope report --html report.html          the summary as an HTML page
  rmapscope report --page 0x21d00              the history of one page
  rmapscope diff before.data after.data        which differences exceed the noise?
  rmapscope export -o trace.parquet            for other programs: Perfetto, DuckDB, speedscope, …
  rmapscope clients                            who uses a GPU, and how much
  rmapscope explain fork-restores-exclusive    what a rule, an event or a field means

Exit codes:
  0  done                          3  no verdict: events lost, a probe missing
  1  a rule or budget is broken    4  privilege, BTF or a kernel feature is missing
  2  usage or run-time error       128+n  ended by signal n
With `record -- COMMAND` the exit code is the command's, with `check -- COMMAND` the verdict's.";

/// Options of every subcommand.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub struct GlobalArgs {
    /// Print only errors and losses on standard error.
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// Print more on standard error; repeat for even more.
    #[arg(short, long, global = true, action = ArgAction::Count)]
    verbose: u8,
    /// Colour the output; `auto` colours on a terminal, unless NO_COLOR is set.
    #[arg(long, global = true, value_name = "WHEN", default_value_t = ColorChoice::Auto)]
    color: ColorChoice,
}

impl GlobalArgs {
    /// Whether standard output is to be coloured.
    pub fn colors_output(&self) -> bool {
        match self.color {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => {
                let output = std::io::stdout();
                output.is_terminal() && anstream::AutoStream::choice(&output) != anstream::ColorChoice::Never
            }
        }
    }

    /// What may be said on standard error.
    pub fn status(&self) -> Status {
        Status::new(self.quiet, self.verbose)
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    Record(record::RecordArgs),
    Check(check::CheckArgs),
    Script(script::ScriptArgs),
    Stat(stat::StatArgs),
    #[cfg(feature = "top")]
    Top(top::TopArgs),
    #[cfg(feature = "reports")]
    #[command(flatten)]
    Recordings(recordings::Command),
    Probes(probes::ProbesArgs),
    Explain(explain::ExplainArgs),
    Doctor(doctor::DoctorArgs),
    Audit(audit::AuditArgs),
    Clients(clients::ClientsArgs),
    Completions(completions::CompletionsArgs),
    #[command(hide = true)]
    Man(man::ManArgs),
}

/// Runs the subcommand; its exit code is the program's.
fn run(cli: &Cli) -> Result<u8, Error> {
    match &cli.command {
        Command::Record(args) => record::run(args, &cli.global),
        Command::Check(args) => check::run(args, &cli.global),
        Command::Explain(args) => explain::run(args),
        Command::Probes(args) => probes::run(args, &cli.global).map(|()| 0),
        Command::Script(args) => script::run(args, &cli.global),
        Command::Stat(args) => stat::run(args, &cli.global),
        #[cfg(feature = "top")]
        Command::Top(args) => top::run(args, &cli.global),
        #[cfg(feature = "reports")]
        Command::Recordings(command) => recordings::run(command, &cli.global),
        Command::Audit(args) => audit::run(args, &cli.global),
        Command::Clients(args) => clients::run(args, &cli.global),
        Command::Doctor(args) => doctor::run(args).map(|()| 0),
        Command::Completions(args) => completions::run(args),
        Command::Man(args) => man::run(args),
    }
}

/// Parses the command line, runs it, prints the error if there is one.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let code = u8::try_from(error.exit_code()).unwrap_or(2);
            if code == 0 {
                // Help and version.
                return printed(&error);
            }
            // There is nobody left to tell when this fails.
            let _ = error.print();
            let words: Vec<_> = std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
            return ExitCode::from(check::exit::usage_error(&words).unwrap_or(code));
        }
    };
    ended(run(&cli))
}

/// Prints what clap prints on standard output.
fn printed(text: &clap::Error) -> ExitCode {
    let written = inherited::output().and_then(|_| text.print()).map_err(PrintError);
    ended(written.map(|()| 0).map_err(Error::from))
}

/// The exit code, and the error on standard error if there is one.
fn ended(result: Result<u8, Error>) -> ExitCode {
    match result {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            // Output that nobody reads any more ends the program without a fault.
            if error.code != rmapscope::ExitCode::Success {
                status::error(&error);
            }
            ExitCode::from(error.code as u8)
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_letter_means_the_same_everywhere() {
        let mut meanings = std::collections::HashMap::new();
        let command = Cli::command();
        for command in command.get_subcommands().chain([&command]) {
            for argument in command.get_arguments() {
                if let (Some(letter), Some(name)) = (argument.get_short(), argument.get_long()) {
                    let meaning = *meanings.entry(letter).or_insert(name);
                    assert_eq!(meaning, name, "-{letter} of {}", command.get_name());
                }
            }
        }
    }

    fn conflict(words: &[&str]) {
        let error = Cli::try_parse_from(words).map(drop).unwrap_err();
        assert_eq!(error.kind(), clap::error::ErrorKind::ArgumentConflict, "{words:?}: {error}");
    }

    #[test]
    fn a_file_takes_no_option_of_a_live_session() {
        let tasks = ["-p1", "-t1", "-nx"];
        let session = ["--per-vma", "-l", "-g", "-G/x", "-a", "--no-inherit", "-d1", "-m1M", "--attach=auto"];
        let kernel = ["--btf=x", "--kallsyms=x", "--without-symbol=x"];
        for option in tasks.iter().chain(&session).chain(&kernel) {
            conflict(&["rmapscope", "check", "-i", "file", option]);
        }
        for command in ["check", "script", "stat"] {
            conflict(&["rmapscope", command, "-i", "file", "--", "true"]);
        }
        conflict(&["rmapscope", "script", "-i", "file", "--live"]);
    }

    #[test]
    #[cfg(feature = "reports")]
    fn the_history_of_a_page_is_not_filtered() {
        for option in ["-efork", "-p1", "-t1", "-nx", "--min-latency=1us", "--from=1s", "--to=1s"] {
            conflict(&["rmapscope", "report", "--page=1", option]);
            conflict(&["rmapscope", "report", "--addr=1:0x1000", option]);
        }
    }
}
