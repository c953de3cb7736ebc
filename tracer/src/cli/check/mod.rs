//! `rmapscope check`: the kernel's own rules, judged on a live session or a trace file.

pub mod exit;
mod list;
mod live;
mod recorded;
mod reports;
mod rules;

use std::path::PathBuf;

use clap::Args;
use rmapscope::check::{Checker, Outcome, RuleVerdict, Subject, Verdict};
use rmapscope::event::{Item, Sink};
use rmapscope::{Error, ExitCode};

use super::GlobalArgs;
use super::choice::TaskArgs;
use super::output_files::Reserved;
use super::session_args::SessionArgs;
use super::standard_output::print;
use super::status;
use exit::ExitArgs;
use reports::ReportArgs;
use rules::RuleArgs;

/// Options that a trace file has no use for.
const ONLY_LIVE: [&str; 5] = ["SessionArgs", "RequestArgs", "KernelArgs", "TaskArgs", "record"];

/// Check whether the kernel keeps its own rules, live or in a trace file.
///
/// A live session watches the whole system until the command ends, the time is up, or Ctrl-C. -p, -t, -n and -G
/// restrict it to what those tasks do themselves, without kswapd or kcompactd acting on their memory.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  rmapscope check -- ./hmm-tests                     the verdict on standard output, and as the exit code
  rmapscope check -d 10m --record rmapscope.data     ten minutes; to be checked again with -i
  rmapscope check -i rmapscope.data --rules fork-restores-exclusive
  rmapscope check --ktap out.ktap --junit out.xml --require fork-restores-exclusive=10 -- ./hmm-tests
  git bisect run sh -c 'make && ./boot rmapscope check --exit bisect -- ./reproducer'
A rule that saw nothing is not exercised, one that could not see enough is inconclusive; neither is a pass.")]
pub struct CheckArgs {
    /// Check a trace file instead of the running kernel; `-` is standard input.
    #[arg(short, long, value_name = "FILE", conflicts_with_all = ONLY_LIVE)]
    input: Option<PathBuf>,
    #[command(flatten)]
    rules: RuleArgs,
    #[command(flatten)]
    reports: ReportArgs,
    #[command(flatten)]
    exit: ExitArgs,
    /// Also write the events to a trace file; `check -i` gives the same verdict for it.
    #[arg(long, value_name = "FILE", help_heading = "Live session")]
    record: Option<PathBuf>,
    #[command(flatten)]
    tasks: TaskArgs,
    #[command(flatten)]
    session: SessionArgs,
}

/// Judges, and writes the verdict. Errors are told here, because whoever reads the exit code may want another
/// number for them.
///
/// # Errors
/// None.
pub fn run(args: &CheckArgs, global: &GlobalArgs) -> Result<u8, Error> {
    let code = judge(args, global).unwrap_or_else(|error| {
        status::error(&error);
        error.code
    });
    Ok(args.exit.number(code))
}

fn judge(args: &CheckArgs, global: &GlobalArgs) -> Result<ExitCode, Error> {
    if args.rules.list {
        return print(&list::text()).map(|_| ExitCode::Success);
    }
    let options = args.rules.options()?;
    let reserved = [("the trace file to judge", &args.input), ("the trace file to record", &args.record)];
    let reserved: Vec<Reserved<'_>> =
        reserved.iter().filter_map(|(what, path)| Some(Reserved { path: path.as_deref()?, what })).collect();
    let reports = args.reports.open(global.colors_output(), &reserved)?;
    let selected = options.rules;
    let judged = match &args.input {
        Some(path) => recorded::run(path, options, args.rules.fail_fast).map(|verdict| (verdict, None)),
        None => live::run(args, options, global),
    };
    match judged {
        Ok((verdict, trouble)) => {
            let code = args.exit.code(verdict.outcome(), verdict.subject.command_status);
            let written = reports.write(&verdict);
            trouble.map_or(Ok(()), Err)?;
            written?;
            Ok(code)
        }
        Err(error) => {
            // A report that is read later must not look like one that nobody wrote.
            if let Err(error) = reports.write_unjudged(&unjudged(selected, &error)) {
                status::error(&error);
            }
            Err(error)
        }
    }
}

/// The verdict when there could be none.
fn unjudged(selected: rmapscope::check::Selection, error: &Error) -> Verdict {
    // What this machine cannot do says nothing of the kernel: kselftest calls that skipped. All else is an error.
    let outcome =
        if error.code == ExitCode::Prerequisite { Outcome::NotExercised } else { Outcome::Inconclusive };
    let rules = rmapscope::check::rules().iter().filter(|rule| selected.contains(rule.name));
    Verdict {
        subject: Subject {
            program_version: env!("CARGO_PKG_VERSION").to_owned(),
            incomplete: Some(error.cause.clone()),
            ..Subject::default()
        },
        rules: rules
            .map(|rule| RuleVerdict {
                name: rule.name,
                title: rule.title,
                severity: rule.severity,
                outcome,
                evaluated: 0,
                violations: 0,
                evidence: Vec::new(),
                reasons: vec![format!("{}; try: {}", error.cause, error.remedy)],
                is_unasked: false,
                notes: Vec::new(),
            })
            .collect(),
        diagnoses: Vec::new(),
        probes: Vec::new(),
    }
}

/// A checker that may have seen enough.
struct Judge {
    checker: Checker,
    fail_fast: bool,
}

impl Sink for Judge {
    #[inline]
    fn record(&mut self, record: &[u8]) -> Result<(), Error> {
        self.checker.record(record);
        Ok(())
    }

    fn item(&mut self, item: &Item) -> Result<(), Error> {
        self.checker.item(item);
        Ok(())
    }

    fn enough(&self) -> Option<&'static str> {
        (self.fail_fast && self.checker.is_violated()).then_some("a violation (--fail-fast)")
    }
}
