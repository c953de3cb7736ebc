//! Values over time, a lane each, drawn once and for all: they read without a script.

use askama::Template;

use super::Block;
use crate::check::formats::words::plain;
use crate::report::model::{Interval, PoolLevel, Report};
use crate::report::text::units;

/// Bars of a lane: more are not told apart on most screens.
const COLUMNS: usize = 128;
/// Lanes of events: those with the most.
const EVENTS: usize = 8;
/// Width and height of the drawing, in its own unit.
const WIDTH: f64 = 1000.0;
const HEIGHT: f64 = 28.0;

/// Lanes above a time axis.
#[derive(Template)]
#[template(path = "report/lanes.html")]
pub struct Lanes {
    caption: String,
    lanes: Vec<Lane>,
    /// Intervals in which events are missing.
    gaps: Vec<Bar>,
    /// What is written below: beginning, middle, end.
    axis: [String; 3],
}

struct Lane {
    name: String,
    most: String,
    is_loss: bool,
    bars: Vec<Bar>,
}

struct Bar {
    x: String,
    y: String,
    width: String,
    height: String,
    title: String,
}

/// A stretch of time and its value.
struct Step {
    from: u64,
    to: u64,
    value: u64,
}

type Show = fn(u64) -> String;

impl Lanes {
    /// Events, what was in place, and what is missing; nothing where no time passed.
    pub fn of_events(report: &Report) -> Option<Block> {
        let timeline = &report.timeline;
        if timeline.intervals.len() < 2 {
            return None;
        }
        let group = timeline.intervals.len().div_ceil(COLUMNS);
        // The last interval of a hostile stream may end behind all time.
        let time = |interval: usize| timeline.interval.saturating_mul(interval as u64);
        let steps = |of: &dyn Fn(&Interval) -> u64, together: fn(u64, u64) -> u64| -> Vec<Step> {
            let groups = timeline.intervals.chunks(group).enumerate();
            groups
                .map(|(index, intervals)| {
                    let from = time(index * group);
                    let value = intervals.iter().map(of).fold(0, together);
                    Step { from, to: time(index * group + intervals.len()), value }
                })
                .collect()
        };
        let end = time(timeline.intervals.len());
        let mut events: Vec<(&str, Vec<Step>)> = timeline
            .events
            .iter()
            .enumerate()
            .map(|(index, name)| {
                let count = move |interval: &Interval| interval.counts.get(index).copied().unwrap_or(0);
                (*name, steps(&count, u64::saturating_add))
            })
            .collect();
        events.sort_by_key(|(_, steps)| std::cmp::Reverse(steps.iter().map(|step| step.value).sum::<u64>()));
        let more = events.len().saturating_sub(EVENTS);
        events.truncate(EVENTS);
        let count: Show = |value| value.to_string();
        let mut lanes: Vec<Lane> =
            events.into_iter().map(|(name, steps)| lane(name, false, &steps, end, count)).collect();
        let states: [(&str, Vec<Step>, Show); 3] = [
            ("pages exclusive", steps(&|interval| interval.exclusive, u64::max), count),
            ("migration entries", steps(&|interval| interval.migration_entries, u64::max), count),
            ("bytes bounced", steps(&|interval| interval.bounced, u64::max), units::bytes),
        ];
        lanes.extend(states.iter().map(|(name, steps, show)| lane(name, false, steps, end, *show)));
        let lost = steps(&|interval| interval.lost, u64::saturating_add);
        lanes.push(lane("events missing", true, &lost, end, count));
        lanes.retain(|lane| !lane.bars.is_empty());
        let mut caption =
            format!("Each bar is {}. The peak is at the end of each lane", units::time(time(group), true));
        if more > 0 {
            caption += &format!("; {more} more events have fewer");
        }
        let gaps = gaps(report, end);
        if !gaps.is_empty() {
            caption += "; events are missing where lanes are striped";
        }
        Some(Block::Lanes(Self { caption: caption + ".", lanes, gaps, axis: axis(end) }))
    }

    /// Bytes and slots that a device, or all of a pool, have taken.
    pub fn of_pool(name: &str, levels: &[PoolLevel], report: &Report) -> Option<Block> {
        if levels.len() < 2 {
            return None;
        }
        let last = levels.last().map_or(0, |level| level.from);
        let end = report.span.max(last + 1);
        let ends = levels.iter().skip(1).map(|level| level.from).chain([end]);
        let steps = |of: fn(&crate::report::model::PoolLevel) -> u64| -> Vec<Step> {
            let levels = levels.iter().zip(ends.clone());
            levels.map(|(level, to)| Step { from: level.from, to, value: of(level) }).collect()
        };
        let lanes = vec![
            lane("bytes mapped", false, &steps(|level| level.bytes), end, units::bytes),
            lane("slots taken", false, &steps(|level| level.slots), end, |value| value.to_string()),
        ];
        let caption = format!("{}: most at one moment of each stretch.", plain(name));
        Some(Block::Lanes(Self { caption, lanes, gaps: gaps(report, end), axis: axis(end) }))
    }
}

fn lane(name: &str, is_loss: bool, steps: &[Step], end: u64, show: Show) -> Lane {
    let most = steps.iter().map(|step| step.value).max().unwrap_or(0);
    let bars = steps.iter().filter(|step| step.value > 0).map(|step| {
        // What is not nothing is to be seen.
        let height = (step.value as f64 / most as f64 * HEIGHT).max(1.0);
        let title = format!(
            "{name}: {} from {} to {}",
            show(step.value),
            units::time(step.from, true),
            units::time(step.to, true)
        );
        bar(step.from, step.to, end, height, title)
    });
    Lane { name: name.to_owned(), most: show(most), is_loss, bars: bars.collect() }
}

fn bar(from: u64, to: u64, end: u64, height: f64, title: String) -> Bar {
    let at = |time: u64| time.min(end) as f64 / end.max(1) as f64 * WIDTH;
    Bar {
        x: short(at(from)),
        y: short(HEIGHT - height),
        width: short((at(to) - at(from)).max(1.0)),
        height: short(height),
        title,
    }
}

/// One decimal is less than a pixel.
fn short(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map(str::to_owned).unwrap_or(text)
}

fn gaps(report: &Report, end: u64) -> Vec<Bar> {
    let gaps = report.losses.gaps.iter();
    gaps.map(|gap| bar(gap.from, gap.to.unwrap_or(end), end, HEIGHT, "events are missing here".to_owned()))
        .collect()
}

fn axis(end: u64) -> [String; 3] {
    [0, end / 2, end].map(|time| units::time(time, true))
}
