//! From what the guests measured to costs an event.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use super::seen;
use super::subject::{Reader, Subject};
use super::work::{WORKS, Work};

/// What the workload measured (`tests/src/workload/cost.rs`).
#[derive(Clone, Copy, Debug, Deserialize)]
struct Measured {
    events: u64,
    /// Nanoseconds: instructions.
    time: u64,
    calls: u64,
    /// Microseconds.
    tracer_before: u64,
    tracer_after: u64,
}

/// In nanoseconds, which are instructions.
const MICROSECOND: f64 = 1e3;

impl Measured {
    fn per_event(&self, value: u64) -> f64 {
        value as f64 / self.events as f64
    }

    /// Microseconds of CPU time that the tracer took during the loop.
    fn reader(&self) -> f64 {
        self.tracer_after.saturating_sub(self.tracer_before) as f64
    }
}

/// What a run is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    /// One unit of work, with the tracer.
    Short,
    /// All of it, without a tracer.
    Plain,
    /// All of it, with the tracer.
    Full,
}

/// One run in the guest.
#[derive(Clone, Debug, Deserialize)]
struct Run {
    subject: String,
    pass: u32,
    kind: Kind,
    status: u8,
    /// Microseconds of CPU time that the tracer took from its start to its exit.
    used: u64,
    /// Bytes of its file.
    size: u64,
    work: Option<Measured>,
}

/// Smallest, middle (mean) and largest of the passes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// The smallest.
    pub least: f64,
    /// The arithmetic mean.
    pub mean: f64,
    /// The largest.
    pub most: f64,
}

impl Spread {
    fn of(values: &[f64]) -> Self {
        let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
        Self {
            least: values.iter().copied().fold(f64::INFINITY, f64::min),
            mean,
            most: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        }
    }

    /// To a tenth of an instruction.
    pub fn rounded(self) -> Self {
        let round = |value: f64| (value * 10.0).round() / 10.0;
        Self { least: round(self.least), mean: round(self.mean), most: round(self.most) }
    }
}

/// A work without a tracer, in instructions an event, over the whole time of the guest.
#[derive(Clone, Copy, Debug)]
pub struct Plain {
    /// The work.
    pub work: &'static Work,
    /// The whole loop.
    pub time: Spread,
    /// The system calls alone that cause the events.
    pub calls: Spread,
}

/// What a subject costs, in instructions an event over the run without a tracer.
#[derive(Clone, Debug, Serialize)]
pub struct Cost {
    /// All of it: `during` and `after`.
    pub total: Spread,
    /// While the workload ran: probes, and the reader as far as it ran then.
    pub during: Spread,
    /// Of `during`, what fell into the system calls that cause the events.
    pub calls: Spread,
    /// Of `during`, the tracer's own processes.
    pub reader: Spread,
    /// The tracer's processes from the end of the workload to their exit, less the same after one unit of work.
    pub after: Spread,
    /// Bytes on disk an event; the file of one unit of work is taken off.
    pub bytes_per_event: Option<f64>,
    /// Events that reached the file or the counts, of the last pass, where that can be read.
    pub seen: Option<u64>,
    /// Events that happened in a pass.
    pub expected: u64,
    /// Microseconds that the tracer took to start, the run of one unit.
    pub start: Spread,
    /// Microseconds that the tracer took to end, the run of one unit.
    pub end: Spread,
}

/// What became of a subject.
#[derive(Clone, Debug)]
pub enum Finding {
    /// It was measured.
    Measured(Box<Cost>),
    /// It was not, and why.
    Skipped(String),
}

/// All figures of a kernel.
#[derive(Clone, Debug)]
pub struct Figures {
    /// Without a tracer, one a work.
    pub plain: Vec<Plain>,
    /// The subjects in their order.
    pub subjects: Vec<Measurement>,
}

/// A subject and what became of it.
#[derive(Clone, Debug)]
pub struct Measurement {
    /// What was to be measured.
    pub subject: Subject,
    /// What became of it.
    pub finding: Finding,
}

