//! Histograms with borders at powers of two.

use super::bars::bar;
use super::layout::{HEADING, NO_BREAK, Page};
use super::tables::quantile;
use super::{Shown, counted, units};
use crate::report::model::{Distribution, Report, Unit};

/// Most characters of a bar, however wide the terminal is.
const BAR: usize = 60;
/// Values that bars are drawn of at least.
const FEWEST: u64 = 10;
/// So many empty bars on end become one line.
const SKIPPED: usize = 3;

/// Time in each function.
pub fn latencies(report: &Report, page: &mut Page) -> Shown {
    if report.latencies.is_empty() {
        return Shown::Empty("no latencies recorded: record with -l");
    }
    page.heading("Latency", "time in each function, its callees included");
    each(&report.latencies, page);
    Shown::Yes
}

/// VMAs visited by each walk.
pub fn walks(report: &Report, page: &mut Page) -> Shown {
    if report.walks.is_empty() {
        return Shown::Empty("no visits recorded: record with --per-vma");
    }
    page.heading("Reverse-map walks", "VMAs visited by each");
    each(&report.walks, page);
    Shown::Yes
}

fn each(distributions: &[Distribution], page: &mut Page) {
    for (index, distribution) in distributions.iter().enumerate() {
        if index > 0 && has_bars(&distributions[index - 1]) {
            page.blank();
        }
        histogram(distribution, page);
    }
}

/// Quantiles and extremes in a line: `p50 4.10 µs, p99 31.0 µs, max 102 µs`.
pub fn quantiles(distribution: &Distribution, page: &Page) -> String {
    let show = |value| units::value(value, distribution.unit, page.layout.unicode);
    if distribution.min == distribution.max {
        return unbroken(&format!("each {}", show(distribution.max)));
    }
    let mut parts = Vec::new();
    for (name, part, least) in [("p50", 0.5, 2), ("p90", 0.9, 10), ("p99", 0.99, 100), ("p99.9", 0.999, 1000)]
    {
        // Of few values the quantile is one of the largest and tells nothing more.
        if distribution.count >= least
            && let Some(value) = quantile(&distribution.quantiles, part)
        {
            parts.push(unbroken(&format!("{name} {}", show(value))));
        }
    }
    parts.push(unbroken(&format!("max {}", show(distribution.max))));
    parts.join(", ")
}

/// Words that stay in one line.
fn unbroken(words: &str) -> String {
    words.replace(' ', &NO_BREAK.to_string())
}

fn histogram(distribution: &Distribution, page: &mut Page) {
    let (noun, sum) = match distribution.unit {
        Unit::Vmas => ("walk", counted(distribution.sum, "VMA")),
        unit => ("call", units::value(distribution.sum, unit, page.layout.unicode)),
    };
    let (count, sum) = (unbroken(&counted(distribution.count, noun)), unbroken(&sum));
    page.prose(
        HEADING,
        1,
        &format!("{}: {count}, {sum}; {}", distribution.event, quantiles(distribution, page)),
    );
    bars(distribution, 2, page);
}

/// Whether bars show anything: not of few values, nor when all of them are in one.
pub fn has_bars(distribution: &Distribution) -> bool {
    distribution.buckets.len() > 1 && distribution.count >= FEWEST
}

/// The bars alone, where they show anything.
pub fn bars(distribution: &Distribution, depth: usize, page: &mut Page) {
    if !has_bars(distribution) {
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
    let widest = |width: &dyn Fn(&(String, String, u64)) -> usize| rows.iter().map(width).max().unwrap_or(0);
    let from_width = widest(&|row| row.0.chars().count());
    let to_width = widest(&|row| row.1.chars().count());
    let count_width = widest(&|row| row.2.to_string().len());
    let most = distribution.buckets.iter().map(|bucket| bucket.count).max().unwrap_or(0);
    let before = 2 * depth + from_width + 3 + to_width + 2 + count_width + 2;
    let length = page.layout.width.saturating_sub(before).clamp(8, BAR);
    for run in rows.chunk_by(|before, after| before.2 == 0 && after.2 == 0) {
        if run.len() >= SKIPPED {
            let dots = page.ellipsis();
            page.line(depth, &format!("{dots:>from_width$}"));
            continue;
        }
        for (from, to, count) in run {
            let dash = match (to.is_empty(), unicode) {
                (true, _) => " ",
                (false, true) => "–",
                (false, false) => "-",
            };
            let bar = bar(*count, most, length, unicode);
            let line = format!("{from:>from_width$} {dash} {to:>to_width$}  {count:>count_width$}  {bar}");
            page.line(depth, line.trim_end());
        }
    }
}
