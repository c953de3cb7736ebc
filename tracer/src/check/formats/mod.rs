//! A [`Verdict`] in the forms that people and CI systems read.
//!
//! Each form is a function of the verdict alone, so that a trace file gives the same bytes as the live session.
//! All of them are made for logs that are scanned: [`words`] keeps what a process, a device or a command line
//! chose as its name from looking like a failure of the kernel.

pub mod github;
pub mod json;
pub mod junit;
pub mod kcidb;
pub mod ktap;
pub(crate) mod lines;
pub mod text;
pub mod words;

pub use kcidb::{Origin, OriginError};

use super::Verdict;
use crate::Error;

/// A form of the verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Form {
    /// For people, coloured or not.
    Text {
        /// With terminal colours.
        color: bool,
    },
    /// Kernel Test Anything Protocol, version 1 (6.12 Documentation/dev-tools/ktap.rst).
    Ktap,
    /// `JUnit` XML, as Jenkins, GitLab and others read it.
    Junit,
    /// One JSON object; `docs/verdict.md` describes it.
    Json,
    /// KCIDB, schema 5.3; without an origin it cannot be made.
    Kcidb(Origin),
    /// Workflow commands of GitHub Actions.
    Github,
}

impl Form {
    /// The verdict in this form.
    ///
    /// # Errors
    /// When a library refuses to write it; none is known to.
    pub fn render(&self, verdict: &Verdict) -> Result<String, Error> {
        Ok(match self {
            Self::Text { color } => text::render(verdict, *color),
            Self::Ktap => ktap::render(verdict),
            Self::Junit => junit::render(verdict).map_err(refused)?,
            Self::Json => json::render(verdict).map_err(refused)?,
            Self::Kcidb(origin) => kcidb::render(verdict, origin).map_err(refused)?,
            Self::Github => github::render(verdict),
        })
    }
}

fn refused(error: impl std::error::Error) -> Error {
    Error::failure(
        format!("the verdict cannot be written: {error}"),
        "this is a bug in rmapscope; please report it",
    )
}