/// A pass that has all three runs.
struct Pass<'a> {
    number: u32,
    short: (&'a Run, Measured),
    plain: Measured,
    full: (&'a Run, Measured),
}

impl<'a> Pass<'a> {
    fn all(runs: &'a [Run], subject: &Subject) -> Vec<Self> {
        let name = subject.name();
        let of_subject = || runs.iter().filter(|run| run.subject == name && run.status == 0);
        let find = |kind, pass| {
            let run = of_subject().find(|run| run.kind == kind && run.pass == pass)?;
            Some((run, run.work?))
        };
        let fulls = of_subject().filter(|run| run.kind == Kind::Full);
        let pass = |run: &'a Run| {
            Some(Self {
                number: run.pass,
                short: find(Kind::Short, run.pass)?,
                plain: find(Kind::Plain, run.pass)?.1,
                full: (run, run.work?),
            })
        };
        fulls.filter_map(pass).collect()
    }

    /// Nanoseconds over the run without a tracer, a page.
    fn over_plain(&self, value: fn(&Measured) -> u64) -> f64 {
        self.full.1.per_event(value(&self.full.1)) - self.plain.per_event(value(&self.plain))
    }

    fn during(&self) -> f64 {
        self.over_plain(|work| work.time)
    }

    fn after(&self) -> f64 {
        let ((full, full_work), (short, short_work)) = (self.full, self.short);
        (ending(full, &full_work) - ending(short, &short_work)) * MICROSECOND / full_work.events as f64
    }
}

/// Microseconds of CPU time that the tracer took after the workload's loop.
fn ending(run: &Run, work: &Measured) -> f64 {
    run.used.saturating_sub(work.tracer_after) as f64
}

/// Reads what the guests left in `folder`; `program` is rmapscope.
pub fn read(folder: &Path, program: &Path, chosen: &[Subject]) -> Result<Figures> {
    let file = folder.join("runs.jsonl");
    let text = std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
    let runs = parse(&text)?;
    let of = |work: &&'static Work| chosen.iter().any(|subject| subject.work == *work);
    let plain = WORKS.iter().filter(of).map(|work| plain(&runs, work)).collect::<Result<_>>()?;
    let subjects = chosen
        .iter()
        .map(|subject| {
            let finding = match cost(&runs, subject) {
                Some((mut cost, pass)) => {
                    let last = folder.join(format!("{}.{pass}.full.data", subject.name()));
                    cost.seen = seen::count(subject.way.reader, subject.work.function, &last, program);
                    Finding::Measured(Box::new(cost))
                }
                None => Finding::Skipped(reason(folder, &runs, subject)),
            };
            Measurement { subject: *subject, finding }
        })
        .collect();
    Ok(Figures { plain, subjects })
}

fn parse(text: &str) -> Result<Vec<Run>> {
    text.lines()
        .map(|line| serde_json::from_str(line).with_context(|| format!("the guest's figures: {line:?}")))
        .collect()
}

fn plain(runs: &[Run], work: &'static Work) -> Result<Plain> {
    // The first is the one that warms the guest up.
    let of_work = |run: &&Run| run.subject.split('-').next() == Some(work.name);
    let plain = runs.iter().filter(|run| run.kind == Kind::Plain && run.status == 0).filter(of_work).skip(1);
    let works: Vec<Measured> = plain.filter_map(|run| run.work).collect();
    ensure!(!works.is_empty(), "{work} could not be measured; the tracers' messages are in target/bench");
    let per_event = |value: fn(&Measured) -> u64| {
        Spread::of(&works.iter().map(|work| work.per_event(value(work))).collect::<Vec<_>>())
    };
    Ok(Plain { work, time: per_event(|work| work.time), calls: per_event(|work| work.calls) })
}

/// The cost of a subject, and the last pass that it comes from.
fn cost(runs: &[Run], subject: &Subject) -> Option<(Cost, u32)> {
    let passes = Pass::all(runs, subject);
    let last = passes.last()?;
    let (last_run, last_work) = last.full;
    let spread = |value: fn(&Pass) -> f64| Spread::of(&passes.iter().map(value).collect::<Vec<_>>());
    let has_file = !matches!(subject.way.reader, Reader::None | Reader::Counts);
    let cost = Cost {
        total: spread(|pass| pass.during() + pass.after()),
        during: spread(|pass| pass.during()),
        calls: spread(|pass| pass.over_plain(|work| work.calls)),
        reader: spread(|pass| pass.full.1.reader() * MICROSECOND / pass.full.1.events as f64),
        after: spread(|pass| pass.after()),
        bytes_per_event: has_file.then(|| {
            let bytes = last_run.size.saturating_sub(last.short.0.size) as f64;
            bytes / (last_work.events - last.short.1.events) as f64
        }),
        seen: None,
        expected: last_work.events,
        start: spread(|pass| pass.short.1.tracer_before as f64),
        end: spread(|pass| ending(pass.short.0, &pass.short.1)),
    };
    Some((cost, last.number))
}

