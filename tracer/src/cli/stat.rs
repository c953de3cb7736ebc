//! `rmapscope stat`: counts, sums and histograms, taken in the kernel or of a trace file.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use rmapscope::Error;
use rmapscope::event::{EventName, Filter, Selection};
use rmapscope::session::CountingOptions;
use rmapscope::stat::{By, Counter, Losses, Of, Question, Shown};
use rmapscope::suggest::unknown;
use rmapscope::trace_file::Reader;

use super::GlobalArgs;
use super::choice::event_list;
use super::filter::FilterArgs;
use super::live::{self, Purpose};
use super::notation::NotationArgs;
use super::session_args::SessionArgs;
use super::standard_output::{self, print};
use super::status::Status;
use super::summary;
use super::values::interval;

/// Count events in the kernel, with totals and histograms, by process, name, device, flags or stack.
///
/// No event is sent or stored: the programs add to tables in the kernel, at a fraction of the cost of a record. It
/// prints when the command ends, after --duration, or on Ctrl-C; with --interval also in between. With a command, the
/// exit code is that of the command.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  rmapscope stat -e rmap -- ./job                      how often, until the job ends
  rmapscope stat -e rmap --by process -I 1s            who reclaims, every second
  rmapscope stat -e rmap --of latency --by name        how long it takes: sum, mean, p50, p90, p99
  rmapscope stat -e rmap --of latency --histogram      the same as bars
  rmapscope stat -e swiotlb --of bytes --by device     which device bounces how much
  rmapscope stat -e try_to_unmap --by ttu_flags        any field of an event
  rmapscope stat -e rmap -g -d 10                      from where, for ten seconds
  rmapscope stat -i rmapscope.data --by process        the same of a trace file
Events without a group of their own are counted as `(other)`; missing events are reported below every table.")]
pub struct StatArgs {
    /// Count the events of a trace file; `-` for standard input.
    #[arg(short, long, value_name = "FILE", conflicts_with_all = ["SessionArgs", "RequestArgs", "KernelArgs"])]
    input: Option<PathBuf>,
    /// Group by `process`, `thread`, `name`, `cpu`, `stack`, or a field of the events, such as `device`, `flags` or
    /// `ttu_flags`; `--by list` prints all.
    #[arg(long, value_name = "KEY")]
    by: Option<String>,
    /// Sum up, with quantiles: `latency`, `bytes`, `pages`, or a field that is a number, such as `mapcount`; `--of list`
    /// prints all.
    #[arg(long, value_name = "VALUE")]
    of: Option<String>,
    /// Print the counts of each interval of this length, instead of all at the end.
    #[arg(short = 'I', long, value_name = "TIME", value_parser = |text: &str| interval(text, SHORTEST_INTERVAL))]
    interval: Option<Duration>,
    #[command(flatten)]
    format: FormatArgs,
    #[command(flatten)]
    filter: FilterArgs,
    #[command(flatten)]
    session: SessionArgs,
}

/// How to print.
#[derive(Args, Debug)]
#[command(next_help_heading = "Output")]
struct FormatArgs {
    #[command(flatten)]
    notation: NotationArgs,
    /// Draw a histogram of each group's values (text only; objects always have the buckets).
    #[arg(long)]
    histogram: bool,
}

/// Intervals are not shorter than this: reading the tables takes its time.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(10);

/// Counts until the command ends, the time is over, a signal comes, or the file is read. Returns the exit code.
///
/// # Errors
/// When there can be no such session, or the file cannot be read; what was counted is printed then.
pub fn run(args: &StatArgs, global: &GlobalArgs) -> Result<u8, Error> {
    let Some(events) = args.filter.events()? else {
        return print(&event_list());
    };
    if let Some(list) = lists(args.asked()) {
        return print(&list);
    }
    let nothing = Question { by: By::Event, of: None };
    let (question, shown) = (question(args.asked(), &args.session, nothing)?, args.shown()?);
    match &args.input {
        Some(file) => recorded(args, file, events, question, shown, global),
        None => live(args, events, question, shown, global),
    }
}

fn list(names: impl Iterator<Item = &'static str>) -> String {
    names.map(|name| format!("{name}\n")).collect()
}

