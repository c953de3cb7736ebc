//! The table.

use std::fmt::{self, Display, Formatter};

use super::figures::{Cost, Figures, Finding, Measurement, Spread};
use super::subject::Subject;

/// Largest bytes on disk an event that rmapscope may need.
const BYTES_TARGET: f64 = 8.0;

/// Figures as an aligned table.
pub struct Table<'a>(pub &'a Figures);

impl Display for Table<'_> {
    fn fmt(&self, formatter: &mut Formatter) -> fmt::Result {
        let baseline = self.0.baseline;
        writeln!(
            formatter,
            "Guest instructions a page. No tracer: {:.0} ±{:.0} (of it in madvise {:.0} ±{:.0}).",
            baseline.elapsed.mean,
            half(baseline.elapsed),
            baseline.advise.mean,
            half(baseline.advise)
        )?;
        writeln!(formatter)?;
        let rows = &self.0.subjects;
        let width = rows.iter().map(|row| row.subject.name.len()).max().unwrap_or_default();
        let asked = rows.iter().map(|row| row.subject.what.len()).max().unwrap_or_default();
        writeln!(
            formatter,
            "{:asked$}  {:width$} {:>7} {:>5} {:>7} {:>7} {:>6}  {:<15}  {:<17}  events",
            "asked for", "measured", "all", "±", "during", "reader", "after", "to reach", "bytes an event"
        )?;
        for Measurement { subject, finding } in rows {
            write!(formatter, "{:asked$}  {:width$} ", subject.what, subject.name)?;
            match finding {
                Finding::Measured(cost) => row(formatter, subject, cost)?,
                Finding::Skipped(reason) => writeln!(formatter, "skipped: {reason}")?,
            }
        }
        Ok(())
    }
}

fn row(formatter: &mut Formatter, subject: &Subject, cost: &Cost) -> fmt::Result {
    let target = subject.target.map_or(String::new(), |target| verdict(cost.total.mean, target));
    let bytes = cost.bytes_per_event.map_or(String::new(), |bytes| {
        if subject.words[0] == "rmapscope" {
            format!("{bytes:.1}, {}", verdict(bytes, BYTES_TARGET))
        } else {
            format!("{bytes:.1}")
        }
    });
    let line = format!(
        "{:>7.0} {:>5.0} {:>7.0} {:>7.0} {:>6.0}  {target:<15}  {bytes:<17}  {}",
        cost.total.mean,
        half(cost.total),
        cost.during.mean,
        cost.reader.mean,
        cost.after.mean,
        events(cost)
    );
    writeln!(formatter, "{}", line.trim_end())
}

/// Half of what lies between the passes.
fn half(spread: Spread) -> f64 {
    (spread.most - spread.least) / 2.0
}

fn verdict(value: f64, target: f64) -> String {
    let word = if value <= target { "reached" } else { "missed" };
    format!("<={target:.0} {word}")
}

fn events(cost: &Cost) -> String {
    match cost.seen {
        None => String::new(),
        Some(seen) if seen == cost.expected => "all".into(),
        Some(seen) => format!("{seen} of {}", cost.expected),
    }
}

#[cfg(test)]
mod tests {
    use super::super::figures::Baseline;
    use super::super::subject::SUBJECTS;
    use super::*;

    fn spread(mean: f64) -> Spread {
        Spread { least: mean - 2.0, mean, most: mean + 2.0 }
    }

    fn measured(name: &str, finding: Finding) -> Measurement {
        let subject = SUBJECTS.iter().find(|subject| subject.name == name).expect("a subject");
        Measurement { subject, finding }
    }

    #[test]
    fn missed_targets_and_lost_events_are_said() {
        let cost = Cost {
            total: spread(1109.0),
            during: spread(888.0),
            advise: spread(820.0),
            reader: spread(283.0),
            after: spread(221.0),
            bytes_per_event: Some(2.0),
            seen: Some(24_570),
            expected: 24_576,
            start: spread(7e5),
            end: spread(2e4),
        };
        let figures = Figures {
            baseline: Baseline { elapsed: spread(16_586.0), advise: spread(11_681.0) },
            subjects: vec![
                measured("rmapscope-fentry", Finding::Measured(Box::new(cost))),
                measured("perf-kprobe", Finding::Skipped("perf is not installed".into())),
            ],
        };
        let expected = "\
Guest instructions a page. No tracer: 16586 ±2 (of it in madvise 11681 ±2).

asked for              measured             all     ±  during  reader  after  to reach         bytes an event     events
every event to a file  rmapscope-fentry    1109     2     888     283    221  <=400 missed     2.0, <=8 reached   24570 of 24576
every event to a file  perf-kprobe      skipped: perf is not installed
";
        assert_eq!(Table(&figures).to_string(), expected);
    }
}
