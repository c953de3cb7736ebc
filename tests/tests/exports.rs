//! Exports read by programs that we did not write, and trace files by one that knows only their document.
//!
//! For each trace in `tests/fixtures/traces` and each `tests/exports/validate_FORMAT.py` (or `.cjs`, for Node.js):
//! the trace is exported, and the validation compares what its reader finds with what `rmapscope script` prints
//! (`tests/exports/common.py` says how). A copy of a trace with losses in it is one more. `validate_partition.py`
//! gets a folder of partitions. A format without a validation is skipped, and its test says so. Exports stay in
//! `target/tmp/exports`.
//!
//! `metrics.py` reads what `clients --metrics` serves of a made-up machine.
//!
//! `tests/second_reader` reads the same traces, one that is made up of odd numbers, and one that is cut or damaged; it
//! needs a `python3` that finds libzstd.
//!
//! The environment says where things are, as `cargo xtask test` sets it:
//! - `RMAPSCOPE_PROGRAM`: the program;
//! - `RMAPSCOPE_EXPORTS_PYTHON`: a Python with `tests/exports/requirements.txt`;
//! - `RMAPSCOPE_EXPORTS_NODE`: the `node_modules` of `tests/exports/package.json`.
//!
//! The tests of what is not set are ignored, and their names say so.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use libtest_mimic::{Arguments, Failed, Trial};
use rmapscope::Error;
use rmapscope::event::{Event, Item, Loss, LossCause, Sink, decoded};
use rmapscope::trace_file::{Output, Reader, WriteError, Writer};

const PROGRAM: &str = "RMAPSCOPE_PROGRAM";
const PYTHON: &str = "RMAPSCOPE_EXPORTS_PYTHON";
const NODE: &str = "RMAPSCOPE_EXPORTS_NODE";

/// The recorded trace that a copy with losses is made of: of the fixtures, none has any.
const WHOLE: &str = "6.12-demo";

/// What the second reader needs of Python.
const SECOND_READER_NEEDS: &str =
    "import ctypes, sys; ctypes.CDLL('libzstd.so.1'); assert sys.version_info >= (3, 11)";

/// What `--partition` writes is no format of its own.
const PARTITION: &str = "partition";

fn main() -> Result<()> {
    let arguments = Arguments::from_args();
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut traces = files(&tests.join("fixtures/traces"), |path| extension(path) == "data")?;
    traces.push(with_losses(&tests.join("fixtures/traces").join(format!("{WHOLE}.data")))?);
    let validations = files(&tests.join("exports"), |path| {
        matches!(extension(path), "py" | "cjs") && stem(path).starts_with("validate_")
    })?;
    let mut trials = Vec::new();
    for validation in &validations {
        for trace in &traces {
            trials.push(trial(validation.clone(), trace.clone()));
        }
    }
    trials.push(metrics_trial(tests));
    trials.extend(second_reader_trials(&tests.join("second_reader"), &traces));
    for format in formats()? {
        if !validations.iter().any(|validation| format_of(validation) == format) {
            let name = format!("{format} (skipped: no foreign reader validates it)");
            trials.push(Trial::test(name, || Ok(())).with_ignored_flag(true));
        }
    }
    libtest_mimic::run(&arguments, trials).exit();
}

/// A copy of a recorded trace from which events were lost in every way, beside the exports.
fn with_losses(whole: &Path) -> Result<PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("exports");
    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let path = folder.join(format!("{WHOLE}-with-losses.data"));
    let _ = fs::remove_file(&path);
    let mut reader = Reader::open(whole)?;
    let writer = Writer::create(&path, reader.header())?;
    let mut copy = Lossy { writer, events: 0, time: 0 };
    let incomplete = reader.drive(&mut copy)?;
    ensure!(incomplete.is_none(), "{}: {incomplete:?}", whole.display());
    Ok(path)
}

/// Events between two losses of the copy.
const BETWEEN_LOSSES: u64 = 100;

/// Writes a stream with losses of each cause, of a known and of an unknown family, in it.
struct Lossy {
    writer: Writer<Output>,
    events: u64,
    /// Of the latest event.
    time: u64,
}

