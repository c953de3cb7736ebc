//! `rmapscope record`: a live session into a trace file.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use rmapscope::event::{Family, Kind, Summary};
use rmapscope::session::{Ended, Live, gaps, prepare};
use rmapscope::trace_file::{FileHeader, Writer};
use rmapscope::{Error, ExitCode};

use super::GlobalArgs;
use super::session_args::{SessionArgs, fork};
use super::status::Status;

/// Trace into a file: the whole system, some processes, or a command with its children.
///
/// The file can be read on any machine, by any user, with `rmapscope script`. An earlier trace file of the
/// same name is kept as FILE.old. With a command, the exit code is the command's.
#[derive(Args, Debug)]
pub struct RecordArgs {
    /// Write to FILE; `-` is standard output.
    #[arg(short, long, value_name = "FILE", default_value = "rmapscope.data")]
    output: PathBuf,
    #[command(flatten)]
    session: SessionArgs,
    /// Command to trace, after `--`. It starts when every probe is attached.
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// Records until the command ends, the time is over, or a signal comes. Returns the exit code.
///
/// # Errors
/// Whatever keeps the session from running in order; a file that was begun has everything up to then.
pub fn run(args: &RecordArgs, global: &GlobalArgs) -> Result<u8, Error> {
    let status = global.status();
    let mut command = fork(&args.command)?;
    let mut options = args.session.options(command.as_ref(), global.verbose)?;
    let (facts, plan) = prepare(&mut options.request, &args.session.facts())?;
    let live = Live::start(facts, plan, &options)?;
    let mut writer = Writer::create(&args.output, &header(args, &live))?;
    if command.is_none() && options.duration.is_none() {
        status.note("recording; Ctrl-C ends");
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| {
        Error::failure(format!("cannot wait for events: {error}"), "see `ulimit -n` for open files")
    })?;
    let ended = runtime.block_on(live.run(command.as_mut(), &mut writer)).inspect_err(|error| {
        if matches!(error.code, ExitCode::CommandNotFound | ExitCode::CommandNotExecutable) {
            discard(&args.output);
        }
    })?;
    report(args, &ended, writer.bytes_written(), status);
    let code = ended.summary.command_status.unwrap_or(0);
    Ok(u8::try_from(code).unwrap_or(u8::MAX))
}

fn header(args: &RecordArgs, live: &Live) -> FileHeader {
    let session = &args.session;
    let mut header = FileHeader::new(live.kernel().clone());
    header.probes = live.reports();
    header.traced_command = (!args.command.is_empty())
        .then(|| args.command.iter().map(|word| word.to_string_lossy().into_owned()).collect());
    let text = |path: &PathBuf| path.to_string_lossy().into_owned();
    let nanoseconds = |time: &Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    for (name, value) in [
        ("event", serde_json::json!(session.event)),
        ("per-vma", session.per_vma.into()),
        ("latency", (session.latency || session.min_latency.is_some()).into()),
        ("stacks", session.stacks.into()),
        ("min-latency", session.min_latency.as_ref().map(nanoseconds).into()),
        ("pid", serde_json::json!(session.pid)),
        ("tid", serde_json::json!(session.tid)),
        ("comm", serde_json::json!(session.comm)),
        ("cgroup", session.cgroup.as_ref().map(text).into()),
        ("all", session.all.into()),
        ("no-inherit", session.no_inherit.into()),
        ("buffer", session.buffer.into()),
    ] {
        header.options.insert(name.to_owned(), value);
    }
    header
}

/// Takes back a file in which nothing was recorded. What is no regular file is not ours to remove.
fn discard(output: &std::path::Path) {
    if output.symlink_metadata().is_ok_and(|metadata| metadata.is_file()) {
        let _ = std::fs::remove_file(output);
    }
}

/// The end summary. What is missing is told even when nothing else is.
fn report(args: &RecordArgs, ended: &Ended, bytes: u64, status: Status) {
    let summary = &ended.summary;
    let seconds = summary.end.saturating_sub(summary.begin) as f64 / 1e9;
    status.note(&format!(
        "{} events ({}) in {seconds:.1} s, {} {}; {}",
        total(&summary.events),
        by_family(summary),
        args.output.display(),
        size(bytes),
        summary.reason,
    ));
    let (lost, missed, unpaired) = (total(&summary.lost), total(&summary.missed), total(&summary.unpaired));
    let losses = format!(
        "lost {lost} (ring full)  missed {missed} (skipped by the kernel)  unpaired {unpaired}  stacks lost {}",
        summary.stacks_lost,
    );
    if lost + missed + unpaired + summary.stacks_lost > 0 {
        status.important(&losses);
    } else {
        status.note(&losses);
    }
    if lost > 0 {
        status.note("a larger --buffer or fewer events (--event, --pid) avoid losses");
    }
    let (asked, attached) = gaps::coverage(&ended.reports);
    let missing: Vec<&str> = gaps::gaps(&ended.reports).map(|report| report.point.as_str()).collect();
    let missing = if missing.is_empty() { String::new() } else { format!("; not: {}", missing.join(", ")) };
    status.note(&format!("{attached} of {asked} probes attached{missing}"));
    for report in gaps::gaps(&ended.reports) {
        status.detail(&format!("{} is not traced: {}", report.point, gaps::reason(&report.outcome)));
    }
    for (hit, silent) in &ended.silent {
        status.important(&format!(
            "{silent} is attached but never fired, although {hit} did: the compiler may have copied it into its \
             callers; its events are incomplete"
        ));
    }
}

fn total(counts: &std::collections::BTreeMap<String, u64>) -> u64 {
    counts.values().sum()
}

fn by_family(summary: &Summary) -> String {
    let parts: Vec<String> = Family::ALL
        .into_iter()
        .filter_map(|family| {
            let kinds = Kind::ALL.iter().filter(|kind| kind.family() == family);
            let count: u64 = kinds.filter_map(|kind| summary.events.get(kind.name())).sum();
            (count > 0).then(|| format!("{} {count}", family.name()))
        })
        .collect();
    if parts.is_empty() { "none".to_owned() } else { parts.join(", ") }
}

fn size(bytes: u64) -> String {
    match bytes {
        0..10_000 => format!("{bytes} bytes"),
        10_000..10_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}
