//! `rmapscope export`: a trace file in the notation of another program.

use std::path::{Path, PathBuf};

use clap::Args;
use rmapscope::Error;
use rmapscope::event::LossCause;
use rmapscope::export::{Destination, Export, Exporter, Format, Partitioned};
use rmapscope::output::{PrintError, Tally};
use rmapscope::suggest::unknown;

use super::GlobalArgs;
use super::choice::event_list;
use super::filter::FilterArgs;
use super::progress;
use super::standard_output::print;
use super::status::Status;

/// Convert a trace file for other programs: timelines, tables, stacks.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  rmapscope export -f list                     every format and what it is for
  rmapscope export -o trace.pftrace            open it in ui.perfetto.dev
  rmapscope export -o fleet/ --partition       Parquet for DuckDB, Spark, Trino, ClickHouse
  rmapscope export -f chrome -e swiotlb | xz > bounces.chrome.json.xz
An existing output is replaced once the new one is complete; a trace file is never replaced.")]
pub struct ExportArgs {
    /// Trace file; `-` for standard input.
    #[arg(short, long, value_name = "FILE", default_value = "rmapscope.data")]
    input: PathBuf,
    /// Format to write; `list` prints all. Default: by the suffix of the output file.
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
    /// Output file; `-` for standard output.
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    output: PathBuf,
    /// Parquet as a folder for many traces: date=…/kernel=…/kind=…/SESSION.parquet below the output.
    #[arg(long, requires = "output")]
    partition: bool,
    #[command(flatten)]
    filter: FilterArgs,
}

impl ExportArgs {
    /// The format that was asked for; `None` for the list of them.
    fn format(&self) -> Result<Option<Format>, Error> {
        if self.partition {
            return match self.format.as_deref() {
                Some("list") => Ok(None),
                None | Some("parquet") => Ok(Some(Format::Parquet)),
                Some(_) => Err(Error::failure("only Parquet can be partitioned", "without --format")),
            };
        }
        let names = Format::ALL.iter().map(|format| format.name());
        match self.format.as_deref() {
            Some("list") => Ok(None),
            Some(name) => Format::from_name(name)
                .map(Some)
                .ok_or_else(|| unknown("format", name, names, "`-f list` prints every format")),
            None => {
                let file = self.output.file_name().unwrap_or_default().to_string_lossy();
                Format::from_file_name(&file).map(Some).ok_or_else(|| {
                    let cause = if self.output == Path::new("-") {
                        "no format given".to_owned()
                    } else {
                        format!("cannot infer the format from the file name `{}`", file.escape_debug())
                    };
                    Error::failure(
                        cause,
                        format!("use --format with one of: {}", names.collect::<Vec<_>>().join(", ")),
                    )
                })
            }
        }
    }
}

fn list() -> String {
    let line = |format: &Format| {
        format!("{:<10}  {} ({})\n", format.name(), format.about(), format.extensions().join(", "))
    };
    Format::ALL.iter().map(line).collect()
}

/// Writes the export.
///
/// # Errors
/// When the file cannot be read or the output not be written, or when the file is cut or damaged: what can be read
/// was exported then.
pub fn run(args: &ExportArgs, global: &GlobalArgs) -> Result<u8, Error> {
    let Some(events) = args.filter.events()? else {
        return print(&event_list());
    };
    let selection = events.into_iter().collect();
    let Some(format) = args.format()? else { return print(&list()) };
    if args.partition && args.output == Path::new("-") {
        return Err(Error::failure("partitions are files in a folder", "-o FOLDER"));
    }
    let destination = (!args.partition).then(|| Destination::open(&args.output, format.is_binary()));
    let destination = destination.transpose()?;
    let mut reader = progress::open(&args.input, global.status())?;
    let header = reader.header().clone();
    let export: Box<dyn Export> = match &destination {
        Some(destination) => format.begin(&header, destination.writer()?).map_err(PrintError)?,
        None => Box::new(Partitioned::new(&header, &args.output).map_err(PrintError)?),
    };
    let mut exporter = Exporter::new(export, args.filter.filter(selection), &header);
    let incomplete = reader.drive(&mut exporter)?;
    let tally = exporter.finish(incomplete.as_deref())?;
    destination.map_or(Ok(()), Destination::commit)?;
    report(global.status(), &tally, &reader.header().program_version);
    global.status().whole(reader.ending(), incomplete.as_deref(), "exported")
}

/// Says what was exported and what is missing.
fn report(status: Status, tally: &Tally, recorder: &str) {
    let [lost, missed, dropped] =
        [LossCause::Lost, LossCause::Missed, LossCause::Dropped].map(|cause| tally.missing(cause));
    let line = format!(
        "{} of {} events exported; lost {lost} (ring full), missed {missed} (skipped by the kernel), dropped {dropped}",
        tally.total(),
        tally.read,
    );
    if tally.has_gap || lost + missed + dropped > 0 {
        status.important(&line)
    } else {
        status.note(&line)
    }
    status.unknown_kinds(&tally.unknown, recorder);
}
