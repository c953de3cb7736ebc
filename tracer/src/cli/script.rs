//! `rmapscope script`: the events of a trace file as text, NDJSON or CSV.

use std::fmt::Write as _;
use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use rmapscope::Error;
use rmapscope::escape::escaped;
use rmapscope::event::{EventName, Family, Filter, LossCause, Selection};
use rmapscope::output::{
    Column, Counts, Csv, Format, Json, Notation, Origin, PrintError, Printer, Tally, Text, column_names,
};
use rmapscope::probe::Outcome;
use rmapscope::session::gaps;
use rmapscope::suggest::unknown;
use rmapscope::trace_file::{FileHeader, Reader};

use super::GlobalArgs;
use super::choice::event_list;
use super::filter::FilterArgs;
use super::live::{self, Purpose};
use super::notation::NotationArgs;
use super::session_args::SessionArgs;
use super::standard_output::{self, print};
use super::status::Status;
use super::summary;

/// Print the events of a trace file, one per line.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  rmapscope script -n hmm-tests -e exclusive       one program's device-exclusive pages
  rmapscope script -F time,comm,event,pfn,flags    chosen columns
  rmapscope script -j -e swiotlb | jq .size        for programs
  rmapscope script -x ';' > events.csv             for spreadsheets
  rmapscope script --stats                         how many of each
Values that the kernel did not provide are `?` in text and CSV and null in JSON.")]
pub struct ScriptArgs {
    /// Trace file; `-` for standard input.
    #[arg(short, long, value_name = "FILE", default_value = "rmapscope.data",
          conflicts_with_all = ["live", "command"])]
    input: PathBuf,
    #[command(flatten)]
    format: FormatArgs,
    #[command(flatten)]
    filter: FilterArgs,
    /// Print a live session instead of a file; implied by a command.
    #[arg(long, help_heading = "Live session")]
    live: bool,
    #[command(flatten)]
    session: SessionArgs,
}

/// How to print.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub struct FormatArgs {
    #[command(flatten)]
    notation: NotationArgs,
    /// Only these fields, in this order; `-F list` prints all.
    #[arg(short = 'F', long, value_name = "NAME[,…]", value_delimiter = ',')]
    fields: Vec<String>,
    /// Also print undecoded numbers: page addresses, flag words, page-table entries.
    #[arg(long)]
    raw: bool,
    /// First print the file's header (text only; in JSON it is always the first line).
    #[arg(long)]
    header: bool,
    /// Print the number of events of each kind instead of the events.
    #[arg(long, conflicts_with_all = ["fields", "raw"])]
    stats: bool,
}

impl FormatArgs {
    fn columns(&self) -> Result<Option<Vec<Column>>, Error> {
        if self.fields.is_empty() {
            return Ok(None);
        }
        let columns = self.fields.iter().map(|name| {
            Column::new(name)
                .map_err(|_| unknown("field", name, column_names(), "`-F list` prints every field"))
        });
        columns.collect::<Result<_, _>>().map(Some)
    }

    /// The formatter that these options ask for.
    ///
    /// # Errors
    /// When a field does not exist or options contradict each other.
    pub fn formatter(
        &self,
        selection: Selection,
        origin: &Origin<'_>,
        color: bool,
    ) -> Result<Box<dyn Format>, Error> {
        let notation = self.notation.notation()?;
        if self.header && matches!(notation, Notation::Csv(_)) {
            return Err(Error::failure("CSV cannot contain the file's header", "`script --header --stats`"));
        }
        if self.stats {
            return Ok(Box::new(Counts::new(notation)));
        }
        let columns = self.columns()?;
        Ok(match notation {
            Notation::Text => Box::new(Text::new(columns, self.raw, color)),
            Notation::Json => Box::new(Json::new(columns, self.raw, origin)),
            Notation::Csv(separator) => {
                Box::new(Csv::new(columns.unwrap_or_else(|| Column::all(selection, self.raw)), separator))
            }
        })
    }
}

