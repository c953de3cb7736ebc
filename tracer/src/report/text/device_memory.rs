//! What moved to devices and back and there again, and what drivers asked of ranges.

use tracer_common::event::Kind;

use super::grid::{Column, Grid};
use super::layout::{HEADING, Page};
use super::stacks::callers;
use super::{NO_EVENT, Shown, process};
use crate::report::model::{Actor, DeviceMemory, PingPongs, Report};

/// What the stacks are of.
const EVENT: &str = Kind::MigrateVmaFinalize.name();

/// Migrations, then faults of ranges, then what went there again.
pub fn write(report: &Report, page: &mut Page) -> Shown {
    let memory = &report.device_memory;
    let taken = memory.taken_back.words();
    let has_rows = !memory.migrated.entries.is_empty()
        || !memory.refused.entries.is_empty()
        || !memory.range_faults.entries.is_empty();
    if !has_rows && taken.is_empty() {
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
    refused(memory, page);
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
    ping_pong(&memory.ping_pong, page);
    Shown::Yes
}

fn refused(memory: &DeviceMemory, page: &mut Page) {
    if memory.refused.entries.is_empty() {
        return;
    }
    let mut grid = Grid::new([
        Column::name("process"),
        Column::optional("address space", 2),
        Column::optional("device", 3),
        Column::name("way"),
        Column::name("not migrated"),
        Column::name("step"),
        Column::number("pages"),
    ]);
    for refused in &memory.refused.entries {
        let [who, mm, owner] = names(&refused.actor);
        grid.row([
            who,
            mm,
            owner,
            refused.way.name().to_owned(),
            refused.why().to_owned(),
            refused.step.name().to_owned(),
            refused.pages.to_string(),
        ]);
    }
    page.grid(1, grid);
}

fn ping_pong(ping_pong: &PingPongs, page: &mut Page) {
    if *ping_pong == PingPongs::default() {
        return;
    }
    page.heading("Addresses that return to a device", &ping_pong.words());
    let mut grid = Grid::new([
        Column::name("process"),
        Column::optional("address space", 1),
        Column::optional("device", 2),
        Column::name("from"),
        Column::number("pages"),
        Column::number("again"),
        Column::optional("most of a page", 3),
        Column::number("mean time there"),
    ]);
    for range in &ping_pong.entries {
        let [who, mm, owner] = names(&range.actor);
        grid.row([
            who,
            mm,
            owner,
            format!("{:#x}", range.start),
            range.pages.to_string(),
            range.returns.to_string(),
            range.most.to_string(),
            range.mean().map_or_else(|| "?".to_owned(), |mean| page.time(mean)),
        ]);
    }
    page.grid(1, grid);
    for range in &ping_pong.entries {
        for (frames, way) in [(&range.to_device, "to the device"), (&range.back, "back")] {
            if !frames.is_empty() {
                page.prose(HEADING, 1, &format!("{} {way}:", range.addresses()));
                callers(EVENT, frames, page);
            }
        }
    }
}

fn names(actor: &Actor) -> [String; 3] {
    [process(&actor.comm, actor.pid), actor.space(), actor.device()]
}

fn unless_zero(value: u64) -> String {
    if value == 0 { String::new() } else { value.to_string() }
}
