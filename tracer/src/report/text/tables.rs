//! Tables of events by keys.

use super::grid::{Column, Grid};
use super::layout::Page;
use super::{NO_EVENT, Shown, duration, units};
use crate::check::formats::words::plain;
use crate::event::{Weight, Weights};
use crate::report::model::{Group, Key, Quantile, Report, Row, Table};

/// The table that `--by` asked for.
pub fn by(report: &Report, sort: Weight, page: &mut Page) -> Shown {
    let Some(table) = &report.by else { return Shown::Nothing };
    let keys: Vec<&str> = table.keys.iter().map(|key| key.name()).collect();
    write(report, table, &format!("By {}", keys.join(" and ")), sort, page)
}

/// By event.
pub fn events(report: &Report, sort: Weight, page: &mut Page) -> Shown {
    write(report, &report.events, "Events", sort, page)
}

/// By process.
pub fn processes(report: &Report, sort: Weight, page: &mut Page) -> Shown {
    write(report, &report.processes, "Processes", sort, page)
}

/// By device.
pub fn devices(report: &Report, sort: Weight, page: &mut Page) -> Shown {
    // Events of other families have no device: a table of nothing else tells nothing.
    if report.devices.rows.iter().all(|row| row.group == [Group::None]) {
        return Shown::Empty("only swiotlb events have a device");
    }
    write(report, &report.devices, "Devices", sort, page)
}

/// The value that a part of all values does not exceed.
pub fn quantile(quantiles: &[Quantile], part: f64) -> Option<u64> {
    quantiles.iter().find(|quantile| quantile.quantile == part).map(|quantile| quantile.value)
}

fn write(report: &Report, table: &Table, title: &str, sort: Weight, page: &mut Page) -> Shown {
    if table.rows.is_empty() {
        return NO_EVENT;
    }
    let cut = table.distinct.saturating_sub(table.rows.len() as u64);
    let remark = match (cut, sort) {
        (0, Weight::Count) => String::new(),
        (0, sort) => format!("by {}", sort.name()),
        (_, sort) => format!("the {} of {} with the most {}", table.rows.len(), table.distinct, most(sort)),
    };
    page.heading(title, &remark);
    let mut columns: Vec<Column> = table
        .keys
        .iter()
        .map(|key| match key {
            Key::Pid | Key::Tid | Key::Cpu => Column::number(key.name()),
            _ => Column::name(key.name()),
        })
        .collect();
    // Whatever the table is sorted by is worth most.
    let worth = |weight, worth| if weight == sort { u8::MAX } else { worth };
    columns.extend([
        Column::number("count"),
        Column::optional("share", 2),
        Column::optional("per s", 5),
        Column::optional("time", worth(Weight::Time, 9)),
        Column::optional("p50", 7),
        Column::optional("p99", 8),
        Column::optional("max", 6),
        Column::optional("pages", worth(Weight::Pages, 4)),
        Column::optional("bytes", worth(Weight::Bytes, 3)),
    ]);
    let mut grid = Grid::new(columns);
    for row in &table.rows {
        let mut cells: Vec<String> = row.group.iter().map(group).collect();
        cells.extend(numbers(report, &row.weights, Some(row), page));
        grid.row(cells);
    }
    if table.rest.count > 0 {
        let mut cells = vec![String::new(); table.keys.len()];
        cells[0] = format!("{cut} others");
        cells.extend(numbers(report, &table.rest, None, page));
        grid.row(cells);
    }
    page.grid(1, grid);
    Shown::Yes
}

/// What the first lines have most of.
pub const fn most(sort: Weight) -> &'static str {
    match sort {
        Weight::Count => "events",
        Weight::Time => "time",
        Weight::Pages => "pages",
        Weight::Bytes => "bytes",
    }
}

fn group(group: &Group) -> String {
    match group {
        Group::Number(number) => number.to_string(),
        Group::Name(name) => plain(name),
        Group::None => "-".to_owned(),
    }
}

/// The cells behind the keys; empty where there is nothing to tell.
fn numbers(report: &Report, weights: &Weights, row: Option<&Row>, page: &Page) -> Vec<String> {
    let unless_zero = |value: u64, text: String| if value == 0 { String::new() } else { text };
    let quantiles = row.map_or(&[][..], |row| &row.quantiles);
    let time = |value: Option<u64>| value.map_or_else(String::new, |value| page.time(value));
    vec![
        weights.count.to_string(),
        units::share(weights.count, report.total.count),
        units::rate(weights.count, duration(report)),
        unless_zero(weights.time, page.time(weights.time)),
        time(quantile(quantiles, 0.5)),
        time(quantile(quantiles, 0.99)),
        time(row.filter(|row| row.measured > 0).map(|row| row.max)),
        unless_zero(weights.pages, weights.pages.to_string()),
        unless_zero(weights.bytes, units::bytes(weights.bytes)),
    ]
}
