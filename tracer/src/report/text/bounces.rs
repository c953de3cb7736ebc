//! Bounce buffers, by device and pool.

use super::bars::{resampled, spark};
use super::distributions::quantiles;
use super::layout::{BAD, HEADING, Page};
use super::{Shown, counted, units};
use crate::check::formats::words::plain;
use crate::report::model::{Bounce, Pool, PoolLevel, Report};

/// A paragraph for each device and pool.
pub fn write(report: &Report, page: &mut Page) -> Shown {
    if report.swiotlb.is_empty() {
        return Shown::Empty("no such event");
    }
    page.heading("Bounce buffers", "");
    for bounce in &report.swiotlb {
        device(bounce, page);
    }
    // What a device alone used is said above.
    for one in report.pools.iter().filter(|one| one.devices.len() > 1 || one.counted_slots.is_some()) {
        pool(one, page);
    }
    Shown::Yes
}

/// Address, place and size of a pool.
fn named(pool: u64, start: Option<u64>, size: Option<u64>) -> String {
    let mut name = format!("pool {pool:#x}");
    if let Some(size) = size {
        name = format!("{} {name}", units::bytes(size));
    }
    if let Some(start) = start {
        name += &format!(" at {start:#x}");
    }
    name
}

/// The share of a pool that slots are.
fn share(slots: u64, size: Option<u64>) -> String {
    size.filter(|size| *size > 0)
        .map(|size| format!(", {} of the pool", units::share(slots << SLOT_SHIFT, size)))
        .unwrap_or_default()
}

fn levels(name: &str, levels: &[PoolLevel], page: &mut Page) {
    let levels: Vec<u64> = levels.iter().map(|level| level.bytes).collect();
    if levels.len() > 1 {
        let width = page.layout.width.saturating_sub(4 + 10);
        let levels = spark(&resampled(&levels, width, u64::max), page.layout.unicode);
        page.line(2, &format!("{name:<10}{levels}"));
    }
}

/// All devices of a pool together.
fn pool(pool: &Pool, page: &mut Page) {
    let name = named(pool.pool, pool.pool_start, pool.pool_size);
    let devices: Vec<String> = pool.devices.iter().map(|device| plain(device)).collect();
    page.prose(HEADING, 1, &format!("the {name} in all, of {}", devices.join(", ")));
    page.plain(
        2,
        &format!(
            "at most {} in {} at once{}",
            units::bytes(pool.peak_bytes),
            counted(pool.peak_slots, "slot"),
            share(pool.peak_slots, pool.pool_size)
        ),
    );
    if let Some(slots) = pool.counted_slots {
        let share = share(slots, pool.pool_size);
        let line =
            format!("the kernel counted {} in use when a mapping failed{share}", counted(slots, "slot"));
        page.prose(BAD, 2, &line);
    }
    levels("in use", &pool.levels, page);
}

fn device(bounce: &Bounce, page: &mut Page) {
    let pool = named(bounce.pool, bounce.pool_start, bounce.pool_size);
    let forced = if bounce.forced { ", every mapping must bounce" } else { "" };
    page.prose(HEADING, 1, &format!("{} through the {pool}{forced}", plain(&bounce.device)));
    let mut line = format!(
        "{}, {} in {}",
        counted(bounce.mappings, "mapping"),
        units::bytes(bounce.bytes),
        counted(bounce.slots, "slot")
    );
    line += &format!(
        "; at most {} in {} at once",
        units::bytes(bounce.peak_bytes),
        counted(bounce.peak_slots, "slot")
    );
    line += &share(bounce.peak_slots, bounce.pool_size);
    page.plain(2, &line);
    if let Some(coherent) = &bounce.coherent {
        let mut line = format!(
            "coherent memory: {}, {} in {}",
            counted(coherent.allocations, "allocation"),
            units::bytes(coherent.bytes),
            counted(coherent.slots, "slot")
        );
        if coherent.open_bytes > 0 {
            line += &format!("; {} held at the end", units::bytes(coherent.open_bytes));
        }
        page.plain(2, &line);
        if coherent.failed > 0 {
            page.prose(
                BAD,
                2,
                &format!("failed: {} of coherent memory", counted(coherent.failed, "allocation")),
            );
        }
    }
    let mut rest = Vec::new();
    if bounce.time > 0 {
        rest.push(format!("{} in mapping calls", page.time(bounce.time)));
    }
    if bounce.synced > 0 {
        rest.push(format!("{} copied by syncs", units::bytes(bounce.synced)));
    }
    if bounce.open > 0 {
        rest.push(format!(
            "{} with {} open at the end",
            counted(bounce.open, "mapping"),
            units::bytes(bounce.open_bytes)
        ));
    }
    if !rest.is_empty() {
        page.plain(2, &rest.join("; "));
    }
    for failure in &bounce.failures {
        let times = counted(failure.count, "mapping");
        let largest = units::bytes(failure.largest);
        page.prose(BAD, 2, &format!("failed: {times}, {}, the largest of {largest}", failure.cause));
    }
    if let Some(sizes) = &bounce.sizes {
        page.plain(2, &format!("size      {}", quantiles(sizes, page)));
    }
    if let Some(lifetimes) = &bounce.lifetimes {
        page.plain(2, &format!("lifetime  {}", quantiles(lifetimes, page)));
    }
    levels("mapped", &bounce.levels, page);
}

/// A slot has 2 KiB: `IO_TLB_SHIFT` (6.12 include/linux/swiotlb.h).
const SLOT_SHIFT: u32 = 11;
