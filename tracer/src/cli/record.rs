//! `rmapscope record`: a live session into a trace file.

use std::path::PathBuf;

use clap::Args;
use rmapscope::Error;
use rmapscope::trace_file::Writer;

use super::GlobalArgs;
use super::choice::{ChoiceArgs, event_list};
use super::live::{self, Purpose};
use super::session_args::SessionArgs;
use super::standard_output::print;
use super::summary;

/// Record a trace file: of the whole system, some processes, or a command with its children.
///
/// Any user can read the file on any machine, with `rmapscope script`. An existing trace file of the same name is kept
/// as FILE.old. With a command, the exit code is the command's.
#[derive(Args, Debug)]
pub struct RecordArgs {
    /// Write to FILE; `-` is standard output.
    #[arg(short, long, value_name = "FILE", default_value = "rmapscope.data")]
    output: PathBuf,
    #[command(flatten)]
    choice: ChoiceArgs,
    #[command(flatten)]
    session: SessionArgs,
}

/// Records until the command ends, the time is over, or a signal comes. Returns the exit code.
///
/// # Errors
/// Whatever keeps the session from running in order; a file that was begun has everything up to then.
pub fn run(args: &RecordArgs, global: &GlobalArgs) -> Result<u8, Error> {
    let Some(events) = args.choice.events.chosen()? else {
        return print(&event_list());
    };
    let mut session = live::open(&args.session, &args.choice.choice(events), Purpose::Show, global)?;
    let mut writer = Writer::create(&args.output, &session.header)?;
    session.announce("recording");
    let ended = session.run(&mut writer, Some(&args.output))?;
    let file = summary::file(&args.output, writer.bytes_written());
    summary::overhead(&ended, global.status());
    summary::print(&ended, Some(&file), global.status());
    Ok(live::exit_code(&ended))
}
