//! The exit code of a check, in the terms of whoever reads it.

use clap::{Args, ValueEnum};
use rmapscope::ExitCode;
use rmapscope::check::Outcome;

/// Who reads the exit code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Reader {
    /// 0 pass, 1 violated, 2 error, 3 inconclusive, 4 prerequisites missing.
    #[default]
    Plain,
    /// `git bisect run`: 0 good, 1 bad, 125 skip (inconclusive, prerequisites missing), 128 stop (error).
    Bisect,
    /// kselftest: 0 pass, 1 fail (violated, error, inconclusive), 4 skip (prerequisites missing).
    Kselftest,
}

/// What an inconclusive check is for kselftest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Inconclusive {
    /// It failed.
    #[default]
    Fail,
    /// It was skipped.
    Skip,
}

/// How the program ends.
#[derive(Args, Clone, Copy, Debug)]
#[command(next_help_heading = "Exit code")]
pub struct ExitArgs {
    /// Exit codes to use: `plain`, `bisect` (git bisect run) or `kselftest`.
    #[arg(long, value_enum, default_value_t, value_name = "READER")]
    exit: Reader,
    /// With --exit kselftest: an inconclusive check fails, or is skipped.
    #[arg(long, value_enum, default_value_t, value_name = "AS")]
    inconclusive: Inconclusive,
    /// Be inconclusive, rather than pass, if the command fails: it may not have exercised the code.
    #[arg(long, requires = "command")]
    command_must_succeed: bool,
}

impl ExitArgs {
    /// The number for a code.
    pub fn number(self, code: ExitCode) -> u8 {
        use ExitCode::{Failure, Inconclusive as Unknown, Prerequisite, Success, Violation};
        // A command that cannot be run is an error like others: shells' 126 and 127 would be a bad commit to
        // git bisect.
        let code = match code {
            ExitCode::CommandNotExecutable | ExitCode::CommandNotFound => Failure,
            code => code,
        };
        match (self.exit, code) {
            (Reader::Bisect, Failure) => 128,
            (Reader::Bisect, Unknown | Prerequisite) => 125,
            (Reader::Kselftest, Unknown) if self.inconclusive == Inconclusive::Skip => 4,
            (Reader::Kselftest, Failure | Unknown) => 1,
            (_, Success | Violation | Prerequisite) | (Reader::Plain, _) => code as u8,
            (_, ExitCode::CommandNotExecutable | ExitCode::CommandNotFound) => code as u8,
        }
    }

    /// The code of a verdict; `status` is the command's.
    pub fn code(self, outcome: Outcome, status: Option<i32>) -> ExitCode {
        let failed = self.command_must_succeed && status.is_some_and(|status| status != 0);
        match outcome {
            Outcome::Violated => ExitCode::Violation,
            Outcome::Inconclusive => ExitCode::Inconclusive,
            Outcome::Pass | Outcome::NotExercised if failed => ExitCode::Inconclusive,
            Outcome::Pass | Outcome::NotExercised => ExitCode::Success,
        }
    }
}

/// The number for a command line that cannot be understood, so that a misspelt option does not make commits bad.
pub fn usage_error<S: AsRef<str>>(words: &[S]) -> Option<u8> {
    let mut words = words.iter().map(AsRef::as_ref).take_while(|word| *word != "--").peekable();
    let mut reader = None;
    while let Some(word) = words.next() {
        reader = match word {
            "--exit=bisect" => Some(128),
            "--exit=kselftest" => Some(1),
            "--exit" => match words.peek() {
                Some(&"bisect") => Some(128),
                Some(&"kselftest") => Some(1),
                _ => reader,
            },
            _ => reader,
        };
    }
    reader
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [ExitCode; 7] = [
        ExitCode::Success,
        ExitCode::Violation,
        ExitCode::Failure,
        ExitCode::Inconclusive,
        ExitCode::Prerequisite,
        ExitCode::CommandNotExecutable,
        ExitCode::CommandNotFound,
    ];

    fn numbers(exit: Reader, inconclusive: Inconclusive) -> [u8; 7] {
        ALL.map(|code| ExitArgs { exit, inconclusive, command_must_succeed: false }.number(code))
    }

    #[test]
    fn each_reader_has_its_numbers() {
        assert_eq!(numbers(Reader::Plain, Inconclusive::Fail), [0, 1, 2, 3, 4, 2, 2]);
        assert_eq!(numbers(Reader::Bisect, Inconclusive::Skip), [0, 1, 128, 125, 125, 128, 128]);
        assert_eq!(numbers(Reader::Kselftest, Inconclusive::Fail), [0, 1, 1, 1, 4, 1, 1]);
        assert_eq!(numbers(Reader::Kselftest, Inconclusive::Skip), [0, 1, 1, 4, 4, 1, 1]);
    }

    #[test]
    fn a_failing_command_counts_on_request_and_never_hides_a_violation() {
        let code = |must, outcome, status| {
            let args = ExitArgs {
                exit: Reader::Plain,
                inconclusive: Inconclusive::Fail,
                command_must_succeed: must,
            };
            args.code(outcome, status)
        };
        assert_eq!(code(false, Outcome::Pass, Some(1)), ExitCode::Success);
        assert_eq!(code(true, Outcome::Pass, Some(1)), ExitCode::Inconclusive);
        assert_eq!(code(true, Outcome::Pass, Some(0)), ExitCode::Success);
        assert_eq!(code(true, Outcome::Violated, Some(1)), ExitCode::Violation);
        assert_eq!(code(false, Outcome::NotExercised, None), ExitCode::Success);
        assert_eq!(code(false, Outcome::Inconclusive, None), ExitCode::Inconclusive);
    }

    #[test]
    fn misspelt_options_stop_a_bisection() {
        assert_eq!(usage_error(&["check", "--exit", "bisect", "--rulse"]), Some(128));
        assert_eq!(usage_error(&["check", "--rulse", "--exit=kselftest"]), Some(1));
        assert_eq!(usage_error(&["check", "--rulse", "--", "x", "--exit=bisect"]), None);
        assert_eq!(usage_error(&["check", "--exit", "never"]), None);
    }
}
