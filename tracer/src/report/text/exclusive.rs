//! How long pages were device-exclusive.

use super::distributions::{bars, has_bars};
use super::grid::{Column, Grid};
use super::layout::Page;
use super::tables::quantile;
use super::{NO_EVENT, Shown, counted};
use crate::report::model::{Ended, Report};

/// Residency by what ended it.
pub fn write(report: &Report, page: &mut Page) -> Shown {
    let exclusive = &report.exclusive;
    if exclusive.made == 0 && exclusive.ends.is_empty() && exclusive.unseen_beginnings == 0 {
        return NO_EVENT;
    }
    let mut remark =
        format!("{} made exclusive, at most {} at once", counted(exclusive.made, "page"), exclusive.peak);
    if exclusive.unseen_beginnings > 0 {
        remark += &format!("; {} whose start was not seen", exclusive.unseen_beginnings);
    }
    page.heading("Device-exclusive residency", &remark);
    let mut grid = Grid::new([
        Column::name("ended by"),
        Column::number("pages"),
        Column::optional("min", 1),
        Column::optional("p50", 4),
        Column::optional("p99", 3),
        Column::optional("max", 2),
    ]);
    for end in &exclusive.ends {
        let residency = end.residency.as_ref();
        let time = |value: Option<u64>| value.map_or_else(String::new, |value| page.time(value));
        let part = |part| time(residency.and_then(|residency| quantile(&residency.quantiles, part)));
        grid.row([
            end.ended.name().to_owned(),
            end.count.to_string(),
            time(residency.map(|residency| residency.min)),
            part(0.5),
            part(0.99),
            time(residency.map(|residency| residency.max)),
        ]);
    }
    page.grid(1, grid);
    // How long until a CPU took it back; of the other ends the table says enough.
    let taken_back = exclusive.ends.iter().find(|end| end.ended == Ended::Fault);
    if let Some(residency) = taken_back.and_then(|end| end.residency.as_ref())
        && has_bars(residency)
    {
        page.plain(1, "until a CPU accessed it:");
        bars(residency, 2, page);
    }
    Shown::Yes
}