/// What these options ask; `by` and `of` where they say nothing.
///
/// # Errors
/// When a name is none, or two of them contradict each other.
pub fn question(
    (by, of): (Option<&str>, Option<&str>),
    session: &SessionArgs,
    unsaid: Question,
) -> Result<Question, Error> {
    let by = match (by, session.stacks) {
        (None, false) => unsaid.by,
        (None, true) => By::Stack,
        (Some(name), _) => By::from_name(name)
            .ok_or_else(|| unknown("key to group by", name, By::names(), "`--by list` prints every key"))?,
    };
    if session.stacks && by != By::Stack {
        return Err(Error::failure(
            format!("--stacks conflicts with --by {}", by.name()),
            "drop one of them; `record --stacks` keeps both",
        ));
    }
    let of = match (of, session.request.latency) {
        (None, false) => unsaid.of,
        (None, true) => Some(Of::Latency),
        (Some(name), _) => Some(Of::from_name(name).ok_or_else(|| {
            unknown("value to sum up", name, Of::names(), "`--of list` prints every value")
        })?),
    };
    Ok(Question { by, of })
}

/// What `--by list` and `--of list` print, where one of them is asked for.
pub fn lists((by, of): (Option<&str>, Option<&str>)) -> Option<String> {
    match (by, of) {
        (Some("list"), _) => Some(list(By::names())),
        (_, Some("list")) => Some(list(Of::names())),
        _ => None,
    }
}

impl StatArgs {
    fn asked(&self) -> (Option<&str>, Option<&str>) {
        (self.by.as_deref(), self.of.as_deref())
    }

    fn shown(&self) -> Result<Shown, Error> {
        Ok(Shown { notation: self.format.notation.notation()?, histograms: self.format.histogram })
    }
}

/// Counts a live session.
fn live(
    args: &StatArgs,
    events: Vec<EventName>,
    question: Question,
    shown: Shown,
    global: &GlobalArgs,
) -> Result<u8, Error> {
    let selection = events.iter().copied().collect();
    let rest = args.filter.rest(selection);
    if !(Filter { selection: Selection::ALL, ..rest.clone() }).is_open() {
        return Err(Error::failure(
            "`!NAME`, --from and --to do not work with counts in the kernel",
            "record first, then use `rmapscope stat -i`",
        ));
    }
    let output = standard_output::lock()?;
    let counting = CountingOptions { question, interval: args.interval };
    let purpose = Purpose::Count(counting);
    let mut session = live::open(&args.session, &args.filter.choice(events), purpose, global)?;
    let kernel = session.header.kernel.clone();
    session.announce("counting");
    let mut counter = Counter::new(output, shown, question, rest, &kernel, args.interval, true);
    let ended = session.run(&mut counter, None)?;
    let losses = counter.finish()?;
    if args.session.overhead {
        let (text, lines) = shown.overhead(&ended.costs, ended.summary.watched());
        print(&text)?;
        lines.iter().for_each(|line| global.status().important(line));
    }
    summary::print(&ended, None, global.status());
    tell_of_others(&losses, global.status());
    Ok(live::exit_code(&ended))
}

/// Counts a trace file.
fn recorded(
    args: &StatArgs,
    file: &PathBuf,
    events: Vec<EventName>,
    question: Question,
    shown: Shown,
    global: &GlobalArgs,
) -> Result<u8, Error> {
    let mut reader = Reader::open(file)?;
    let kernel = reader.header().kernel.clone();
    if question.needs_latency() && !reader.header().options.latency {
        global.status().important("no call in this file has a latency; record with --latency");
    }
    if question.by == By::Stack && !reader.header().options.stacks {
        global.status().important("no event in this file has a stack; record with --stacks");
    }
    let output = standard_output::lock()?;
    let filter = args.filter.filter(events.into_iter().collect());
    let mut counter = Counter::new(output, shown, question, filter, &kernel, args.interval, false);
    let read = reader.drive(&mut counter);
    // What was read before a fault is counted.
    let losses = counter.finish()?;
    let incomplete = read?;
    tell_of_losses(&losses, global.status());
    tell_of_others(&losses, global.status());
    global.status().whole(reader.ending(), incomplete.as_deref(), "counted")
}

/// Says what a file lacks.
fn tell_of_losses(losses: &Losses, status: Status) {
    let Losses { lost, missed, dropped, unpaired, .. } = losses;
    let line = format!(
        "lost {lost} (ring full)  missed {missed} (skipped by the kernel)  dropped {dropped}  unpaired {unpaired}"
    );
    if losses.any() { status.important(&line) } else { status.note(&line) }
}

/// Says that there were more groups than room for them.
fn tell_of_others(losses: &Losses, status: Status) {
    if losses.other > 0 {
        status.important(&format!("too many groups: {} events are counted as (other)", losses.other));
    }
}