/// Why there is no figure: what the tracer said last, or that it never ran.
fn reason(folder: &Path, runs: &[Run], subject: &Subject) -> String {
    let subject_name = subject.name();
    let Some(run) = runs.iter().rfind(|run| run.subject == subject_name) else {
        return format!("{} is not installed", subject.words()[0]);
    };
    let said = std::fs::read_dir(folder).ok().into_iter().flatten().flatten().filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        let own = name.strip_prefix(&subject_name)?.starts_with('.') && name.ends_with(".stderr");
        let text = std::fs::read_to_string(entry.path()).ok()?;
        own.then(|| text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default().to_owned())
    });
    let said = said.max().unwrap_or_default();
    format!("status {}: {}", run.status, said.escape_debug())
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUNS: &str = r#"{"subject":"reclaim-warm-up","pass":1,"kind":"plain","status":0,"used":5,"size":0,"work":{"events":200,"time":9000000,"calls":9000000,"tracer_before":5,"tracer_after":5}}
{"subject":"reclaim-rmapscope-fentry","pass":1,"kind":"short","status":0,"used":900,"size":1000,"work":{"events":1,"time":20,"calls":10,"tracer_before":700,"tracer_after":700}}
{"subject":"reclaim-rmapscope-fentry","pass":1,"kind":"plain","status":0,"used":5,"size":0,"work":{"events":200,"time":2000000,"calls":1000000,"tracer_before":5,"tracer_after":5}}
{"subject":"reclaim-rmapscope-fentry","pass":1,"kind":"full","status":0,"used":960,"size":1796,"work":{"events":200,"time":2080000,"calls":1070000,"tracer_before":700,"tracer_after":740}}
{"subject":"reclaim-perf-kprobe","pass":1,"kind":"short","status":1,"used":5,"size":0,"work":null}
"#;

    fn subject(name: &str) -> Subject {
        Subject::all().into_iter().find(|subject| subject.name() == name).expect("a subject")
    }

    #[test]
    fn costs_are_taken_over_the_work_alone() {
        let runs = parse(RUNS).unwrap();
        let plain = plain(&runs, &WORKS[0]).unwrap();
        assert_eq!((plain.time.mean, plain.calls.mean), (10_000.0, 5_000.0));
        let (cost, pass) = cost(&runs, &subject("reclaim-rmapscope-fentry")).unwrap();
        assert_eq!((cost.during.mean, cost.calls.mean, cost.reader.mean, pass), (400.0, 350.0, 200.0, 1));
        // 220 µs to end instead of 200 µs, by 200 pages.
        assert_eq!((cost.after.mean, cost.total.mean), (100.0, 500.0));
        assert_eq!((cost.bytes_per_event, cost.expected), (Some(4.0), 200));
        assert_eq!((cost.start.mean, cost.end.mean), (700.0, 200.0));
    }

    #[test]
    fn a_subject_that_failed_is_skipped_with_its_last_words() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(
            folder.path().join("reclaim-perf-kprobe.1.short.stderr"),
            "event syntax error\x1b\n\n",
        )
        .unwrap();
        let runs = parse(RUNS).unwrap();
        assert!(cost(&runs, &subject("reclaim-perf-kprobe")).is_none());
        let said = reason(folder.path(), &runs, &subject("reclaim-perf-kprobe"));
        assert_eq!(said, "status 1: event syntax error\\u{1b}");
        assert_eq!(reason(folder.path(), &[], &subject("reclaim-perf-kprobe")), "perf is not installed");
    }

    #[test]
    fn damaged_figures_are_an_error() {
        assert!(parse("{}").is_err());
        assert!(plain(&[], &WORKS[0]).is_err());
    }
}
