//! Figures compared with earlier ones: what differs by more than the noise.

use std::fmt::{self, Display, Formatter};

use anyhow::{Result, ensure};

use super::document::{Document, Measured, OfKernel, Row};
use super::figures::Spread;

/// What a subject has become.
#[derive(Clone, Debug, PartialEq)]
enum Change {
    /// It costs something else than before, by more than the noise.
    Cost { before: f64, now: f64, noise: f64 },
    /// Events are missing.
    Incomplete { seen: u64, expected: u64 },
    /// There is no figure any more, because.
    Gone(String),
}

#[derive(Clone, Debug)]
struct Line {
    kernel: String,
    subject: String,
    change: Change,
    /// It is rmapscope's, and worse by more than the limit.
    is_regression: bool,
}

/// What became of earlier figures.
#[derive(Debug)]
pub struct Comparison {
    lines: Vec<Line>,
    /// What the figures come from differs.
    inputs: Vec<String>,
    /// How many subjects are in both.
    compared: usize,
    /// How many are only in the earlier figures, because they were not chosen now.
    absent: usize,
    limit: f64,
}

impl Comparison {
    /// Compares; more than `limit` percent more is a regression.
    ///
    /// # Errors
    /// When there is nothing to compare, or no noise is known.
    pub fn of(before: &Document, now: &Document, limit: f64) -> Result<Self> {
        let mut comparison = Self { lines: Vec::new(), inputs: Vec::new(), compared: 0, absent: 0, limit };
        for (name, now) in &now.kernels {
            if let Some(before) = before.kernels.get(name) {
                comparison.add(name, before, now)?;
            }
        }
        ensure!(comparison.compared > 0, "the earlier figures have none of these kernels and subjects");
        Ok(comparison)
    }

    /// Whether rmapscope costs more than the limit allows, loses events, or could not be measured.
    pub fn is_worse(&self) -> bool {
        self.lines.iter().any(|line| line.is_regression)
    }

    fn add(&mut self, kernel: &str, before: &OfKernel, now: &OfKernel) -> Result<()> {
        for (name, of_kernel) in [("earlier", before), ("new", now)] {
            let passes = of_kernel.inputs["passes"].as_u64().unwrap_or(0);
            ensure!(
                passes >= 2,
                "the noise of the {name} figures of {kernel} is unknown: {passes} passes (use --passes 2)"
            );
        }
        for input in ["kernel", "events", "passes", "versions"] {
            if before.inputs[input] != now.inputs[input] {
                self.inputs.push(format!("{kernel}: another {input} than then"));
            }
        }
        let usual = usual_range(before).max(usual_range(now));
        for (subject, row) in &before.subjects {
            let Row::Measured(before) = row else { continue };
            let change = match now.subjects.get(subject) {
                None => {
                    self.absent += 1;
                    continue;
                }
                Some(Row::Skipped(reason)) => Some(Change::Gone(reason.clone())),
                Some(Row::Measured(now)) => changed(before, now, usual),
            };
            self.compared += 1;
            let Some(change) = change else { continue };
            let is_regression = is_ours(subject) && is_worse(&change, self.limit);
            self.lines.push(Line { kernel: kernel.into(), subject: subject.clone(), change, is_regression });
        }
        Ok(())
    }
}

/// Whether a subject is rmapscope; its name says so, whichever version of this program wrote it.
fn is_ours(subject: &str) -> bool {
    subject.contains("-rmapscope-")
}

fn is_worse(change: &Change, limit: f64) -> bool {
    match change {
        Change::Cost { before, now, .. } => now - before > before.abs() * limit / 100.0,
        Change::Incomplete { .. } | Change::Gone(_) => true,
    }
}

/// None for what does not differ. Each mean lies anywhere within what lies between the passes.
fn changed(before: &Measured, now: &Measured, usual: f64) -> Option<Change> {
    let is_whole = |measured: &Measured| measured.seen.is_none_or(|seen| seen >= measured.expected);
    // A reader that fails where it did not before has lost them all.
    let is_unread = before.seen.is_some() && now.seen.is_none();
    if is_whole(before) && (!is_whole(now) || is_unread) {
        return Some(Change::Incomplete { seen: now.seen.unwrap_or(0), expected: now.expected });
    }
    let noise = (range(before.total) + range(now.total)).max(usual);
    let (before, now) = (before.total.mean, now.total.mean);
    ((now - before).abs() > noise).then_some(Change::Cost { before, now, noise })
}

fn range(spread: Spread) -> f64 {
    spread.most - spread.least
}

/// What usually lies between the passes (the median): two that agree by chance do not make a figure exact.
fn usual_range(kernel: &OfKernel) -> f64 {
    let ranges = kernel.subjects.values().filter_map(|row| match row {
        Row::Measured(measured) => Some(range(measured.total)),
        Row::Skipped(_) => None,
    });
    let mut ranges: Vec<f64> = ranges.collect();
    ranges.sort_by(f64::total_cmp);
    ranges.get(ranges.len() / 2).copied().unwrap_or(0.0)
}

