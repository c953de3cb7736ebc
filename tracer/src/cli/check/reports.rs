//! Where verdicts go: standard output and files, all opened before the work starts.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use rmapscope::Error;
use rmapscope::check::Verdict;
use rmapscope::check::formats::{Form, Origin};
use rmapscope::escape::escaped_path;

use crate::cli::output_files::{OutputFiles, Reserved};
use crate::cli::{standard_output, status};

/// Names of the forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FormName {
    /// For people.
    Text,
    /// Kernel Test Anything Protocol.
    Ktap,
    /// JUnit XML.
    Junit,
    /// One JSON object.
    Json,
    /// KCIDB, schema 5.3.
    Kcidb,
    /// Annotations of GitHub Actions.
    Github,
}

/// Whom to annotate for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Annotate {
    /// GitHub Actions.
    Github,
}

/// Forms of the verdict.
#[derive(Args, Debug)]
#[command(next_help_heading = "Output")]
pub struct ReportArgs {
    /// Format of the verdict on standard output; default `text`, unless another format goes there.
    #[arg(short, long, value_enum, value_name = "FORM")]
    format: Option<FormName>,
    /// Also write text to FILE; `-` is standard output, here and below.
    #[arg(long, value_name = "FILE")]
    text: Option<PathBuf>,
    /// Also write KTAP, for kernel test systems.
    #[arg(long, value_name = "FILE")]
    ktap: Option<PathBuf>,
    /// Also write JUnit XML, for GitLab, Jenkins and others.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Also write JSON, with all details.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Also write KCIDB.
    #[arg(long, value_name = "FILE", requires_all = ["kcidb_origin", "kcidb_build"])]
    kcidb: Option<PathBuf>,
    /// Name of the CI system that submits to KCIDB.
    #[arg(long, value_name = "NAME", requires = "kcidb_build")]
    kcidb_origin: Option<String>,
    /// KCIDB's id of the tested build, as ORIGIN:REST.
    #[arg(long, value_name = "ID", requires = "kcidb_origin")]
    kcidb_build: Option<String>,
    /// Annotate the run, on standard error.
    #[arg(long, value_enum, value_name = "FOR")]
    annotate: Option<Annotate>,
}

struct Report {
    form: Form,
    name: String,
    /// `None` for standard output.
    file: Option<File>,
}

/// Verdicts to be written.
pub struct Reports {
    reports: Vec<Report>,
    annotate: bool,
}

impl ReportArgs {
    /// Opens every output; what was in a file is gone then, so that nobody takes an old verdict for a new one.
    ///
    /// # Errors
    /// When one cannot be opened, two are the same, or one is `reserved`.
    pub fn open(&self, color: bool, reserved: &[Reserved<'_>]) -> Result<Reports, Error> {
        let files = [
            (FormName::Text, &self.text),
            (FormName::Ktap, &self.ktap),
            (FormName::Junit, &self.junit),
            (FormName::Json, &self.json),
            (FormName::Kcidb, &self.kcidb),
        ];
        let asked = files.iter().filter_map(|(name, path)| Some((*name, path.as_deref()?)));
        let (to_output, to_files): (Vec<_>, Vec<_>) = asked.partition(|(_, path)| *path == Path::new("-"));
        let printed = match (self.format, to_output.as_slice()) {
            (None, []) => FormName::Text,
            (Some(name), []) => name,
            (None, [(name, _)]) => *name,
            _ => {
                return Err(Error::failure(
                    "two formats of the verdict cannot share standard output",
                    "write one of them to a file",
                ));
            }
        };
        let mut reports =
            vec![Report { form: self.form(printed, color)?, name: "standard output".to_owned(), file: None }];
        standard_output::check()?;
        let mut files = OutputFiles::new("the verdict", reserved);
        for (name, path) in to_files {
            let form = self.form(name, false)?;
            reports.push(Report { form, name: escaped_path(path), file: Some(files.open(path)?) });
        }
        Ok(Reports { reports, annotate: self.annotate.is_some() })
    }

    fn form(&self, name: FormName, color: bool) -> Result<Form, Error> {
        Ok(match name {
            FormName::Text => Form::Text { color },
            FormName::Ktap => Form::Ktap,
            FormName::Junit => Form::Junit,
            FormName::Json => Form::Json,
            FormName::Github => Form::Github,
            FormName::Kcidb => {
                let (Some(origin), Some(build)) = (&self.kcidb_origin, &self.kcidb_build) else {
                    return Err(Error::failure(
                        "KCIDB requires an origin and a build id",
                        "add --kcidb-origin NAME --kcidb-build ORIGIN:ID",
                    ));
                };
                let origin = Origin::new(origin, build).map_err(|error| {
                    Error::failure(error.to_string(), "see --kcidb-origin and --kcidb-build")
                })?;
                Form::Kcidb(origin)
            }
        })
    }
}

impl Reports {
    /// Writes into the files, for whoever reads them later, that there is no verdict, and into standard output,
    /// when that is for programs; people are told by the error.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn write_unjudged(mut self, verdict: &Verdict) -> Result<(), Error> {
        self.reports.retain(|report| report.file.is_some() || !matches!(report.form, Form::Text { .. }));
        self.write(verdict)
    }

    /// Writes the verdict everywhere. One that cannot be written does not keep the others from being so.
    ///
    /// # Errors
    /// The last failure; those before it have been told.
    pub fn write(self, verdict: &Verdict) -> Result<(), Error> {
        let mut failure = None;
        for report in self.reports {
            if let Err(error) = report.write(verdict)
                && let Some(earlier) = failure.replace(error)
            {
                status::error(&earlier);
            }
        }
        if self.annotate {
            // The runner reads workflow commands here, too, where a line begins with them: where both streams
            // meet, the other may have left half a line. Nothing can be told when it takes nothing.
            let text = format!("\n{}", Form::Github.render(verdict)?);
            let _ = io::stderr().lock().write_all(text.as_bytes());
        }
        failure.map_or(Ok(()), Err)
    }
}

impl Report {
    fn write(self, verdict: &Verdict) -> Result<(), Error> {
        let text = self.form.render(verdict)?;
        let Some(mut file) = self.file else { return standard_output::print_result(&text) };
        file.write_all(text.as_bytes()).and_then(|()| file.flush()).map_err(|error| {
            Error::failure(
                format!("cannot write the verdict to {}: {error}", self.name),
                "check that it is writable; `rmapscope check -i` checks a recorded trace again",
            )
        })
    }
}
