//! Events over time, a line each.

use super::bars::{resampled, spark};
use super::layout::Page;
use super::{NO_EVENT, Shown, units};
use crate::event::total;
use crate::report::model::{Interval, Report};

/// Events that get a line: those with the most.
const LINES: usize = 8;
/// Characters for the largest number behind a line.
const LARGEST: usize = 8;

/// What a line shows.
struct Series {
    name: &'static str,
    values: Vec<u64>,
    /// How neighbours become one character.
    together: fn(u64, u64) -> u64,
    show: fn(u64) -> String,
}

/// A line for the events with the most, then for what was in place, then for what is missing.
pub fn write(report: &Report, page: &mut Page) -> Shown {
    let timeline = &report.timeline;
    if timeline.intervals.len() < 2 {
        return if report.total.count == 0 { NO_EVENT } else { Shown::Nothing };
    }
    let values = |of: &dyn Fn(&Interval) -> u64| timeline.intervals.iter().map(of).collect::<Vec<u64>>();
    let mut events: Vec<Series> = timeline
        .events
        .iter()
        .enumerate()
        .map(|(index, name)| Series {
            name,
            values: values(&|interval| interval.counts.get(index).copied().unwrap_or(0)),
            together: u64::saturating_add,
            show: |value| value.to_string(),
        })
        .collect();
    events.sort_by_key(|series| std::cmp::Reverse(total(&series.values)));
    let more = events.len().saturating_sub(LINES);
    events.truncate(LINES);
    let count: fn(u64) -> String = |value| value.to_string();
    let place = |name, values, show| Series { name, values, together: u64::max, show };
    let mut others = vec![
        place("pages exclusive", values(&|interval| interval.exclusive), count),
        place("migration entries", values(&|interval| interval.migration_entries), count),
        place("bounced", values(&|interval| interval.bounced), units::bytes),
    ];
    let lost = values(&|interval| interval.lost);
    others.push(Series { name: "events missing", values: lost, together: u64::saturating_add, show: count });
    others.retain(|series| series.values.iter().any(|value| *value > 0));
    let shown: Vec<&Series> = events.iter().chain(&others).collect();
    let name_width = shown.iter().map(|series| series.name.len()).max().unwrap_or(0);
    let width = page.layout.width.saturating_sub(2 + name_width + 2 + 2 + LARGEST).max(8);
    let step = timeline.interval.saturating_mul(timeline.intervals.len().div_ceil(width) as u64);
    let steps = page.time(step);
    page.heading("Timeline", &format!("each column is {steps}; the peak is at the end of the row"));
    for Series { name, values, together, show } in shown {
        let values = resampled(values, width, *together);
        let (spark, length) = (spark(&values, page.layout.unicode), values.len());
        let most = show(values.iter().copied().max().unwrap_or(0));
        page.line(1, &format!("{name:<name_width$}  {spark:<length$}  {most}"));
    }
    if more > 0 {
        page.plain(1, &format!("and {more} more with fewer events"));
    }
    Shown::Yes
}
