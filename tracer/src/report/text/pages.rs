//! Hot pages, and pages that go back and forth.

use super::grid::{Column, Grid};
use super::layout::Page;
use super::{Shown, process};
use crate::report::model::{HotPage, Report, Top};

/// Both tables.
pub fn write(report: &Report, page: &mut Page) -> Shown {
    let pages = &report.pages;
    if pages.hot.entries.is_empty() {
        return Shown::Empty("no event has a page");
    }
    page.heading("Hot pages", &of(&pages.hot, "events"));
    let mut grid = Grid::new([
        Column::name("pfn"),
        Column::number("events"),
        Column::optional("over", 1),
        Column::name("last by"),
        Column::optional("address", 2),
        Column::rest("which"),
    ]);
    for hot in &pages.hot.entries {
        grid.row([
            format!("{:#x}", hot.pfn),
            hot.count.to_string(),
            page.time(hot.last.saturating_sub(hot.first)),
            process(&hot.comm, hot.pid),
            address(hot),
            which(hot),
        ]);
    }
    page.grid(1, grid);
    if !pages.ping_pong.entries.is_empty() {
        page.heading("Pages that go back and forth", &of(&pages.ping_pong, "returns"));
        let mut grid = Grid::new([
            Column::name("pfn"),
            Column::optional("exclusive again", 5),
            Column::optional("migrated again", 4),
            Column::number("events"),
            Column::optional("over", 3),
            Column::name("last by"),
            Column::optional("address", 2),
        ]);
        let unless_zero = |value: u64| if value == 0 { String::new() } else { value.to_string() };
        for hot in &pages.ping_pong.entries {
            grid.row([
                format!("{:#x}", hot.pfn),
                unless_zero(hot.exclusive_returns),
                unless_zero(hot.migration_returns),
                hot.count.to_string(),
                page.time(hot.last.saturating_sub(hot.first)),
                process(&hot.comm, hot.pid),
                address(hot),
            ]);
        }
        page.grid(1, grid);
    }
    page.plain(1, "`report --page PFN` shows the history of one page");
    Shown::Yes
}

fn address(hot: &HotPage) -> String {
    hot.address.map_or_else(String::new, |address| format!("{address:#x}"))
}

fn which(hot: &HotPage) -> String {
    let parts: Vec<String> = hot.events.iter().map(|(name, count)| format!("{name} {count}")).collect();
    parts.join(", ")
}

/// How many there are of what is shown, which has the most of `what`, and how exact its counts are.
pub fn of<T>(top: &Top<T>, what: &str) -> String {
    let shown = top.entries.len() as u64;
    let least = if top.exact { "" } else { "at least " };
    let mut remark = match top.distinct {
        distinct if distinct <= shown => String::new(),
        distinct => format!("the {shown} of {least}{distinct} with the most {what}"),
    };
    if !top.exact {
        let separator = if remark.is_empty() { "" } else { "; " };
        remark += &format!("{separator}counts may be too high by {}", top.error);
    }
    remark
}
