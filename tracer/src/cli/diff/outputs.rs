//! Where a comparison goes besides standard output.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use rmapscope::Error;
use rmapscope::compare::{Comparison, junit, ktap};

use crate::cli::output_files::{OutputFiles, Reserved};

/// Forms of the comparison.
#[derive(Args, Debug)]
#[command(next_help_heading = "Output")]
pub struct ReportArgs {
    /// One JSON object instead of text.
    #[arg(short, long)]
    pub json: bool,
    /// Lines per verdict in the text.
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub top: usize,
    /// Also write the gates as KTAP, for kernel test systems.
    #[arg(long, value_name = "FILE", requires = "gate")]
    ktap: Option<PathBuf>,
    /// Also write the gates as JUnit XML, for GitLab, Jenkins and others.
    #[arg(long, value_name = "FILE", requires = "gate")]
    junit: Option<PathBuf>,
}

/// Files that are open for the gates.
pub struct Outputs {
    ktap: Option<File>,
    junit: Option<File>,
}

impl ReportArgs {
    /// Opens every file, none of them one of the `inputs`.
    ///
    /// # Errors
    /// When one cannot be opened, or is opened already.
    pub fn open(&self, inputs: &[&Path]) -> Result<Outputs, Error> {
        let reserved: Vec<Reserved<'_>> =
            inputs.iter().map(|path| Reserved { path, what: "a trace file to compare" }).collect();
        let mut files = OutputFiles::new("the gates", &reserved);
        let mut open = |path: &Option<PathBuf>| path.as_ref().map(|path| files.open(path)).transpose();
        Ok(Outputs { ktap: open(&self.ktap)?, junit: open(&self.junit)? })
    }
}

impl Outputs {
    /// Writes the gates' answers.
    ///
    /// # Errors
    /// When a file takes nothing more.
    pub fn write(self, comparison: &Comparison) -> Result<(), Error> {
        let write = |file: Option<File>, text: String| match file {
            Some(mut file) => file.write_all(text.as_bytes()).and_then(|()| file.flush()).map_err(|error| {
                Error::failure(
                    format!("cannot write the gates: {error}"),
                    "move the existing file, or choose another name",
                )
            }),
            None => Ok(()),
        };
        write(self.ktap, ktap(comparison))?;
        let xml = junit(comparison).map_err(|error| {
            Error::failure(
                format!("the gates cannot be written: {error}"),
                "this is a bug in rmapscope; please report it",
            )
        })?;
        write(self.junit, xml)
    }
}
