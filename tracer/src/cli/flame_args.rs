//! Options of flame graphs, and the file that one goes to.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use rmapscope::Error;
use rmapscope::escape::escaped_path;
use rmapscope::event::Filter;
use rmapscope::event::Weight;
use rmapscope::export::Destination;
use rmapscope::flame::{FlameError, Grouping, Profiler, Style};
use rmapscope::trace_file::FileHeader;

/// A flame graph, where one is asked for.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Flame graph")]
pub struct FlameArgs {
    /// Write a flame graph of kernel stacks as SVG.
    #[arg(long, value_name = "FILE.svg")]
    pub flame: Option<PathBuf>,
    /// Weight that determines the width of frames; time needs latency (-l) in the recording.
    #[arg(long, value_name = "WEIGHT", default_value = "count", value_parser = weights(), requires = "flame")]
    pub weight: Weight,
    /// Draw callers above callees.
    #[arg(long, requires = "flame")]
    pub inverted: bool,
    /// Separate processes of the same name.
    #[arg(long, requires = "flame")]
    pub split_pids: bool,
}

fn weights() -> impl TypedValueParser<Value = Weight> {
    PossibleValuesParser::new(Weight::ALL.map(Weight::name)).try_map(|given| {
        Weight::ALL.into_iter().find(|weight| weight.name() == given).ok_or("not a valid name")
    })
}

impl FlameArgs {
    /// How to draw.
    pub fn style(&self) -> Style {
        Style { weight: self.weight, inverted: self.inverted, ..Style::default() }
    }

    /// What sums a trace up for the graph: `Some` where one is asked for.
    pub fn profiler(&self, header: &FileHeader, filter: &Filter) -> Option<Profiler> {
        let grouping = if self.split_pids { Grouping::Process } else { Grouping::Comm };
        self.flame.as_ref().map(|_| Profiler::new(header, filter.clone(), grouping))
    }

    /// Opens the file before the work starts; it appears when it is [written](FlameFile::write).
    ///
    /// # Errors
    /// When it cannot be opened or is a trace file.
    pub fn open(&self) -> Result<Option<FlameFile>, Error> {
        let open =
            |path: &PathBuf| Ok(FlameFile { path: path.clone(), destination: Destination::shared(path)? });
        self.flame.as_ref().map(open).transpose()
    }
}

/// A file that a flame graph goes to.
pub struct FlameFile {
    path: PathBuf,
    destination: Destination,
}

impl FlameFile {
    /// Writes the graph.
    ///
    /// # Errors
    /// When there is none, or it cannot be written: the file is as it was then.
    pub fn write(self, drawn: Result<String, FlameError>) -> Result<(), Error> {
        let svg = drawn.map_err(|error| {
            let remedy = match &error {
                FlameError::Nothing("time") => "record with latency (-l), or use another --weight",
                FlameError::Nothing(_) => "use another --weight, or a wider filter",
                FlameError::NoBasis { .. } => "use another basis (--per)",
                FlameError::Layout(_) | FlameError::Svg(_) => "this is a bug in rmapscope; please report it",
            };
            Error::failure(format!("no flame graph: {error}"), remedy)
        })?;
        let failed = |error: &dyn std::fmt::Display, path: &Path| {
            Error::failure(
                format!("cannot write the flame graph to {}: {error}", escaped_path(path)),
                "use another file",
            )
        };
        let written = self.destination.writer().and_then(|mut out| {
            out.write_all(svg.as_bytes())?;
            out.flush()?;
            Ok(())
        });
        written.map_err(|error| failed(&error, &self.path))?;
        self.destination.commit().map_err(|error| failed(&error, &self.path))
    }
}
