//! What fork cost.

use super::distributions::quantiles;
use super::grid::{Column, Grid};
use super::layout::Page;
use super::{NO_EVENT, Shown, counted, process};
use crate::report::model::{ForkCost, Report};

/// Costs by process.
pub fn write(report: &Report, page: &mut Page) -> Shown {
    let fork = &report.fork;
    if fork.processes.entries.is_empty() {
        return NO_EVENT;
    }
    let mut remark = format!("{} copied", counted(fork.forks, "address space"));
    if let Some(time) = &fork.time {
        let times = quantiles(time, page);
        remark += &format!("; each {}", times.strip_prefix("each").unwrap_or(&times).trim_start());
    }
    page.heading("Fork", &remark);
    let mut grid = Grid::new([
        Column::name("process"),
        Column::number("forks"),
        Column::optional("vmas", 2),
        Column::optional("pages", 5),
        Column::optional("time", 7),
        Column::optional("per page", 6),
        Column::optional("restored", 4),
        Column::optional("failed", 8),
    ]);
    let mut row = |name: String, cost: &ForkCost| {
        let unless_zero = |value: u64, text: String| if value == 0 { String::new() } else { text };
        let per_page = cost.time_per_page.filter(|_| cost.time > 0);
        grid.row([
            name,
            cost.forks.to_string(),
            cost.vmas.to_string(),
            cost.pages.to_string(),
            unless_zero(cost.time, page.time(cost.time)),
            // Below a microsecond a tenth of a nanosecond still tells processes apart.
            per_page.map_or_else(String::new, |time| match time {
                time if time < 1000.0 => format!("{time:.1} ns"),
                time => page.time(time.round() as u64),
            }),
            unless_zero(cost.restored, cost.restored.to_string()),
            unless_zero(cost.failed, cost.failed.to_string()),
        ]);
    };
    for cost in &fork.processes.entries {
        row(process(&cost.comm, cost.pid), cost);
    }
    if let Some(total) = &fork.total
        && fork.processes.distinct > 1
    {
        row("all".to_owned(), total);
    }
    page.grid(1, grid);
    page.plain(1, "pages: those that the copied VMAs span, an upper bound of the pages copied");
    Shown::Yes
}
