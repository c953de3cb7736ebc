//! Kernel stacks with the most events.

use super::layout::{DIM, HEADING, Page};
use super::tables::most;
use super::{Shown, counted, units};
use crate::check::formats::words::plain;
use crate::event::Weight;
use crate::report::model::Report;

/// The stacks, innermost frame first.
pub fn write(report: &Report, sort: Weight, page: &mut Page) -> Shown {
    let stacks = &report.stacks;
    if stacks.entries.is_empty() {
        return Shown::Empty("no stacks recorded: record with -g");
    }
    let remark = super::pages::of(stacks, most(sort));
    page.heading("Stacks", &remark);
    for stack in &stacks.entries {
        let mut title = format!(
            "{}: {}, {}",
            stack.event,
            counted(stack.weights.count, "event"),
            units::share(stack.weights.count, report.total.count)
        );
        if stack.weights.time > 0 {
            title += &format!(", {}", page.time(stack.weights.time));
        }
        page.prose(HEADING, 1, &title);
        if stack.frames.is_empty() {
            page.prose(DIM, 2, "(its stack could not be kept)");
        }
        callers(stack.event, &stack.frames, page);
    }
    Shown::Yes
}

/// The frames of an event's stack as far as the page has room.
pub fn callers(event: &str, frames: &[String], page: &mut Page) {
    // The probed function is mostly what the event is called.
    let own = usize::from(frames.first().is_some_and(|frame| frame == event));
    let frames = &frames[own..];
    // One frame more is no longer than the line that says so.
    let shown = page.layout.frames;
    let shown = if frames.len() <= shown.saturating_add(1) { frames.len() } else { shown };
    for frame in &frames[..shown] {
        page.line(2, &plain(frame));
    }
    if let more @ 1.. = frames.len() - shown {
        page.prose(DIM, 2, &format!("and {more} more callers; -g shows all"));
    }
}
