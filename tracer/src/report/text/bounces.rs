//! Bounce buffers, by device and pool.

use super::bars::{resampled, spark};
use super::distributions::quantiles;
use super::layout::{BAD, HEADING, Page};
use super::{Shown, counted, units};
use crate::check::formats::words::plain;
use crate::report::model::{Bounce, Report};

/// A paragraph for each device and pool.
pub fn write(report: &Report, page: &mut Page) -> Shown {
    if report.swiotlb.is_empty() {
        return Shown::Empty("no such event");
    }
    page.heading("Bounce buffers", "");
    for bounce in &report.swiotlb {
        device(bounce, page);
    }
    Shown::Yes
}

fn device(bounce: &Bounce, page: &mut Page) {
    let mut pool = format!("pool {:#x}", bounce.pool);
    if let Some(size) = bounce.pool_size {
        pool = format!("{} {pool}", units::bytes(size));
    }
    if let Some(start) = bounce.pool_start {
        pool += &format!(" at {start:#x}");
    }
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
    if let Some(size) = bounce.pool_size.filter(|size| *size > 0) {
        line += &format!(", {} of the pool", units::share(bounce.peak_slots << SLOT_SHIFT, size));
    }
    page.plain(2, &line);
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
    let levels: Vec<u64> = bounce.levels.iter().map(|level| level.bytes).collect();
    if levels.len() > 1 {
        let width = page.layout.width.saturating_sub(4 + 10);
        let levels = spark(&resampled(&levels, width, u64::max), page.layout.unicode);
        page.line(2, &format!("mapped    {levels}"));
    }
}

/// A slot has 2 KiB: `IO_TLB_SHIFT` (6.12 include/linux/swiotlb.h).
const SLOT_SHIFT: u32 = 11;