impl Lossy {
    fn event(&mut self, event: &Event) -> Result<(), WriteError> {
        let after = std::mem::replace(&mut self.time, event.header.time);
        let causes = [LossCause::Lost, LossCause::Missed, LossCause::Dropped];
        if self.events > 0 && self.events.is_multiple_of(BETWEEN_LOSSES) {
            let index = self.events / BETWEEN_LOSSES - 1;
            if let Some(cause) = causes.into_iter().cycle().nth(index as usize % 6) {
                let family = (index % 6 < 3).then_some(event.kind().family() as u8);
                self.writer.loss(&Loss {
                    cause,
                    family,
                    count: index + 1,
                    after,
                    before: self.time,
                    kind: None,
                })?;
            }
        }
        self.events += 1;
        self.writer.event(event)
    }
}

impl Sink for Lossy {
    fn record(&mut self, record: &[u8]) -> Result<(), Error> {
        self.item(&decoded(record))
    }

    fn item(&mut self, item: &Item) -> Result<(), Error> {
        match item {
            Item::Event(event) => Ok(self.event(event)?),
            other => self.writer.item(other),
        }
    }
}

fn trial(validation: PathBuf, trace: PathBuf) -> Trial {
    let name = format!("{} of {}", format_of(&validation), stem(&trace));
    let reader = if extension(&validation) == "py" { PYTHON } else { NODE };
    let missing = [PROGRAM, reader].into_iter().find(|variable| std::env::var_os(variable).is_none());
    let name =
        missing.map_or_else(|| name.clone(), |variable| format!("{name} (skipped: {variable} is not set)"));
    let validate = move || validate(&validation, &trace).map_err(|error| Failed::from(format!("{error:#}")));
    Trial::test(name, validate).with_ignored_flag(missing.is_some())
}

/// Whether another program's parser takes what `clients --metrics` serves of a made-up machine.
fn metrics_trial(tests: &Path) -> Trial {
    let python = std::env::var_os(PYTHON);
    let skipped = if python.is_none() { format!(" (skipped: {PYTHON} is not set)") } else { String::new() };
    let script = tests.join("exports/metrics.py");
    let file = tests.join("../tracer/tests/golden/clients.openmetrics");
    let read = move || {
        let mut python = Command::new(python.unwrap_or_default());
        python.stdout(Stdio::piped()).env("PYTHONDONTWRITEBYTECODE", "1").arg(script).arg(file);
        run(&mut python).map_err(|error| Failed::from(format!("{error:#}")))
    };
    Trial::test(format!("metrics of clients{skipped}"), read).with_ignored_flag(!skipped.is_empty())
}

fn validate(validation: &Path, trace: &Path) -> Result<()> {
    let format = format_of(validation);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("exports").join(stem(trace)).join(&format);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let export = folder.join("export");
    let (stats, events) = (folder.join("stats.json"), folder.join("events.ndjson"));
    let how: &[&str] = if format == PARTITION { &["--partition"] } else { &["--format", &format] };
    run(program("export", trace).args(how).arg("-o").arg(&export))?;
    run(program("script", trace).args(["-j", "--stats"]).stdout(File::create(&stats)?))?;
    run(program("script", trace).args(["-j", "--raw"]).stdout(File::create(&events)?))?;
    let mut reader = if extension(validation) == "py" {
        Command::new(std::env::var_os(PYTHON).unwrap_or_default())
    } else {
        let mut node = Command::new("node");
        node.env("NODE_PATH", std::env::var_os(NODE).unwrap_or_default());
        node
    };
    run(reader
        .stdout(Stdio::piped())
        .arg(validation)
        .args([&export, &stats, &events])
        .env("PYTHONDONTWRITEBYTECODE", "1"))
}

/// Runs scripts of that folder.
type WithScripts = Box<dyn FnOnce(&Path) -> Result<()> + Send>;

/// Whether the second reader finds what the program finds, in each of the traces and in made ones.
fn second_reader_trials(scripts: &Path, traces: &[PathBuf]) -> Vec<Trial> {
    let lacks = second_reader_lacks();
    let trial = |name: &str, test: WithScripts| {
        let name = format!("second reader of {name}");
        let name = lacks.as_ref().map_or_else(|| name.clone(), |lacks| format!("{name} (skipped: {lacks})"));
        let scripts = scripts.to_owned();
        Trial::test(name, move || test(&scripts).map_err(|error| Failed::from(format!("{error:#}"))))
            .with_ignored_flag(lacks.is_some())
    };
    let mut trials = Vec::new();
    for trace in traces {
        let (name, trace) = (stem(trace), trace.clone());
        trials.push(trial(name, Box::new(move |scripts| second_reader(scripts, &trace))));
    }
    for (bare, name) in [(false, "an odd trace"), (true, "an odd trace of an unknown kernel")] {
        let whole = traces[0].clone();
        trials.push(trial(name, Box::new(move |scripts| second_reader_of_odd(scripts, &whole, bare))));
    }
    let whole = traces[0].clone();
    trials.push(trial("bad files", Box::new(move |scripts| second_reader_of_bad(scripts, &whole))));
    trials
}

