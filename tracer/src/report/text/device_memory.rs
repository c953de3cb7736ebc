//! What moved to devices and back, and what drivers asked of ranges.

use super::grid::{Column, Grid};
use super::layout::Page;
use super::{NO_EVENT, Shown, process};
use crate::report::model::{Actor, Report};

/// Migrations, then faults of ranges.
pub fn write(report: &Report, page: &mut Page) -> Shown {
    let memory = &report.device_memory;
    let taken = memory.taken_back.words();
    if memory.migrated.entries.is_empty() && memory.range_faults.entries.is_empty() && taken.is_empty() {
        return NO_EVENT;
    }
    page.heading("Device memory", &taken);
    let mut grid = Grid::new([
        Column::name("process"),
        Column::optional("address space", 2),
        Column::optional("device", 3),
        Column::name("way"),
        Column::optional("migrations", 4),
        Column::optional("pages", 5),
        Column::number("moved"),
        Column::number("refused"),
        Column::optional("passed over", 6),
        Column::number("unknown"),
    ]);
    for moves in &memory.migrated.entries {
        let [who, mm, owner] = names(&moves.actor);
        grid.row([
            who,
            mm,
            owner,
            moves.way.name().to_owned(),
            moves.migrations.to_string(),
            moves.pages.to_string(),
            moves.moved.to_string(),
            unless_zero(moves.refused),
            unless_zero(moves.passed_over),
            unless_zero(moves.unknown),
        ]);
    }
    page.grid(1, grid);
    let mut grid = Grid::new([
        Column::name("process"),
        Column::optional("address space", 2),
        Column::optional("device", 3),
        Column::number("range faults"),
        Column::optional("pages", 4),
        Column::number("-EBUSY"),
        Column::number("failed"),
    ]);
    for faults in &memory.range_faults.entries {
        let [who, mm, owner] = names(&faults.actor);
        grid.row([
            who,
            mm,
            owner,
            faults.calls.to_string(),
            faults.pages.to_string(),
            unless_zero(faults.busy),
            unless_zero(faults.failed),
        ]);
    }
    if !memory.range_faults.entries.is_empty() {
        page.grid(1, grid);
    }
    Shown::Yes
}

fn names(actor: &Actor) -> [String; 3] {
    [process(&actor.comm, actor.pid), actor.space(), actor.device()]
}

fn unless_zero(value: u64) -> String {
    if value == 0 { String::new() } else { value.to_string() }
}
