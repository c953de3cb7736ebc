//! `cargo xtask bench-readers`: how fast a recording is read, beside what perf and trace-cmd recorded of the same
//! work.
//!
//! A guest records the same workload once with each tool; then every reader runs on this machine, several times, and
//! the fastest run counts: what is slower is this machine's own doing. Real time differs from machine to machine, so
//! that only the ratios of one run mean something.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use serde::Serialize;

use crate::guest::{Guest, quote};
use crate::setup::{self, Group};
use crate::{kernel, process, workspace};

/// Pages of each round: so many fit into the guest's memory.
const PAGES: u64 = 16_384;

/// Options of `bench-readers`.
#[derive(Args, Debug)]
pub struct Options {
    /// Events to record with each tool, in millions
    #[arg(long, default_value_t = 1, value_name = "MILLIONS", value_parser = clap::value_parser!(u64).range(1..=20))]
    events: u64,
    /// Number of runs per reader
    #[arg(long, default_value_t = 3)]
    runs: u32,
    /// Only readers with one of these words in their command line
    #[arg(long, value_name = "WORD[,…]", value_delimiter = ',')]
    only: Vec<String>,
    /// Read what an earlier run recorded
    #[arg(long)]
    no_record: bool,
    /// Seconds for the whole recording, boot included
    #[arg(long, default_value_t = 3600, value_name = "SECONDS")]
    timeout: u64,
}

/// What is run: `TRACE` is our own file, `PERF` and `TRACE_CMD` those of the peers, `OUT` a folder to write into.
const READERS: [&str; 18] = [
    "perf report -i PERF --stdio",
    "perf script -i PERF",
    "trace-cmd report -i TRACE_CMD",
    "rmapscope report -q -i TRACE",
    "rmapscope report -q -i TRACE --json",
    "rmapscope report -q -i TRACE --html OUT/report.html",
    "rmapscope report -q -i TRACE --flame OUT/flame.svg",
    "rmapscope check -q -i TRACE",
    "rmapscope script -q -i TRACE",
    "rmapscope diff -q TRACE TRACE",
    "rmapscope export -q -i TRACE -f csv -o OUT/export.csv",
    "rmapscope export -q -i TRACE -f ndjson -o OUT/export.ndjson",
    "rmapscope export -q -i TRACE -f parquet -o OUT/export.parquet",
    "rmapscope export -q -i TRACE -f perfetto -o OUT/export.pftrace",
    "rmapscope export -q -i TRACE -f chrome -o OUT/export.json",
    "rmapscope export -q -i TRACE -f firefox -o OUT/firefox.json",
    "rmapscope export -q -i TRACE -f folded -o OUT/export.folded",
    "rmapscope export -q -i TRACE -f speedscope -o OUT/speedscope.json",
];

/// What one reader took.
#[derive(Clone, Copy, Debug, Serialize)]
struct Taken {
    /// Seconds.
    seconds: f64,
    /// Peak memory in KiB.
    memory: u64,
    /// Exit status.
    status: i32,
}

impl Taken {
    /// Whether it read to the end: of one event alone `check` has no verdict, which is an answer, too.
    fn succeeded(&self) -> bool {
        matches!(self.status, 0 | 3)
    }
}

#[derive(Debug, Serialize)]
struct Figure {
    reader: &'static str,
    /// Of the fastest run.
    #[serde(flatten)]
    taken: Taken,
    events_per_second: f64,
}

/// Records, reads, prints the table and writes `target/readers/MILLIONS/readers.json`.
pub fn run(options: &Options) -> Result<u8> {
    ensure!(options.runs > 0, "at least one run is needed");
    setup::ensure(&[Group::Toolchain, Group::Guest, Group::Bench])?;
    let binaries = workspace::build_programs(workspace::Profile::Release)?;
    let folder = workspace::target().join("readers").join(options.events.to_string());
    let rounds = (options.events * 1_000_000).div_ceil(PAGES);
    if !options.no_record {
        record(&binaries, &folder, rounds, options.timeout)?;
    }
    let out = folder.join("out");
    fs::create_dir_all(&out).with_context(|| out.display().to_string())?;
    let events = recorded(&binaries.join("rmapscope"), &folder.join("rmapscope.data"))?;
    let mut figures = Vec::new();
    for reader in READERS {
        if !options.only.is_empty() && !options.only.iter().any(|word| reader.contains(word.as_str())) {
            continue;
        }
        eprintln!("xtask: {reader}");
        let runs = (0..options.runs).map(|_| measure(reader, &binaries, &folder, &out));
        let runs = runs.collect::<Result<Vec<_>>>()?;
        let Some(taken) = runs.into_iter().min_by(|one, other| one.seconds.total_cmp(&other.seconds)) else {
            continue;
        };
        #[expect(clippy::cast_precision_loss, reason = "a few million")]
        let events_per_second = events as f64 / taken.seconds;
        figures.push(Figure { reader, taken, events_per_second });
    }
    print!("{}", Table { events, figures: &figures });
    let json = folder.join("readers.json");
    fs::write(&json, serde_json::to_string_pretty(&figures)? + "\n")
        .with_context(|| json.display().to_string())?;
    eprintln!("xtask: figures: {}", json.display());
    Ok(u8::from(!figures.iter().all(|figure| figure.taken.succeeded())))
}

