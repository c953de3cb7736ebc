//! From what the guest measured to costs a page.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use super::seen;
use super::subject::{BASELINE, Reader, Subject};

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

impl Work {
    fn events(&self) -> u64 {
        self.pages * self.rounds
    }
}

/// One run in the guest.
#[derive(Clone, Debug, Deserialize)]
struct Run {
    subject: String,
    pass: u32,
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

/// The workload without a tracer, in instructions a page.
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

/// The passes of one subject: after one page, and in full.
struct Passes<'a> {
    short: Vec<&'a Run>,
    full: Vec<&'a Run>,
}

impl<'a> Passes<'a> {
    fn of(runs: &'a [Run], name: &str) -> Self {
        let good = || runs.iter().filter(move |run| run.subject == name && run.status == 0);
        let pages = |run: &Run| run.work.map_or(0, |work| work.events());
        let short: Vec<_> = good().filter(|run| pages(run) == 1).collect();
        let has_short = |run: &&Run| short.iter().any(|other| other.pass == run.pass);
        let full = good().filter(|run| pages(run) > 1).filter(has_short).collect();
        Self { short, full }
    }

    fn short(&self, full: &Run) -> &'a Run {
        self.short
            .iter()
            .find(|run| run.pass == full.pass)
            .expect("a full run is only kept with the short one of its pass")
    }
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
            let finding = match cost(&runs, subject, baseline.elapsed.mean) {
                Some(Found { mut cost, pass, pages }) => {
                    let last = folder.join(format!("{}.{pass}.{pages}.data", subject.name));
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
    let passes = Passes::of(runs, BASELINE);
    let works: Vec<Work> = passes.full.iter().filter_map(|run| run.work).collect();
    ensure!(!works.is_empty(), "the workload failed without a tracer");
    let per_page = |value: fn(&Work) -> u64| {
        Spread::of(&works.iter().map(|work| value(work) as f64 / work.events() as f64).collect::<Vec<_>>())
    };
    Ok(Baseline { elapsed: per_page(|work| work.elapsed), advise: per_page(|work| work.advise) })
}

/// A cost, and which run was the last.
struct Found {
    cost: Cost,
    pass: u32,
    pages: u64,
}

fn cost(runs: &[Run], subject: &Subject, baseline: f64) -> Option<Found> {
    let passes = Passes::of(runs, subject.name);
    let (last, last_work) = passes.full.last().and_then(|run| Some((*run, run.work?)))?;
    let short_size = passes.short(last).size;
    // Microseconds to nanoseconds, which are instructions.
    let per_page = |micros: f64, work: &Work| micros * 1e3 / work.events() as f64;
    let ending = |run: &Run| {
        let spent_before = run.work.map_or(0, |work| work.tracer_after);
        run.used.saturating_sub(spent_before) as f64
    };
    let column = |value: &dyn Fn(&Run, &Work) -> f64| {
        let values = passes.full.iter().filter_map(|run| Some(value(run, run.work.as_ref()?)));
        Spread::of(&values.collect::<Vec<_>>())
    };
    let during = |_: &Run, work: &Work| work.elapsed as f64 / work.events() as f64 - baseline;
    let after = |run: &Run, work: &Work| per_page(ending(run) - ending(passes.short(run)), work);
    let short = |value: &dyn Fn(&Run) -> f64| {
        Spread::of(&passes.short.iter().map(|run| value(run)).collect::<Vec<_>>())
    };
    let cost = Cost {
        total: column(&|run, work| during(run, work) + after(run, work)),
        during: column(&during),
        reader: column(&|_, work| per_page((work.tracer_after - work.tracer_before) as f64, work)),
        after: column(&after),
        bytes_per_event: (subject.reader != Reader::None && subject.reader != Reader::Counts)
            .then(|| last.size.saturating_sub(short_size) as f64 / (last_work.events() - 1) as f64),
        seen: None,
        expected: last_work.events(),
        start: short(&|run| run.work.map_or(0.0, |work| work.tracer_before as f64)),
        end: short(&ending),
    };
    Some(Found { cost, pass: last.pass, pages: last_work.pages })
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

    const RUNS: &str = r#"{"subject":"none","pass":1,"status":0,"used":5,"size":0,"work":{"pages":1,"rounds":1,"elapsed":20,"advise":10,"tracer_before":5,"tracer_after":5}}
{"subject":"none","pass":1,"status":0,"used":5,"size":0,"work":{"pages":100,"rounds":2,"elapsed":2000000,"advise":1000000,"tracer_before":5,"tracer_after":5}}
{"subject":"rmapscope-fentry","pass":1,"status":0,"used":900,"size":1000,"work":{"pages":1,"rounds":1,"elapsed":20,"advise":10,"tracer_before":700,"tracer_after":700}}
{"subject":"rmapscope-fentry","pass":1,"status":0,"used":960,"size":1796,"work":{"pages":100,"rounds":2,"elapsed":2080000,"advise":1080000,"tracer_before":700,"tracer_after":740}}
{"subject":"perf-kprobe","pass":1,"status":1,"used":5,"size":0,"work":null}
"#;

    fn subject(name: &str) -> &'static Subject {
        SUBJECTS.iter().find(|subject| subject.name == name).expect("a subject")
    }

    #[test]
    fn costs_are_taken_over_the_baseline() {
        let runs = parse(RUNS).unwrap();
        let baseline = baseline(&runs).unwrap();
        assert_eq!((baseline.elapsed.mean, baseline.advise.mean), (10_000.0, 5_000.0));
        let cost = cost(&runs, subject("rmapscope-fentry"), 10_000.0).unwrap().cost;
        assert_eq!((cost.during.mean, cost.reader.mean), (400.0, 200.0));
        // 220 µs to end instead of 200 µs, by 200 pages.
        assert_eq!((cost.after.mean, cost.total.mean), (100.0, 500.0));
        assert_eq!((cost.bytes_per_event, cost.expected), (Some(4.0), 200));
    }

    #[test]
    fn a_subject_that_failed_is_skipped_with_its_last_words() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("perf-kprobe.1.1.stderr"), "event syntax error\x1b\n\n").unwrap();
        let runs = parse(RUNS).unwrap();
        assert!(cost(&runs, subject("perf-kprobe"), 1.0).is_none());
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
