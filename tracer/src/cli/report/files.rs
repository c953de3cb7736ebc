//! What a report writes beside standard output: opened before the stream is read, so that a wrong path fails early.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use rmapscope::Error;
use rmapscope::escape::escaped_path;
use rmapscope::event::Filter;
use rmapscope::event::Weight;
use rmapscope::export::Destination;
use rmapscope::flame::{Grouping, Profile, Profiler, Style, svg};
use rmapscope::report::html::{self, Flame};
use rmapscope::report::model::Report;
use rmapscope::trace_file::FileHeader;

use crate::cli::flame_args::{FlameArgs, FlameFile};

/// Files to be written.
#[derive(Debug, Args)]
#[command(next_help_heading = "Report")]
pub struct FileArgs {
    /// Also write the report as one self-contained HTML file, with flame graphs.
    #[arg(long, value_name = "FILE.html")]
    html: Option<PathBuf>,
    #[command(flatten)]
    flame: FlameArgs,
}

/// Files that were opened.
pub struct Files {
    html: Option<(Destination, String)>,
    flame: Option<(FlameFile, Style)>,
}

impl FileArgs {
    /// Whether there are any.
    pub fn any(&self) -> bool {
        self.html.is_some() || self.flame.flame.is_some()
    }

    /// Opens them; each appears when it is whole.
    ///
    /// # Errors
    /// When one cannot be opened or is a trace file, or two are the same.
    pub fn open(&self) -> Result<Files, Error> {
        if let Some(path) = &self.html {
            let taken = [
                (path == Path::new("-"), "standard output is used for the text"),
                (Some(path) == self.flame.flame.as_ref(), "the report and the flame graph are the same file"),
            ];
            if let Some((_, cause)) = taken.into_iter().find(|(is_taken, _)| *is_taken) {
                return Err(Error::failure(cause, "use another file for --html"));
            }
        }
        let flame = self.flame.open()?.map(|file| (file, self.flame.style()));
        let open = |path: &PathBuf| Destination::shared(path).map(|file| (file, escaped_path(path)));
        Ok(Files { html: self.html.as_ref().map(open).transpose()?, flame })
    }

    /// What sums the stream up for flame graphs, where there are any.
    pub fn profiler(&self, header: &FileHeader, filter: &Filter) -> Option<Profiler> {
        let asked = self.flame.profiler(header, filter);
        asked.or_else(|| {
            self.html.as_ref().map(|_| Profiler::new(header, filter.clone(), Grouping::default()))
        })
    }
}

impl Files {
    /// Writes them. One that cannot be written does not keep the other from being so.
    ///
    /// # Errors
    /// The first failure.
    pub fn write(self, report: Option<&Report>, profile: Option<&Profile>) -> Result<(), Error> {
        let html = match (self.html, report) {
            (Some((file, name)), Some(report)) => {
                let flames = profile.map(flames).unwrap_or_default();
                let written = file.writer().and_then(|mut out| {
                    html::write(report, &flames, &mut out)?;
                    out.flush()?;
                    Ok(())
                });
                written.and_then(|()| file.commit()).map_err(|error| {
                    let cause = format!("cannot write the report to {name}: {error}");
                    Error::failure(cause, "move the existing file, or choose another name")
                })
            }
            _ => Ok(()),
        };
        let flame = match (self.flame, profile) {
            (Some((file, style)), Some(profile)) => file.write(svg(profile, &style)),
            _ => Ok(()),
        };
        html.and(flame)
    }
}

/// A graph for each weight that the trace has; pages and bytes differ from the count too seldom to be worth one.
fn flames(profile: &Profile) -> Vec<Flame> {
    let draw = |(weight, title): (Weight, &str)| {
        let style = Style { weight, title: Some(title.to_owned()), ..Style::default() };
        Some(Flame { title: title.to_owned(), svg: svg(profile, &style).ok()? })
    };
    [(Weight::Count, "Events by kernel stack"), (Weight::Time, "Time by kernel stack")]
        .into_iter()
        .filter_map(draw)
        .collect()
}
