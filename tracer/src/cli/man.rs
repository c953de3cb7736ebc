//! `rmapscope man`: the manual pages, from the definitions that `--help` prints.

use std::path::PathBuf;

use clap::CommandFactory;
use rmapscope::Error;

/// Write the manual pages, one for each subcommand, into a folder.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  rmapscope man /usr/local/share/man/man1")]
pub struct ManArgs {
    /// The folder; existing pages are replaced.
    folder: PathBuf,
}

/// Writes them.
///
/// # Errors
/// When one cannot be written.
pub fn run(args: &ManArgs) -> Result<u8, Error> {
    let written = clap_mangen::generate_to(super::Cli::command(), &args.folder);
    written.map(|()| 0).map_err(|error| {
        Error::failure(
            format!("cannot write manual pages to {}: {error}", args.folder.display()),
            "choose an existing, writable folder",
        )
    })
}
