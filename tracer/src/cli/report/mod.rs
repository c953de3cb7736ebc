//! `rmapscope report`: a trace file, or a live session, summed up.

mod files;

use std::path::PathBuf;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use rmapscope::Error;
use rmapscope::event::{EventName, Weight};
use rmapscope::flame::{Profile, Profiler};
use rmapscope::report::aggregate::{Aggregator, Options};
use rmapscope::report::model::{Key, Report};
use rmapscope::report::page_history::{self, PageHistory, PageHistoryCollector, Target};
use rmapscope::report::text::{Layout, Section};
use rmapscope::report::{json, text};
use rmapscope::trace_file::{Ending, FileHeader};

use super::GlobalArgs;
use super::choice::event_list;
use super::filter::FilterArgs;
use super::live::{self, Purpose};
use super::progress;
use super::session_args::SessionArgs;
use super::standard_output::{self, print};
use super::summary;
use super::terminal;
use files::FileArgs;

/// Summarize a trace file, or a live session when it ends.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  rmapscope report                                   all of rmapscope.data
  rmapscope report --section latency,stacks -g       only these sections, with whole stacks
  rmapscope report --by caller,event --sort time     an additional table, by the function that called
  rmapscope report -n kswapd0 --from 2s --to 3s      what kswapd did in that second
  rmapscope report --flame why.svg --weight time     where the time went, to be opened in a browser
  rmapscope report --html report.html                one self-contained page
  rmapscope report --page 0x1a2b3 -g                 the history of one page, with stacks
  rmapscope report -l -- ./job                       a live session, summed up at its end
  rmapscope report -j | jq '.latencies[].quantiles'  for programs")]
pub struct ReportArgs {
    /// Trace file; `-` for standard input.
    #[arg(short, long, value_name = "FILE", default_value = "rmapscope.data",
          conflicts_with_all = ["live", "command"])]
    input: PathBuf,
    #[command(flatten)]
    content: ContentArgs,
    #[command(flatten)]
    files: FileArgs,
    #[command(flatten)]
    filter: FilterArgs,
    /// Report on a live session instead of a file; implied by a command.
    #[arg(long, help_heading = "Live session")]
    live: bool,
    #[command(flatten)]
    session: SessionArgs,
}

/// What the report has, and where it goes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Report")]
pub struct ContentArgs {
    /// Add a table of events grouped by these keys.
    #[arg(long, value_name = "KEY[,…]", value_delimiter = ',', value_parser = keys())]
    by: Vec<Key>,
    /// Lines of each table.
    #[arg(long, value_name = "N", default_value_t = 10)]
    top: usize,
    /// Sort key of the tables.
    #[arg(long, value_name = "WEIGHT", default_value = "count", value_parser = weights())]
    sort: Weight,
    /// Print only these sections of the text; JSON has all.
    #[arg(long, value_name = "NAME[,…]", value_delimiter = ',', value_parser = sections(), conflicts_with = "json")]
    section: Vec<Section>,
    /// One JSON object instead of text.
    #[arg(short, long)]
    json: bool,
    /// Instead of the report, print everything that happened to this page frame number, in order.
    #[arg(long, value_name = "PFN", value_parser = Target::page, conflicts_with_all = NOT_OF_ONE_PAGE)]
    page: Option<Target>,
    /// The same for whatever page was at this address of a process.
    #[arg(long, value_name = "PID:ADDR", value_parser = Target::address,
          conflicts_with_all = NOT_OF_ONE_PAGE, conflicts_with = "page")]
    addr: Option<Target>,
}

/// Options of the report that a page's page_history has no use for.
const NOT_OF_ONE_PAGE: [&str; 7] =
    ["by", "sort", "section", "FilterArgs", "ChoiceArgs", "EventArgs", "TaskArgs"];

fn keys() -> impl TypedValueParser<Value = Key> {
    named(Key::ALL.map(|key| (key.name(), key)))
}

fn weights() -> impl TypedValueParser<Value = Weight> {
    named(Weight::ALL.map(|weight| (weight.name(), weight)))
}

fn sections() -> impl TypedValueParser<Value = Section> {
    named(Section::ALL.map(|section| (section.name(), section)))
}

