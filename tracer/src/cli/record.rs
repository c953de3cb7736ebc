//! `rmapscope record`: a live session into a trace file.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use rmapscope::session::endings::how_to_end;
use rmapscope::session::{Live, prepare};
use rmapscope::trace_file::Writer;
use rmapscope::{Error, ExitCode};

use super::GlobalArgs;
use super::session_args::{Choice, SessionArgs, fork, runtime};
use super::standard_output::print;
use super::summary;
use super::values::{duration, event_list};

/// Trace into a file: the whole system, some processes, or a command with its children.
///
/// The file can be read on any machine, by any user, with `rmapscope script`. An earlier trace file of the
/// same name is kept as FILE.old. With a command, the exit code is the command's.
#[derive(Args, Debug)]
pub struct RecordArgs {
    /// Write to FILE; `-` is standard output.
    #[arg(short, long, value_name = "FILE", default_value = "rmapscope.data")]
    output: PathBuf,
    /// Trace only these events or families; `-e list` prints them. Default: all.
    #[arg(short, long, value_name = "NAME[,…]", value_delimiter = ',')]
    event: Vec<String>,
    /// Trace only these processes with all their threads. Bounce buffers have no process and come always.
    #[arg(short, long, value_name = "PID[,…]", value_delimiter = ',')]
    pid: Vec<u32>,
    /// Trace only these threads.
    #[arg(short, long, value_name = "TID[,…]", value_delimiter = ',')]
    tid: Vec<u32>,
    /// Trace only processes with such a name (`*` and `?`). Up to four.
    #[arg(short = 'n', long, value_name = "GLOB")]
    comm: Vec<String>,
    /// Leave out calls that took less, for example 50us (turns --latency on).
    #[arg(long, value_name = "TIME", value_parser = duration)]
    min_latency: Option<Duration>,
    #[command(flatten)]
    session: SessionArgs,
    /// Command to trace, after `--`. It starts when every probe is attached.
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// Records until the command ends, the time is over, or a signal comes. Returns the exit code.
///
/// # Errors
/// Whatever keeps the session from running in order; a file that was begun has everything up to then.
pub fn run(args: &RecordArgs, global: &GlobalArgs) -> Result<u8, Error> {
    if args.event.iter().any(|name| name == "list") {
        return print(&event_list());
    }
    let status = global.status();
    let mut command = fork(&args.command)?;
    let choice = args.choice();
    let mut options = args.session.options(choice.clone(), command.as_ref(), global.verbose)?;
    let (facts, plan) = prepare(&mut options.request, &args.session.facts())?;
    let live = Live::start(facts, plan, &options)?;
    summary::begun(&live, status);
    let mut writer = Writer::create(&args.output, &args.session.header(&choice, &args.command, &live))?;
    if command.is_none() && options.duration.is_none() {
        status.note(&format!("recording; {}", how_to_end()));
    }
    let ended = runtime()?.block_on(live.run(command.as_mut(), &mut writer)).inspect_err(|error| {
        if matches!(error.code, ExitCode::CommandNotFound | ExitCode::CommandNotExecutable) {
            discard(&args.output);
        }
    })?;
    let file = format!("{} {}", args.output.display(), size(writer.bytes_written()));
    summary::print(&ended, Some(&file), status);
    let code = ended.summary.command_status.unwrap_or(0);
    Ok(u8::try_from(code).unwrap_or(u8::MAX))
}

impl RecordArgs {
    fn choice(&self) -> Choice {
        Choice {
            events: self.event.clone(),
            pids: self.pid.clone(),
            tids: self.tid.clone(),
            names: self.comm.clone(),
            min_latency: self.min_latency,
        }
    }
}

/// Takes back a file in which nothing was recorded. What is no regular file is not ours to remove.
pub fn discard(output: &std::path::Path) {
    if output.symlink_metadata().is_ok_and(|metadata| metadata.is_file()) {
        let _ = std::fs::remove_file(output);
    }
}

/// A number of bytes, short.
pub fn size(bytes: u64) -> String {
    match bytes {
        0..10_000 => format!("{bytes} bytes"),
        10_000..10_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}
