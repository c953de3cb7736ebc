//! From what the guest measured to costs a page.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use super::seen;
use super::subject::{Reader, Subject};

/// What the workload measured (`tests/src/workload/cost.rs`).
#[derive(Clone, Copy, Debug, Deserialize)]
struct Work {
    pages: u64,
    rounds: u64,
    /// Nanoseconds: instructions.
    elapsed: u64,
    advise: u64,
    /// Microseconds.
    tracer_before: u64,
    tracer_after: u64,
}

/// In nanoseconds, which are instructions.
const MICROSECOND: f64 = 1e3;

impl Work {
    fn events(&self) -> u64 {
        self.pages * self.rounds
    }

    fn per_page(&self, value: u64) -> f64 {
        value as f64 / self.events() as f64
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
    /// One page, with the tracer.
    Short,
    /// All pages, without a tracer.
    Plain,
    /// All pages, with the tracer.
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
    work: Option<Work>,
}

/// Smallest, middle (mean) and largest of the passes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
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
}

/// The workload without a tracer, in instructions a page, over the whole time of the guest.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Baseline {
    /// The whole loop: touching the pages again and paging them out.
    pub elapsed: Spread,
    /// The `madvise(2)` calls alone.
    pub advise: Spread,
}

/// What a subject costs, in instructions a page over the run without a tracer.
#[derive(Clone, Debug, Serialize)]
pub struct Cost {
    /// All of it: `during` and `after`.
    pub total: Spread,
    /// While the workload ran: probes, and the reader as far as it ran then.
    pub during: Spread,
    /// Of `during`, what fell into the `madvise(2)` calls.
    pub advise: Spread,
    /// Of `during`, the tracer's own processes.
    pub reader: Spread,
    /// The tracer's processes from the end of the workload to their exit, less the same after one page.
    pub after: Spread,
    /// Bytes on disk an event; the file of one page is taken off.
    pub bytes_per_event: Option<f64>,
    /// Events that reached the file or the counts, of the last pass, where that can be read.
    pub seen: Option<u64>,
    /// Events that happened in a pass.
    pub expected: u64,
    /// Microseconds that the tracer took to start, the one-page run.
    pub start: Spread,
    /// Microseconds that the tracer took to end, the one-page run.
    pub end: Spread,
}

/// What became of a subject.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Finding {
    /// It was measured.
    Measured(Box<Cost>),
    /// It was not, and why.
    Skipped(String),
}

/// All figures of a boot.
#[derive(Clone, Debug, Serialize)]
pub struct Figures {
    /// Without a tracer.
    pub baseline: Baseline,
    /// The subjects in their order.
    pub subjects: Vec<Measurement>,
}

/// A subject and what became of it.
#[derive(Clone, Debug, Serialize)]
pub struct Measurement {
    /// What was to be measured.
    #[serde(flatten)]
    pub subject: &'static Subject,
    /// What became of it.
    #[serde(flatten)]
    pub finding: Finding,
}

