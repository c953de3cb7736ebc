//! The subcommands that sum up, compare and convert recordings; a build without the feature `reports` has none.

use clap::Subcommand;
use rmapscope::Error;

use super::{GlobalArgs, diff, export, report};

#[derive(Debug, Subcommand)]
pub enum Command {
    Export(export::ExportArgs),
    Report(report::ReportArgs),
    Diff(diff::DiffArgs),
}

/// Runs the subcommand; its exit code is the program's.
pub fn run(command: &Command, global: &GlobalArgs) -> Result<u8, Error> {
    match command {
        Command::Export(args) => export::run(args, global),
        Command::Report(args) => report::run(args, global),
        Command::Diff(args) => diff::run(args, global),
    }
}
