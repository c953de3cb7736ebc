//! One way to open a live session, for every subcommand that watches the running kernel.

use std::path::Path;

use rmapscope::event::Sink;
use rmapscope::session::endings::{Endings, cannot_wait, how_to_end};
use rmapscope::session::{Command, CountingOptions, Ended, Live, Options, prepare};
use rmapscope::trace_file::FileHeader;
use rmapscope::{Error, ExitCode};

use super::choice::Choice;
use super::session_args::SessionArgs;
use super::status::Status;
use super::{GlobalArgs, summary};

/// What the events of a session are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To be shown. With a command its processes are watched, unless `--all` is given.
    Show,
    /// To be judged. The filters are not told of the command, since kswapd, kcompactd and interrupts act for
    /// everybody; of the visits of walks come those that rules are about.
    Judge,
    /// To be counted where they happen. With a command as [`Purpose::Show`].
    Count(CountingOptions),
}

/// A session whose probes are attached, and whose command waits to be released.
pub struct Session {
    live: Live,
    command: Option<Command>,
    /// What a trace file says about it.
    pub header: FileHeader,
    /// Whether its end has to be asked for.
    is_endless: bool,
    /// What is to be said to go on.
    what: Option<&'static str>,
    status: Status,
}

/// Forks the command, attaches the probes, and says what cannot be seen. To be done before anything starts a thread.
///
/// # Errors
/// When there can be no such session on this machine.
pub fn open(
    args: &SessionArgs,
    choice: &Choice,
    purpose: Purpose,
    global: &GlobalArgs,
) -> Result<Session, Error> {
    let status = global.status();
    let command = if args.command.is_empty() { None } else { Some(Command::fork(&args.command)?) };
    let watched = command.as_ref().filter(|_| purpose != Purpose::Judge && !args.all);
    let mut options = args.options(choice, watched, global.verbose)?;
    options.request.visits_for_rules = purpose == Purpose::Judge && !args.request.per_vma;
    if let Purpose::Count(counting) = purpose {
        options.count(counting);
    }
    let is_endless = command.is_none() && options.duration.is_none();
    let live = attach(args, options)?;
    summary::begun(&live, status);
    let mut header = args.header(choice, &live);
    if purpose == Purpose::Judge {
        header.options.all = !header.options.narrow_tasks();
    }
    Ok(Session { live, command, header, is_endless, what: None, status })
}

/// Attaches the probes that `options` ask for.
///
/// # Errors
/// When there can be no such session on this machine.
pub fn attach(args: &SessionArgs, mut options: Options) -> Result<Live, Error> {
    let (facts, plan) = prepare(&mut options.request, &args.facts())?;
    Live::start(facts, plan, &options)
}

impl Session {
    /// What is to be said to go on until somebody ends it, where nothing else does.
    pub const fn announce(&mut self, what: &'static str) {
        self.what = Some(what);
    }

    /// Releases the command, and hands everything to `sink` until the session ends. A `file` in which nothing was
    /// recorded, because the command cannot be run, is taken back.
    ///
    /// # Errors
    /// When the command cannot be run, or the output takes no more.
    pub fn run<S: Sink>(self, sink: &mut S, file: Option<&Path>) -> Result<Ended, Error> {
        let Self { live, mut command, .. } = self;
        let runtime = runtime()?;
        let endings = runtime.block_on(async { Endings::listen() }).map_err(cannot_wait)?;
        // Not before: a signal that came at once would end the program, and nothing would be in order.
        if let Some(what) = self.what.filter(|_| self.is_endless) {
            self.status.note(&format!("{what}; {}", how_to_end()));
        }
        runtime.block_on(live.run(command.as_mut(), sink, endings)).inspect_err(|error| {
            if matches!(error.code, ExitCode::CommandNotFound | ExitCode::CommandNotExecutable)
                && let Some(file) = file
            {
                discard(file);
            }
        })
    }
}

/// The exit code after a session: that of its command.
pub fn exit_code(ended: &Ended) -> u8 {
    u8::try_from(ended.summary.command_status.unwrap_or(0)).unwrap_or(u8::MAX)
}

/// Waits for events on this thread.
pub fn runtime() -> Result<tokio::runtime::Runtime, Error> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(cannot_wait)
}

/// Takes back a file in which nothing was recorded. What is no regular file is not ours to remove.
fn discard(file: &Path) {
    if file.symlink_metadata().is_ok_and(|metadata| metadata.is_file()) {
        let _ = std::fs::remove_file(file);
    }
}