/// Takes the names of values.
fn named<T, const N: usize>(values: [(&'static str, T); N]) -> impl TypedValueParser<Value = T>
where
    T: Copy + Send + Sync + 'static,
{
    PossibleValuesParser::new(values.map(|(name, _)| name)).try_map(move |given| {
        let found = values.iter().find(|(name, _)| *name == given);
        found.map(|(_, value)| *value).ok_or("not a valid name")
    })
}

/// Prints the report on standard output.
///
/// # Errors
/// When the file cannot be read, or is cut or damaged: what can be read was reported then.
pub fn run(args: &ReportArgs, global: &GlobalArgs) -> Result<u8, Error> {
    let Some(events) = args.filter.events()? else {
        return print(&event_list());
    };
    standard_output::check()?;
    let is_live = args.live || !args.session.command.is_empty();
    let selection = events.iter().copied().collect();
    let options = Options {
        filter: if is_live { args.filter.rest(selection) } else { args.filter.filter(selection) },
        filter_text: args.filter.text(&events, is_live),
        top: args.content.top,
        sort: args.content.sort,
        by: args.content.by.clone(),
        rules: rmapscope::check::Options::default(),
    };
    let files = args.files.open()?;
    let (sums, code) = match is_live {
        true => live(args, events, options, global)?,
        false => recorded(args, options, global)?,
    };
    let written = files.write(sums.report.as_ref(), sums.profile.as_ref());
    print(&rendered(args, &sums, global)?)?;
    written?;
    code
}

/// What one pass over the stream gives.
struct Sums {
    /// Where it was asked for.
    report: Option<Report>,
    profile: Option<Profile>,
    life: Option<PageHistory>,
}

/// Those that sum up, all at once.
type Collectors = (Option<Aggregator>, (Option<Profiler>, Option<PageHistoryCollector>));

fn collectors(args: &ReportArgs, header: &FileHeader, options: Options) -> Collectors {
    let target = args.content.page.or(args.content.addr);
    let profiler = args.files.profiler(header, &options.filter);
    let is_summed_up = target.is_none() || args.files.any();
    let aggregator = is_summed_up.then(|| Aggregator::new(header, options));
    (aggregator, (profiler, target.map(|target| PageHistoryCollector::new(header, target))))
}

fn finish((aggregator, (profiler, page_history)): Collectors, incomplete: Option<String>) -> Sums {
    Sums {
        report: aggregator.map(|aggregator| aggregator.finish(incomplete.clone())),
        profile: profiler.map(|profiler| profiler.finish(incomplete.clone())),
        life: page_history.map(|page_history| page_history.finish(incomplete)),
    }
}

/// Sums up a trace file; the exit code is an error's when something of the file is missing.
fn recorded(
    args: &ReportArgs,
    options: Options,
    global: &GlobalArgs,
) -> Result<(Sums, Result<u8, Error>), Error> {
    let status = global.status();
    let mut reader = progress::open(&args.input, status)?;
    let mut collectors = collectors(args, reader.header(), options);
    // Mostly the report alone is asked for: nothing stands between it and the records then.
    let incomplete = match &mut collectors {
        (Some(aggregator), (None, None)) => reader.drive(aggregator)?,
        all => reader.drive(all)?,
    };
    let code = match reader.ending() {
        Some(Ending::Complete) => Ok(0),
        ending => status.whole(ending, incomplete.as_deref(), "reported"),
    };
    Ok((finish(collectors, incomplete), code))
}

/// Sums up a live session; the exit code is the command's.
fn live(
    args: &ReportArgs,
    events: Vec<EventName>,
    options: Options,
    global: &GlobalArgs,
) -> Result<(Sums, Result<u8, Error>), Error> {
    let mut session = live::open(&args.session, &args.filter.choice(events), Purpose::Show, global)?;
    session.announce("summing up");
    let mut collectors = collectors(args, &session.header, options);
    let ended = session.run(&mut collectors, None)?;
    summary::print(&ended, None, global.status());
    Ok((finish(collectors, None), Ok(live::exit_code(&ended))))
}

/// What standard output gets.
fn rendered(args: &ReportArgs, sums: &Sums, global: &GlobalArgs) -> Result<String, Error> {
    let (content, stacks) = (&args.content, args.session.stacks);
    let layout = terminal::layout(global.colors_output());
    match (&sums.life, &sums.report) {
        (Some(life), _) if content.json => Ok(page_history::json(life) + "\n"),
        (Some(life), _) => Ok(page_history::text(life, stacks, layout.color)),
        (None, Some(report)) if content.json => json::render(report).map_err(|error| {
            Error::failure(
                format!("the report cannot be written: {error}"),
                "this is a bug in rmapscope; please report it",
            )
        }),
        (None, Some(report)) => {
            let frames = if stacks { usize::MAX } else { layout.frames };
            let sections = if content.section.is_empty() { &Section::ALL[..] } else { &content.section };
            Ok(text::render(report, sections, content.sort, Layout { frames, ..layout }))
        }
        (None, None) => Ok(String::new()),
    }
}