/// Why the second reader cannot be tested here.
fn second_reader_lacks() -> Option<String> {
    if std::env::var_os(PROGRAM).is_none() {
        return Some(format!("{PROGRAM} is not set"));
    }
    let has_needs = run(python3().args(["-c", SECOND_READER_NEEDS])).is_ok();
    (!has_needs).then(|| "no python3 of 3.11 or later that finds libzstd.so.1".to_owned())
}

/// Compares all events and losses.
fn second_reader(scripts: &Path, trace: &Path) -> Result<()> {
    let lines = second_reader_folder()?.join(format!("{}.ndjson", stem(trace)));
    run(program("script", trace).arg("-j").stdout(File::create(&lines)?))?;
    run(python3().arg(scripts.join("compare.py")).args([trace, &lines]))
}

/// The same with a trace that has what recordings hardly have.
fn second_reader_of_odd(scripts: &Path, whole: &Path, bare: bool) -> Result<()> {
    let trace = second_reader_folder()?.join(if bare { "odd-bare.data" } else { "odd.data" });
    run(python3().arg(scripts.join("odd_trace.py")).args(bare.then_some("--bare")).args([whole, &trace]))?;
    second_reader(scripts, &trace)
}

/// It must not take a part for the whole, nor damage for events.
fn second_reader_of_bad(scripts: &Path, whole: &Path) -> Result<()> {
    let bytes = fs::read(whole)?;
    let trace = second_reader_folder()?.join("bad.data");
    let middle = bytes.len() / 2;
    let mut damaged = bytes.clone();
    damaged[middle] ^= 1;
    for (bytes, says) in [(&bytes[..middle], "cut"), (&damaged[..], "damaged")] {
        fs::write(&trace, bytes)?;
        let error =
            run(python3().arg(scripts.join("reader.py")).arg(&trace)).err().map(|error| error.to_string());
        let says = format!("the file is {says}");
        ensure!(error.as_ref().is_some_and(|error| error.contains(&says)), "not `{says}`: {error:?}");
    }
    Ok(())
}

fn second_reader_folder() -> Result<PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("second-reader");
    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    Ok(folder)
}

fn python3() -> Command {
    let mut python = Command::new("python3");
    python.stdout(Stdio::piped()).env("PYTHONDONTWRITEBYTECODE", "1");
    python
}

/// A subcommand of rmapscope on that trace.
fn program(subcommand: &str, trace: &Path) -> Command {
    let mut command = Command::new(std::env::var_os(PROGRAM).unwrap_or_default());
    command.args([subcommand, "-q", "-i"]).arg(trace);
    command
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn()?.wait_with_output()?;
    let said = [output.stdout, output.stderr].concat();
    ensure!(output.status.success(), "{command:?}: {}\n{}", output.status, String::from_utf8_lossy(&said));
    Ok(())
}

/// Every format that the program knows; none without it.
fn formats() -> Result<Vec<String>> {
    let Some(program) = std::env::var_os(PROGRAM) else { return Ok(Vec::new()) };
    let list = Command::new(program).args(["export", "--format", "list"]).output()?;
    let list = String::from_utf8_lossy(&list.stdout).into_owned();
    Ok(list.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect())
}

/// `validate_folded_time.py` is for `folded-time`.
fn format_of(validation: &Path) -> String {
    stem(validation).trim_start_matches("validate_").replace('_', "-")
}

fn files(folder: &Path, wanted: impl Fn(&Path) -> bool) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        files.push(entry?.path());
    }
    files.retain(|path| wanted(path));
    files.sort();
    Ok(files)
}

fn extension(path: &Path) -> &str {
    path.extension().and_then(OsStr::to_str).unwrap_or_default()
}

fn stem(path: &Path) -> &str {
    path.file_stem().and_then(OsStr::to_str).unwrap_or_default()
}
