//! Histograms with borders at powers of two.

use super::bars::bar;
use super::layout::{HEADING, Page};
use super::tables::quantile;
use super::{Shown, counted, units};
use crate::report::model::{Distribution, Report, Unit};

/// Most characters of a bar, however wide the terminal is.
const BAR: usize = 60;

/// Time in each function.
pub fn latencies(report: &Report, page: &mut Page) -> Shown {
    if report.latencies.is_empty() {
        return Shown::Empty("no call was measured: record with -l");
    }
    page.heading("Latency", "time in each function, its callees included");
    each(&report.latencies, page);
    Shown::Yes
}

/// VMAs visited by each walk.
pub fn walks(report: &Report, page: &mut Page) -> Shown {
    if report.walks.is_empty() {
        return Shown::Empty("no visit was recorded: record with --per-vma");
    }
    page.heading("Reverse-map walks", "VMAs visited by each");
    each(&report.walks, page);
    Shown::Yes
}

fn each(distributions: &[Distribution], page: &mut Page) {
    for (index, distribution) in distributions.iter().enumerate() {
        if index > 0 {
            page.line(0, "");
        }
        histogram(distribution, page);
    }
}

/// Quantiles and extremes in a line: `p50 4.10 µs, p99 31.0 µs, max 102 µs`.
pub fn quantiles(distribution: &Distribution, page: &Page) -> String {
    let show = |value| units::value(value, distribution.unit, page.layout.unicode);
    let mut parts = Vec::new();
    for (name, part, least) in [("p50", 0.5, 2), ("p90", 0.9, 10), ("p99", 0.99, 100), ("p99.9", 0.999, 1000)]
    {
        // Of few values the quantile is one of the largest and tells nothing more.
        if distribution.count >= least
            && let Some(value) = quantile(&distribution.quantiles, part)
        {
            parts.push(format!("{name} {}", show(value)));
        }
    }
    parts.push(format!("max {}", show(distribution.max)));
    parts.join(", ")
}

fn histogram(distribution: &Distribution, page: &mut Page) {
    let noun = if distribution.unit == Unit::Vmas { "walk" } else { "call" };
    let sum = units::value(distribution.sum, distribution.unit, page.layout.unicode);
    let sum = if distribution.unit == Unit::Vmas { counted(distribution.sum, "VMA") } else { sum };
    let count = counted(distribution.count, noun);
    page.prose(
        HEADING,
        1,
        &format!("{}: {count}, {sum}; {}", distribution.event, quantiles(distribution, page)),
    );
    bars(distribution, 2, page);
}

/// The bars alone; none where all values fall into one.
pub fn bars(distribution: &Distribution, depth: usize, page: &mut Page) {
    if distribution.buckets.len() < 2 {
        return;
    }
    let unicode = page.layout.unicode;
    let show = |value| units::value(value, distribution.unit, unicode);
    let rows: Vec<(String, String, u64)> = distribution
        .buckets
        .iter()
        .map(|bucket| {
            // What is counted is told to the last number, what is measured up to the next border.
            let to = match distribution.unit {
                Unit::Vmas if bucket.from == bucket.to => String::new(),
                Unit::Vmas => show(bucket.to),
                Unit::Nanoseconds | Unit::Bytes => show(bucket.to.saturating_add(1)),
            };
            (show(bucket.from), to, bucket.count)
        })
        .collect();
    let width = |texts: &mut dyn Iterator<Item = usize>| texts.max().unwrap_or(0);
    let from_width = width(&mut rows.iter().map(|row| row.0.chars().count()));
    let to_width = width(&mut rows.iter().map(|row| row.1.chars().count()));
    let count_width = width(&mut rows.iter().map(|row| row.2.to_string().len()));
    let most = distribution.buckets.iter().map(|bucket| bucket.count).max().unwrap_or(0);
    let before = 2 * depth + from_width + 3 + to_width + 2 + count_width + 2;
    let length = page.layout.width.saturating_sub(before).clamp(8, BAR);
    let dash = if unicode { "–" } else { "-" };
    for (from, to, count) in rows {
        let bar = bar(count, most, length, unicode);
        let dash = if to.is_empty() { " " } else { dash };
        let line = format!("{from:>from_width$} {dash} {to:>to_width$}  {count:>count_width$}  {bar}");
        page.line(depth, line.trim_end());
    }
}
