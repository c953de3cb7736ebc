//! `rmapscope top`: what happens now, on a screen.

mod session;
mod terminal;
mod watch;

use std::fs::File;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use rmapscope::event::{Family, Kind};
use rmapscope::probe::select;
use rmapscope::session::Command;
use rmapscope::stat::{By, Of, Question};
use rmapscope::top::View;
use rmapscope::top::screen::Look;
use rmapscope::{Error, open_files};

use super::GlobalArgs;
use super::choice::{Choice, ChoiceArgs, event_list};
use super::session_args::SessionArgs;
use super::standard_output::print;
use super::stat::{lists, question};
use super::terminal::takes_unicode;
use super::values::interval;

/// Show rates and latencies on a live screen: by process, device, pool, stack or any field of an event.
///
/// The programs count in the kernel, as for `stat`. Keys sort, filter, pause, and drill down; `h` shows them all. It
/// ends with `q`, with the command, after --duration, or on a signal, and then prints the counts, except after `q`.
/// With a command, the exit code is that of the command. The command's own output is not shown, because it would garble
/// the screen.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  rmapscope top                                        every event, by process, with latencies
  rmapscope top -e swiotlb --by device --of bytes      which device bounces how much
  rmapscope top -e exclusive,fork -- ./job             of a command and its children
  rmapscope top -e rmap --of none -I 500ms             only counts: cheaper than latencies
Without a terminal `rmapscope stat -I 1s` prints the same.")]
pub struct TopArgs {
    /// Initial grouping, as in `stat`; `--by list` prints all.
    #[arg(long, value_name = "KEY")]
    by: Option<String>,
    /// Initial value to sum up, as in `stat`; `none` only counts, which costs less; `--of list` prints all.
    #[arg(long, value_name = "VALUE")]
    of: Option<String>,
    /// Update interval of the screen.
    #[arg(short = 'I', long, value_name = "TIME", default_value = "1s", value_parser = |text: &str| interval(text, SHORTEST_INTERVAL))]
    interval: Duration,
    /// Write the command's output to FILE, instead of discarding it.
    #[arg(long, value_name = "FILE", requires = "command")]
    command_output: Option<PathBuf>,
    #[command(flatten)]
    choice: ChoiceArgs,
    #[command(flatten)]
    session: SessionArgs,
}

/// Intervals are not shorter than this: nobody reads faster.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);

/// What to do where there can be no screen.
const WITHOUT_A_SCREEN: &str = "`rmapscope stat -I 1s` prints the same counts line by line";

/// What every session of the screen has in common.
struct Setting<'a> {
    args: &'a TopArgs,
    choice: Choice,
    look: Look,
}

/// Shows the screen until it ends. Returns the exit code.
///
/// # Errors
/// When there can be no screen or no session.
pub fn run(args: &TopArgs, global: &GlobalArgs) -> Result<u8, Error> {
    let Some(events) = args.choice.events.chosen()? else {
        return print(&event_list());
    };
    let asked = (args.by.as_deref(), args.of.as_deref());
    if let Some(list) = lists(asked) {
        return print(&list);
    }
    let is_counted = asked.1 == Some("none") && !args.session.request.latency;
    let unsaid = Question { by: By::Process, of: (!is_counted).then_some(Of::Latency) };
    let question = question((asked.0, asked.1.filter(|_| !is_counted)), &args.session, unsaid)?;
    if !std::io::stdout().is_terminal() {
        return Err(Error::failure("standard output is not a terminal", WITHOUT_A_SCREEN));
    }
    let choice = args.choice.choice(events);
    let kinds = select(&choice.events, args.session.request.per_vma).into_iter();
    // What only says who is who is not counted.
    let is_shown = |kind: &Kind| kind.family() != Family::Process && *kind != Kind::DeviceName;
    let kinds = kinds.filter(is_shown).collect();
    let command = fork(args)?;
    let look = Look { color: global.colors_output(), unicode: takes_unicode() };
    let setting = Setting { args, choice, look };
    watch::watch(&setting, View::new(question), kinds, command, global)
}

/// The command, with its output where it does not destroy the screen.
fn fork(args: &TopArgs) -> Result<Option<Command>, Error> {
    if args.session.command.is_empty() {
        return Ok(None);
    }
    let failed = |path: &Path, error: std::io::Error| {
        let remedy = open_files::remedy(&error, "choose a writable file");
        Error::failure(format!("{}: {error}", path.display()), remedy)
    };
    let nowhere = Path::new("/dev/null");
    let input = File::open(nowhere).map_err(|error| failed(nowhere, error))?;
    let output = args.command_output.as_deref().unwrap_or(nowhere);
    let output = File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .open(output)
        .map_err(|error| failed(output, error))?;
    Command::fork_with(&args.session.command, Some((&input, &output))).map(Some)
}