/// A pass that has all three runs.
struct Pass<'a> {
    number: u32,
    short: (&'a Run, Work),
    plain: Work,
    full: (&'a Run, Work),
}

impl<'a> Pass<'a> {
    fn all(runs: &'a [Run], subject: &Subject) -> Vec<Self> {
        let of_subject = || runs.iter().filter(|run| run.subject == subject.name && run.status == 0);
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
    fn over_plain(&self, value: fn(&Work) -> u64) -> f64 {
        self.full.1.per_page(value(&self.full.1)) - self.plain.per_page(value(&self.plain))
    }

    fn during(&self) -> f64 {
        self.over_plain(|work| work.elapsed)
    }

    fn after(&self) -> f64 {
        let ((full, full_work), (short, short_work)) = (self.full, self.short);
        (ending(full, &full_work) - ending(short, &short_work)) * MICROSECOND / full_work.events() as f64
    }
}

/// Microseconds of CPU time that the tracer took after the workload's loop.
fn ending(run: &Run, work: &Work) -> f64 {
    run.used.saturating_sub(work.tracer_after) as f64
}

/// Reads what the guest left in `folder`; `program` is rmapscope.
pub fn read(folder: &Path, program: &Path, chosen: &[&'static Subject]) -> Result<Figures> {
    let file = folder.join("runs.jsonl");
    let text = std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
    let runs = parse(&text)?;
    let baseline = baseline(&runs)?;
    let subjects = chosen
        .iter()
        .map(|subject| {
            let finding = match cost(&runs, subject) {
                Some((mut cost, pass)) => {
                    let last = folder.join(format!("{}.{pass}.full.data", subject.name));
                    cost.seen = seen::count(subject.reader, &last, program);
                    Finding::Measured(Box::new(cost))
                }
                None => Finding::Skipped(reason(folder, &runs, subject)),
            };
            Measurement { subject, finding }
        })
        .collect();
    Ok(Figures { baseline, subjects })
}

fn parse(text: &str) -> Result<Vec<Run>> {
    text.lines()
        .map(|line| serde_json::from_str(line).with_context(|| format!("the guest's figures: {line:?}")))
        .collect()
}

fn baseline(runs: &[Run]) -> Result<Baseline> {
    // The first is the one that warms the guest up.
    let plain = runs.iter().filter(|run| run.kind == Kind::Plain && run.status == 0).skip(1);
    let works: Vec<Work> = plain.filter_map(|run| run.work).collect();
    ensure!(!works.is_empty(), "nothing could be measured; the tracers' messages are in target/bench");
    let per_page = |value: fn(&Work) -> u64| {
        Spread::of(&works.iter().map(|work| work.per_page(value(work))).collect::<Vec<_>>())
    };
    Ok(Baseline { elapsed: per_page(|work| work.elapsed), advise: per_page(|work| work.advise) })
}

/// The cost of a subject, and the last pass that it comes from.
fn cost(runs: &[Run], subject: &Subject) -> Option<(Cost, u32)> {
    let passes = Pass::all(runs, subject);
    let last = passes.last()?;
    let (last_run, last_work) = last.full;
    let spread = |value: fn(&Pass) -> f64| Spread::of(&passes.iter().map(value).collect::<Vec<_>>());
    let has_file = !matches!(subject.reader, Reader::None | Reader::Counts);
    let cost = Cost {
        total: spread(|pass| pass.during() + pass.after()),
        during: spread(|pass| pass.during()),
        advise: spread(|pass| pass.over_plain(|work| work.advise)),
        reader: spread(|pass| pass.full.1.reader() * MICROSECOND / pass.full.1.events() as f64),
        after: spread(|pass| pass.after()),
        bytes_per_event: has_file.then(|| {
            let bytes = last_run.size.saturating_sub(last.short.0.size) as f64;
            bytes / (last_work.events() - last.short.1.events()) as f64
        }),
        seen: None,
        expected: last_work.events(),
        start: spread(|pass| pass.short.1.tracer_before as f64),
        end: spread(|pass| ending(pass.short.0, &pass.short.1)),
    };
    Some((cost, last.number))
}

/// Why there is no figure: what the tracer said last, or that it never ran.
fn reason(folder: &Path, runs: &[Run], subject: &Subject) -> String {
    let Some(run) = runs.iter().rfind(|run| run.subject == subject.name) else {
        return format!("{} is not installed", subject.words[0]);
    };
    let said = std::fs::read_dir(folder).ok().into_iter().flatten().flatten().filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        let own = name.strip_prefix(subject.name)?.starts_with('.') && name.ends_with(".stderr");
        let text = std::fs::read_to_string(entry.path()).ok()?;
        own.then(|| text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default().to_owned())
    });
    let said = said.max().unwrap_or_default();
    format!("status {}: {}", run.status, said.escape_debug())
}

#[cfg(test)]
mod tests {
    use super::super::subject::SUBJECTS;
    use super::*;

    const RUNS: &str = r#"{"subject":"warm-up","pass":1,"kind":"plain","status":0,"used":5,"size":0,"work":{"pages":100,"rounds":2,"elapsed":9000000,"advise":9000000,"tracer_before":5,"tracer_after":5}}
{"subject":"rmapscope-fentry","pass":1,"kind":"short","status":0,"used":900,"size":1000,"work":{"pages":1,"rounds":1,"elapsed":20,"advise":10,"tracer_before":700,"tracer_after":700}}
{"subject":"rmapscope-fentry","pass":1,"kind":"plain","status":0,"used":5,"size":0,"work":{"pages":100,"rounds":2,"elapsed":2000000,"advise":1000000,"tracer_before":5,"tracer_after":5}}
{"subject":"rmapscope-fentry","pass":1,"kind":"full","status":0,"used":960,"size":1796,"work":{"pages":100,"rounds":2,"elapsed":2080000,"advise":1070000,"tracer_before":700,"tracer_after":740}}
{"subject":"perf-kprobe","pass":1,"kind":"short","status":1,"used":5,"size":0,"work":null}
"#;

    fn subject(name: &str) -> &'static Subject {
        SUBJECTS.iter().find(|subject| subject.name == name).expect("a subject")
    }

    #[test]
    fn costs_are_taken_over_the_baseline() {
        let runs = parse(RUNS).unwrap();
        let baseline = baseline(&runs).unwrap();
        assert_eq!((baseline.elapsed.mean, baseline.advise.mean), (10_000.0, 5_000.0));
        let (cost, pass) = cost(&runs, subject("rmapscope-fentry")).unwrap();
        assert_eq!((cost.during.mean, cost.advise.mean, cost.reader.mean, pass), (400.0, 350.0, 200.0, 1));
        // 220 µs to end instead of 200 µs, by 200 pages.
        assert_eq!((cost.after.mean, cost.total.mean), (100.0, 500.0));
        assert_eq!((cost.bytes_per_event, cost.expected), (Some(4.0), 200));
        assert_eq!((cost.start.mean, cost.end.mean), (700.0, 200.0));
    }

    #[test]
    fn a_subject_that_failed_is_skipped_with_its_last_words() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("perf-kprobe.1.short.stderr"), "event syntax error\x1b\n\n")
            .unwrap();
        let runs = parse(RUNS).unwrap();
        assert!(cost(&runs, subject("perf-kprobe")).is_none());
        let said = reason(folder.path(), &runs, subject("perf-kprobe"));
        assert_eq!(said, "status 1: event syntax error\\u{1b}");
        assert_eq!(reason(folder.path(), &[], subject("perf-kprobe")), "perf is not installed");
    }

    #[test]
    fn damaged_figures_are_an_error() {
        assert!(parse("{}").is_err());
        assert!(baseline(&[]).is_err());
    }
}
