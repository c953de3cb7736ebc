//! Whether this machine and this user can record, and what is lost where they can only partly.

mod access;
mod support;

use std::path::PathBuf;

use serde::Serialize;

use super::SystemFiles;

/// What a check found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckState {
    /// As it should be.
    Ok,
    /// Something is lost or cannot be told, but recording is possible.
    Note,
    /// Recording is impossible.
    Problem,
}

impl CheckState {
    /// The name used in every output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Problem => "problem",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Stable name.
    pub name: &'static str,
    /// Verdict.
    pub state: CheckState,
    /// What was found.
    pub finding: String,
    /// What that means for recording; empty where all is well.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub meaning: &'static str,
    /// What to do about it; empty where there is nothing to do.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub remedy: String,
}

impl Check {
    fn ok(name: &'static str, finding: impl Into<String>) -> Self {
        Self { name, state: CheckState::Ok, finding: finding.into(), meaning: "", remedy: String::new() }
    }

    fn note(
        name: &'static str,
        finding: impl Into<String>,
        meaning: &'static str,
        remedy: impl Into<String>,
    ) -> Self {
        let (finding, remedy) = (finding.into(), remedy.into());
        Self { name, state: CheckState::Note, finding, meaning, remedy }
    }

    fn problem(
        name: &'static str,
        finding: impl Into<String>,
        meaning: &'static str,
        remedy: impl Into<String>,
    ) -> Self {
        Self { state: CheckState::Problem, ..Self::note(name, finding, meaning, remedy) }
    }
}

/// Every check of one machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Checkup {
    /// `uname -r`.
    pub release: String,
    /// Whether no check is a problem.
    pub recording_possible: bool,
    /// In the order in which to mend things.
    pub checks: Vec<Check>,
}

impl Checkup {
    /// Looks at everything. `btf` replaces the kernel's own BTF. Nothing is loaded, mounted or changed, and
    /// no privilege is needed.
    pub fn of(system: &SystemFiles, btf: Option<PathBuf>) -> Self {
        let mut checks = access::checks(system);
        checks.extend(support::checks(system, btf));
        Self {
            release: system.release(),
            recording_possible: checks.iter().all(|check| check.state != CheckState::Problem),
            checks,
        }
    }
}

#[cfg(test)]
mod tests;