impl Display for Comparison {
    fn fmt(&self, formatter: &mut Formatter) -> fmt::Result {
        for input in &self.inputs {
            writeln!(formatter, "{input}")?;
        }
        for line in &self.lines {
            let Line { kernel, subject, change, is_regression } = line;
            let mark = if *is_regression { "worse:  " } else { "differs:" };
            write!(formatter, "{mark} {kernel} {subject}: ")?;
            match change {
                Change::Cost { before, now, noise } => writeln!(
                    formatter,
                    "{before:.0} before, {now:.0} now ({:+.1} %, noise ±{noise:.0})",
                    (now - before) / before.abs().max(1.0) * 100.0
                )?,
                Change::Incomplete { seen, expected } => {
                    writeln!(formatter, "{seen} of {expected} events, all of them before")?;
                }
                Change::Gone(reason) => writeln!(formatter, "measured before, now skipped: {reason}")?,
            }
        }
        let worse = self.lines.iter().filter(|line| line.is_regression).count();
        write!(
            formatter,
            "{} compared, {} differ by more than the noise, {worse} of rmapscope by more than {} %",
            self.compared,
            self.lines.len(),
            self.limit
        )?;
        if self.absent > 0 {
            write!(formatter, "; {} were not measured now", self.absent)?;
        }
        writeln!(formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::super::document::tests::document;
    use super::*;

    const BEFORE: [(&str, f64, f64, u64); 4] = [
        ("reclaim-rmapscope-fentry", 990.0, 1010.0, 100),
        ("reclaim-rmapscope-kprobe", 1990.0, 2010.0, 100),
        ("reclaim-perf-kprobe", 3490.0, 3510.0, 100),
        ("fork-rmapscope-fentry", 490.0, 510.0, 100),
    ];

    fn compare(now: &[(&str, f64, f64, u64)]) -> Comparison {
        Comparison::of(&document(&BEFORE), &document(now), 10.0).unwrap()
    }

    #[test]
    fn what_lies_within_the_noise_does_not_differ() {
        let same = compare(&[("reclaim-rmapscope-fentry", 1020.0, 1040.0, 100)]);
        assert!(!same.is_worse());
        assert_eq!(
            same.to_string(),
            "1 compared, 0 differ by more than the noise, 0 of rmapscope by more than 10 %; 3 were not measured now\n"
        );
    }

    #[test]
    fn more_than_the_limit_is_worse_and_only_of_rmapscope() {
        let now = compare(&[
            ("reclaim-rmapscope-fentry", 1190.0, 1210.0, 100),
            // More than the noise, less than the limit.
            ("reclaim-rmapscope-kprobe", 2090.0, 2110.0, 100),
            ("reclaim-perf-kprobe", 6990.0, 7010.0, 100),
            ("fork-rmapscope-fentry", 290.0, 310.0, 100),
        ]);
        assert!(now.is_worse());
        assert_eq!(
            now.to_string(),
            "\
differs: 6.12-hmm fork-rmapscope-fentry: 500 before, 300 now (-40.0 %, noise ±40)
differs: 6.12-hmm reclaim-perf-kprobe: 3500 before, 7000 now (+100.0 %, noise ±40)
worse:   6.12-hmm reclaim-rmapscope-fentry: 1000 before, 1200 now (+20.0 %, noise ±40)
differs: 6.12-hmm reclaim-rmapscope-kprobe: 2000 before, 2100 now (+5.0 %, noise ±40)
4 compared, 4 differ by more than the noise, 1 of rmapscope by more than 10 %
"
        );
    }

    #[test]
    fn passes_that_agree_by_chance_have_the_usual_noise() {
        let mut rows = BEFORE;
        (rows[0].1, rows[0].2) = (1000.0, 1000.0);
        let before = document(&rows);
        (rows[0].1, rows[0].2) = (1015.0, 1015.0);
        let same = Comparison::of(&before, &document(&rows), 1.0).unwrap();
        assert!(same.lines.is_empty(), "{same}");
    }

    #[test]
    fn lost_events_and_figures_are_worse() {
        let lossy = compare(&[("reclaim-rmapscope-fentry", 990.0, 1010.0, 99)]);
        assert!(lossy.is_worse() && lossy.to_string().contains("99 of 100 events"), "{lossy}");
        let mut now = document(&BEFORE);
        let rows = &mut now.kernels.get_mut("6.12-hmm").unwrap().subjects;
        rows.insert("reclaim-rmapscope-fentry".into(), Row::Skipped("status 1: no".into()));
        let gone = Comparison::of(&document(&BEFORE), &now, 10.0).unwrap();
        assert!(gone.is_worse() && gone.to_string().contains("now skipped: status 1: no"), "{gone}");
    }

    #[test]
    fn nothing_to_compare_is_an_error() {
        let error = |now: &Document| Comparison::of(&document(&BEFORE), now, 10.0).unwrap_err().to_string();
        assert!(error(&Document::new()).contains("none of these"));
        assert!(error(&document(&[("reclaim-other", 1.0, 2.0, 100)])).contains("none of these"));
        let mut once = document(&BEFORE);
        once.kernels.get_mut("6.12-hmm").unwrap().inputs["passes"] = 1.into();
        assert!(error(&once).contains("noise"));
    }
}
