//! Stacks.

use askama::Template;

use super::Block;
use crate::check::formats::lines::counted;
use crate::check::formats::words::plain;
use crate::report::model::{Report, StackTotal};
use crate::report::text::units;

/// A stack that unfolds.
#[derive(Template)]
#[template(path = "report/stack.html")]
pub struct Stack {
    event: &'static str,
    /// Its nearest callers and how often.
    summary: String,
    frames: Vec<String>,
}

/// Callers that are named before the stack is unfolded.
const CALLERS: usize = 3;

impl Stack {
    /// Of one of the report's stacks.
    pub fn block(stack: &StackTotal, report: &Report) -> Block {
        let share = units::share(stack.weights.count, report.total.count);
        let mut summary = format!("{}, {share}", counted(stack.weights.count, "event"));
        if stack.weights.time > 0 {
            summary += &format!(", {}", units::time(stack.weights.time, true));
        }
        Self::of(stack.event, summary, &stack.frames)
    }

    /// Of an event, with what is said of it before its callers.
    pub fn of(event: &'static str, mut summary: String, frames: &[String]) -> Block {
        let frames: Vec<String> = frames.iter().map(|frame| plain(frame)).collect();
        let callers: Vec<&str> =
            frames.iter().map(String::as_str).filter(|frame| *frame != event).take(CALLERS).collect();
        if !callers.is_empty() {
            summary += &format!(", from {}", callers.join(" ← "));
        }
        Block::Stack(Self { event, summary, frames })
    }
}
