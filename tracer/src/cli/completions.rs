//! `rmapscope completions`: completion scripts for shells.

use clap::CommandFactory;
use clap_complete::Shell;
use rmapscope::Error;

use super::standard_output::print;

/// Print the completion script for a shell.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  rmapscope completions bash > /etc/bash_completion.d/rmapscope")]
pub struct CompletionsArgs {
    /// The shell.
    shell: Shell,
}

/// Prints the script on standard output.
///
/// # Errors
/// When it cannot be written.
pub fn run(args: &CompletionsArgs) -> Result<u8, Error> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut super::Cli::command(), "rmapscope", &mut script);
    print(&String::from_utf8_lossy(&script))
}