/// Prints the file's events on standard output.
///
/// # Errors
/// When the file cannot be read, or is cut or damaged: what can be read was printed then.
pub fn run(args: &ScriptArgs, global: &GlobalArgs) -> Result<u8, Error> {
    let Some(events) = args.filter.events()? else {
        return print(&event_list());
    };
    if args.format.fields.iter().any(|name| name == "list") {
        return print(&(column_names().join("\n") + "\n"));
    }
    if args.live || !args.session.command.is_empty() {
        return live(args, events, global);
    }
    let selection = events.into_iter().collect();
    let mut reader = Reader::open(&args.input)?;
    let header = reader.header().clone();
    let origin = Origin { description: &header.kernel, start: None };
    let format = args.format.formatter(selection, &origin, global.colors_output())?;
    let mut output = standard_output::lock()?;
    if args.format.header && args.format.notation.notation()? == Notation::Text {
        output.write_all(header_text(&header).as_bytes()).map_err(PrintError)?;
    }
    let filter = args.filter.filter(selection);
    let mut printer = Printer::new(output, format, filter.clone(), &origin);
    let read = reader.drive(&mut printer);
    // What was read before a fault is printed.
    let tally = printer.finish()?;
    let incomplete = read?;
    report(global.status(), &tally, &filter, &header.program_version);
    global.status().whole(reader.ending(), incomplete.as_deref(), "printed")
}

/// Prints the events of a live session as they come.
fn live(args: &ScriptArgs, events: Vec<EventName>, global: &GlobalArgs) -> Result<u8, Error> {
    let standard_output = standard_output::lock()?;
    let selection = events.iter().copied().collect();
    let session = live::open(&args.session, &args.filter.choice(events), Purpose::Show, global)?;
    let kernel = session.header.kernel.clone();
    let origin = Origin { description: &kernel, start: None };
    let format = args.format.formatter(selection, &origin, global.colors_output())?;
    let mut printer = Printer::new(standard_output, format, args.filter.rest(selection), &origin);
    let ended = session.run(&mut printer, None)?;
    printer.finish()?;
    summary::print(&ended, None, global.status());
    Ok(live::exit_code(&ended))
}

/// Says what was printed and what is missing.
fn report(status: Status, tally: &Tally, filter: &Filter, recorder: &str) {
    let mut line = format!("{} of {} events printed", tally.total(), tally.read);
    let mut separator = " (";
    for family in Family::ALL {
        let count = tally.printed[family as usize];
        if count > 0 {
            let _ = write!(line, "{separator}{} {count}", family.name());
            separator = ", ";
        }
    }
    if separator == ", " {
        line.push(')');
    }
    let missing = [LossCause::Lost, LossCause::Missed, LossCause::Dropped].map(|cause| tally.missing(cause));
    let [lost, missed, dropped] = missing;
    let _ =
        write!(line, "; lost {lost} (ring full), missed {missed} (skipped by the kernel), dropped {dropped}");
    if tally.has_gap || missing.iter().any(|count| *count > 0) {
        status.important(&line);
    } else {
        status.note(&line);
    }
    status.unknown_kinds(&tally.unknown, recorder);
    if filter.min_latency > 0 && tally.read > 0 && !tally.measured {
        status.important("no call in this file has a latency; --min-latency needs `record --latency`");
    }
}

/// What the file says about itself, each line with a `#` in front.
fn header_text(header: &FileHeader) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "# {name:<16} {}", escaped(value));
    };
    let kernel = &header.kernel;
    line("recorded with", &format!("rmapscope {}", header.program_version));
    line("host", &header.host);
    line("kernel", &format!("{} {} {}", kernel.release, kernel.version, kernel.machine));
    if let Some(build_id) = &kernel.build_id {
        line("build id", build_id);
    }
    line("CPUs", &kernel.possible_cpus.to_string());
    line("command line", &header.command_line.join(" "));
    if let Some(command) = &header.traced_command {
        line("traced command", &command.join(" "));
    }
    let options = serde_json::to_value(&header.options).unwrap_or_default();
    for (name, value) in options.as_object().into_iter().flatten() {
        line("option", &format!("{name} = {value}"));
    }
    for point in &header.probes {
        let state = match &point.outcome {
            Outcome::Attached { symbol, method } => format!("attached to {symbol} by {}", method.name()),
            Outcome::Fallback { symbol, method, lost } => {
                format!("attached to {symbol} by {}, without {lost}", method.name())
            }
            Outcome::NotAsked => "not asked for".to_owned(),
            missing => format!("not attached: {}", gaps::reason(missing)),
        };
        line("probe", &format!("{} {state}", point.point));
    }
    for choice in gaps::second_choices(&header.probes) {
        line("second choice", &choice);
    }
    text
}
