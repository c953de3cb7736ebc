//! The tables, one a work.

use std::fmt::{self, Display, Formatter};

use super::figures::{Cost, Figures, Finding, Measurement, Spread};
use super::subject::Subject;

/// Largest bytes on disk an event that rmapscope may need.
const BYTES_TARGET: f64 = 8.0;

/// Figures as aligned tables.
pub struct Tables<'a>(pub &'a Figures);

impl Display for Tables<'_> {
    fn fmt(&self, formatter: &mut Formatter) -> fmt::Result {
        for plain in &self.0.plain {
            let work = plain.work;
            writeln!(formatter, "{work}: {}. An event is a call of {}.", work.what, work.function)?;
            writeln!(
                formatter,
                "Guest instructions an event. No tracer: {:.0} ±{:.0} (of it in the system calls {:.0} ±{:.0}).",
                plain.time.mean,
                half(plain.time),
                plain.calls.mean,
                half(plain.calls)
            )?;
            writeln!(formatter)?;
            let rows: Vec<_> = self.0.subjects.iter().filter(|row| row.subject.work == work).collect();
            table(formatter, &rows)?;
            writeln!(formatter)?;
        }
        Ok(())
    }
}

fn table(formatter: &mut Formatter, rows: &[&Measurement]) -> fmt::Result {
    let width = rows.iter().map(|row| row.subject.way.name.len()).max().unwrap_or_default();
    let asked = rows.iter().map(|row| row.subject.way.what.len()).max().unwrap_or_default();
    writeln!(
        formatter,
        "{:asked$}  {:width$} {:>7} {:>5} {:>7} {:>7} {:>6}  {:<15}  {:<17}  events",
        "asked for", "measured", "all", "±", "during", "reader", "after", "to reach", "bytes an event"
    )?;
    for Measurement { subject, finding } in rows {
        write!(formatter, "{:asked$}  {:width$} ", subject.way.what, subject.way.name)?;
        match finding {
            Finding::Measured(cost) => row(formatter, subject, cost)?,
            Finding::Skipped(reason) => writeln!(formatter, "skipped: {reason}")?,
        }
    }
    Ok(())
}

fn row(formatter: &mut Formatter, subject: &Subject, cost: &Cost) -> fmt::Result {
    let target = subject.target().map_or(String::new(), |target| verdict(cost.total.mean, target));
    let bytes = cost.bytes_per_event.map_or(String::new(), |bytes| {
        if subject.is_ours() {
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
        // Of others: who watches the whole system cannot tell them apart in a histogram.
        Some(seen) if seen > cost.expected => format!("all, {} of others", seen - cost.expected),
        Some(seen) => format!("{seen} of {}", cost.expected),
    }
}

#[cfg(test)]
mod tests {
    use super::super::figures::Plain;
    use super::super::work::WORKS;
    use super::*;

    fn spread(mean: f64) -> Spread {
        Spread { least: mean - 2.0, mean, most: mean + 2.0 }
    }

    fn measured(name: &str, finding: Finding) -> Measurement {
        let subject = Subject::all().into_iter().find(|subject| subject.name() == name).expect("a subject");
        Measurement { subject, finding }
    }

    #[test]
    fn missed_targets_and_lost_events_are_said() {
        let cost = Cost {
            total: spread(1109.0),
            during: spread(888.0),
            calls: spread(820.0),
            reader: spread(283.0),
            after: spread(221.0),
            bytes_per_event: Some(2.0),
            seen: Some(24_570),
            expected: 24_576,
            start: spread(7e5),
            end: spread(2e4),
        };
        let more = Cost { seen: Some(24_578), ..cost.clone() };
        let plain = Plain { work: &WORKS[0], time: spread(16_586.0), calls: spread(11_681.0) };
        let figures = Figures {
            plain: vec![plain, Plain { work: &WORKS[1], ..plain }],
            subjects: vec![
                measured("reclaim-rmapscope-fentry", Finding::Measured(Box::new(cost))),
                measured("reclaim-perf-kprobe", Finding::Skipped("perf is not installed".into())),
                // The targets are for reclaim.
                measured("fork-rmapscope-fentry", Finding::Measured(Box::new(more))),
            ],
        };
        let expected = "\
reclaim: anonymous pages are touched and paged out to zram by madvise(MADV_PAGEOUT). An event is a call of try_to_unmap.
Guest instructions an event. No tracer: 16586 ±2 (of it in the system calls 11681 ±2).

asked for              measured             all     ±  during  reader  after  to reach         bytes an event     events
every event to a file  rmapscope-fentry    1109     2     888     283    221  <=400 missed     2.0, <=8 reached   24570 of 24576
every event to a file  perf-kprobe      skipped: perf is not installed

fork: a process of many mappings forks, and the child exits. An event is a call of copy_page_range.
Guest instructions an event. No tracer: 16586 ±2 (of it in the system calls 11681 ±2).

asked for              measured             all     ±  during  reader  after  to reach         bytes an event     events
every event to a file  rmapscope-fentry    1109     2     888     283    221                   2.0, <=8 reached   all, 2 of others

";
        assert_eq!(Tables(&figures).to_string(), expected);
    }
}
