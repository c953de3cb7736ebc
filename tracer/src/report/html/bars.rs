//! Histograms.

use askama::Template;

use super::Block;
use crate::check::formats::lines::counted;
use crate::report::model::{Distribution, Quantile, Unit};
use crate::report::text::units;

/// A histogram that unfolds.
#[derive(Template)]
#[template(path = "report/bars.html")]
pub struct Bars {
    name: String,
    summary: String,
    rows: Vec<Bar>,
    is_open: bool,
}

struct Bar {
    range: String,
    count: u64,
    /// Of the longest bar.
    percent: String,
}

impl Bars {
    /// Of a distribution, under a name that is safe to print.
    pub fn block(name: &str, distribution: &Distribution, is_open: bool) -> Block {
        let most = distribution.buckets.iter().map(|bucket| bucket.count).max().unwrap_or(0).max(1);
        let show = |value| units::value(value, distribution.unit, true);
        let rows = distribution.buckets.iter().map(|bucket| Bar {
            range: match distribution.unit {
                Unit::Vmas if bucket.from == bucket.to => show(bucket.from),
                Unit::Vmas => format!("{} – {}", show(bucket.from), show(bucket.to)),
                _ => format!("{} – {}", show(bucket.from), show(bucket.to.saturating_add(1))),
            },
            count: bucket.count,
            percent: format!("{:.1}", bucket.count as f64 * 100.0 / most as f64),
        });
        Block::Bars(Self {
            name: name.to_owned(),
            summary: summary(distribution),
            rows: rows.collect(),
            is_open,
        })
    }
}

/// How many, and their quantiles, in a line.
fn summary(distribution: &Distribution) -> String {
    let show = |value| units::value(value, distribution.unit, true);
    let noun = if distribution.unit == Unit::Vmas { "walk" } else { "call" };
    let mut line = counted(distribution.count, noun);
    for (name, part) in [("p50", 0.5), ("p99", 0.99)] {
        if let Some(value) = quantile(&distribution.quantiles, part) {
            line += &format!(", {name} {}", show(value));
        }
    }
    line + &format!(", max {}", show(distribution.max))
}

/// The value that a part of all values does not exceed.
pub fn quantile(quantiles: &[Quantile], part: f64) -> Option<u64> {
    quantiles.iter().find(|quantile| quantile.quantile == part).map(|quantile| quantile.value)
}
