//! Every error that ends the program: its cause, its remedy and its exit code.

/// What ended the program, printed once by `main` as one line of cause and one of remedy.
#[derive(Debug)]
pub struct Error {
    /// What failed and why.
    pub cause: String,
    /// What to do about it.
    pub remedy: String,
    /// Exit code.
    pub code: ExitCode,
}

/// Exit codes that mean one thing each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitCode {
    /// Done.
    Success = 0,
    /// A rule is violated, or a budget broken.
    Violation = 1,
    /// Usage or run-time error of rmapscope itself.
    Failure = 2,
    /// No verdict: events were lost, a probe is missing, a budget cannot be judged.
    Inconclusive = 3,
    /// Privilege, BTF or a kernel feature is missing.
    Prerequisite = 4,
    /// The command to trace cannot be executed, as shells say it.
    CommandNotExecutable = 126,
    /// The command to trace does not exist, as shells say it.
    CommandNotFound = 127,
}

impl Error {
    /// A usage or run-time error (exit code 2).
    pub fn failure(cause: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { cause: cause.into(), remedy: remedy.into(), code: ExitCode::Failure }
    }

    /// Something that this machine or this user lacks (exit code 4).
    pub fn prerequisite(cause: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { cause: cause.into(), remedy: remedy.into(), code: ExitCode::Prerequisite }
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.cause)
    }
}

impl std::error::Error for Error {}