/// The same work under each tool, on Debian's 6.12.
fn record(binaries: &Path, folder: &Path, rounds: u64, timeout: u64) -> Result<()> {
    let _ = fs::remove_dir_all(folder);
    fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    let place = |name: &str| quote(&folder.join(name).to_string_lossy());
    let work = format!("rmapscope-workload pageout --pages {PAGES} --rounds {rounds}");
    let script = format!(
        "set -e; cd /tmp; rmapscope-workload pageout --pages 1 >/dev/null
        mountpoint -q /sys/kernel/tracing || mount -t tracefs none /sys/kernel/tracing
        echo 'p:peer/unmap try_to_unmap folio=%di:x64 flags=%si:x32' >/sys/kernel/tracing/kprobe_events
        rmapscope record -q -m 64M -e try_to_unmap -o {} -- {work} >/dev/null
        perf record -q -m 16384 -e peer:unmap -o {} -- {work} >/dev/null
        trace-cmd record -q -b 200000 -e peer:unmap -o {} {work} >/dev/null",
        place("rmapscope.data"),
        place("perf.data"),
        place("trace.dat"),
    );
    eprintln!("xtask: recording {} events with each tool", rounds * PAGES);
    let outcome = Guest::new(kernel::ensure("6.12")?)
        .cpus(2)
        .memory("1G")
        .rwdir(folder)
        .path(binaries)
        .timeout(Duration::from_secs(timeout))
        .live(true)
        .run(&script)?;
    if outcome.status != 0 {
        bail!("recording ended with status {}", outcome.status);
    }
    Ok(())
}

/// Events in our own file; the others have as many, but for the few that tell who is who.
fn recorded(program: &Path, trace: &Path) -> Result<u64> {
    let mut counts = Command::new(program);
    counts.args(["script", "-q", "--stats", "--separator", ",", "-e", "try_to_unmap", "-i"]).arg(trace);
    let counts = process::output(&mut counts).with_context(|| trace.display().to_string())?;
    let count = counts.lines().find_map(|line| line.strip_prefix("try_to_unmap,")?.split(',').next());
    count.context("no event was recorded")?.parse().context("the number of events")
}

/// One run under time(1), which knows the peak memory of a child; its output goes nowhere.
fn measure(reader: &str, binaries: &Path, folder: &Path, out: &Path) -> Result<Taken> {
    let figures = folder.join("time");
    let place = |name: &str| folder.join(name).into_os_string();
    let mut command = Command::new("time");
    command.args(["--quiet", "-f", "%e %M %x", "-o"]).arg(&figures);
    for word in reader.split(' ') {
        match word {
            "rmapscope" => command.arg(binaries.join("rmapscope")),
            "TRACE" => command.arg(place("rmapscope.data")),
            "PERF" => command.arg(place("perf.data")),
            "TRACE_CMD" => command.arg(place("trace.dat")),
            word => match word.strip_prefix("OUT/") {
                Some(name) => command.arg(PathBuf::from(out).join(name)),
                None => command.arg(word),
            },
        };
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().context("time(1)")?;
    let text = fs::read_to_string(&figures).with_context(|| figures.display().to_string())?;
    let mut words = text.split_whitespace();
    let mut next = || words.next().context("time(1) said nothing");
    Ok(Taken { seconds: next()?.parse()?, memory: next()?.parse()?, status: next()?.parse()? })
}

/// For people.
struct Table<'a> {
    events: u64,
    figures: &'a [Figure],
}

impl fmt::Display for Table<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{} events; the fastest run of each reader.\n", self.events)?;
        writeln!(formatter, "{:<66} {:>8} {:>12} {:>9}", "reader", "seconds", "million/s", "peak MiB")?;
        for Figure { reader, taken, events_per_second } in self.figures {
            let failed = if taken.succeeded() { "" } else { "  failed" };
            let rate = events_per_second / 1e6;
            let memory = taken.memory / 1024;
            writeln!(formatter, "{reader:<66} {:>8.2} {rate:>12.2} {memory:>9}{failed}", taken.seconds)?;
        }
        Ok(())
    }
}
