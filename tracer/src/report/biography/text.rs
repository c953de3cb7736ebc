//! A biography for people.

use std::fmt::Write;

use anstyle::{AnsiColor, Style};

use super::life::{Change, Entry, Episode, Life, Lost, Moment};
use crate::check::formats::words::plain;

const EVENT: Style = AnsiColor::Cyan.on_default();
const STATE: Style = AnsiColor::Green.on_default().bold();
const LOSS: Style = AnsiColor::Red.on_default().bold();

/// Fields that the changes tell of, or that are long and seldom asked for: `script` and JSON have them.
const TOLD: [&str; 10] = [
    "flags",
    "old_flags",
    "new_flags",
    "mapcount",
    "refcount",
    "vm_flags",
    "fault_flags",
    "mm",
    "source_mm",
    "duration_ns",
];

/// Lines: what it is of, then every event with what changed, and an arrow line where the state changes. With
/// `stacks` each event has its kernel stack below it.
pub fn text(life: &Life, stacks: bool, color: bool) -> String {
    let mut out = String::new();
    head(life, &mut out);
    for (place, entry) in life.entries.iter().enumerate() {
        match entry {
            Entry::Event(moment) => event(life, moment, stacks, color, &mut out),
            Entry::Lost(lost) => loss(lost, color, &mut out),
            Entry::LeftOut(count) => {
                let line = format!("{count} entries were left out here: the first and the last are kept");
                styled(&mut out, LOSS, color, &line);
                out.push('\n');
            }
        }
        states(life, place, color, &mut out);
    }
    if let Some(reason) = &life.incomplete {
        let _ = writeln!(out, "the stream is not whole: {}", plain(reason));
    }
    out
}

fn head(life: &Life, out: &mut String) {
    let _ = writeln!(out, "{}: {} of it", life.target, counted(life.events, "event", "events"));
    for space in &life.spaces {
        let _ = match space.pid {
            Some(pid) if space.is_certain => writeln!(out, "  mm {:#x} is of process {pid}", space.mm),
            Some(pid) => {
                writeln!(out, "  mm {:#x} is probably of process {pid}, which acted in it", space.mm)
            }
            None => writeln!(out, "  mm {:#x} is of a process that is not known", space.mm),
        };
    }
    let is_address = matches!(life.target, super::Target::Address { .. });
    if is_address && !life.pfns.is_empty() {
        let pfns: Vec<String> = life.pfns.iter().map(|pfn| format!("{pfn:#x}")).collect();
        let _ = writeln!(out, "  pages in order: {}", pfns.join(" "));
    }
    if life.events == 0 {
        let _ = writeln!(out, "  no event is about it");
        if !life.others.is_empty() {
            let others: Vec<String> = life
                .others
                .iter()
                .map(|pid| if *pid == 0 { "one not known".to_owned() } else { pid.to_string() })
                .collect();
            let _ =
                writeln!(out, "  at that address there are events of other processes: {}", others.join(", "));
        }
        return;
    }
    let _ = writeln!(out, "{:>14}  {:<23}  WHO, CPU AND WHAT CHANGED", "TIME(s)", "EVENT");
}

fn event(life: &Life, moment: &Moment, stacks: bool, color: bool, out: &mut String) {
    let _ = write!(out, "{:>14}  ", seconds(moment.time));
    styled(out, EVENT, color, &format!("{:<23}", moment.event));
    let comm = if moment.comm.is_empty() { "?".to_owned() } else { plain(&moment.comm) };
    let _ = write!(out, "  {comm} {}/{} cpu {}", moment.pid, moment.tid, moment.cpu);
    if let Some(owner) = moment.owner.filter(|owner| *owner != moment.pid) {
        let _ = write!(out, ", in process {owner}");
    }
    if !moment.about {
        out.push_str(", a range that it lies in");
    }
    out.push('\n');
    let changes: Vec<String> = moment.changes.iter().map(change).collect();
    if !changes.is_empty() {
        let _ = writeln!(out, "{:18}{}", "", changes.join("  "));
    }
    let is_told = |name: &str, value: &str| {
        TOLD.contains(&name)
            || matches!(life.target, super::Target::Page { pfn } if name == "pfn" && value == format!("{pfn:#x}"))
    };
    let mut rest: Vec<String> = Vec::new();
    for (name, value) in moment.fields.iter().filter(|(name, value)| !is_told(name, value)) {
        rest.push(format!("{name}={}", plain(value)));
    }
    if let Some((_, time)) = moment.fields.iter().find(|(name, _)| *name == "duration_ns") {
        rest.push(time.parse().map_or_else(|_| time.clone(), |time| format!("took={}", duration(time))));
    }
    if !rest.is_empty() {
        let _ = writeln!(out, "{:18}{}", "", rest.join(" "));
    }
    if stacks {
        for frame in &moment.stack {
            let _ = writeln!(out, "{:20}{}", "", plain(frame));
        }
    }
}

fn change(change: &Change) -> String {
    let Change { what, before, after } = change;
    match (before.as_deref(), after.as_str()) {
        (Some("0"), "1") if !matches!(what.as_str(), "mapcount" | "refcount") => format!("+{what}"),
        (Some("1"), "0") if !matches!(what.as_str(), "mapcount" | "refcount") => format!("-{what}"),
        (Some(before), after) => format!("{what} {before} -> {after}"),
        (None, after) => format!("{what} {after}"),
    }
}

/// States that began with that entry, and those that ended with it unless another one of their kind began.
fn states(life: &Life, place: usize, color: bool, out: &mut String) {
    let ended = life.states.iter().filter(|episode| episode.ended == Some(place));
    for episode in ended {
        let lasted = episode.lasted.map_or_else(
            || "for a time that is not known".to_owned(),
            |lasted| {
                let least = if episode.seen { "at least " } else { "" };
                format!("for {least}{}", duration(lasted))
            },
        );
        let line = format!("              <== was {} {lasted}", what(episode));
        styled(out, STATE, color, &line);
        out.push('\n');
    }
    let first = life.states.partition_point(|episode| episode.began < place);
    for episode in life.states[first..].iter().take_while(|episode| episode.began == place) {
        let seen = if episode.seen { ", as is seen here" } else { "" };
        let until = match (&episode.lasted, &episode.ended_by) {
            (Some(lasted), Some(by)) => format!(" for {}, until {}", duration(*lasted), plain(by)),
            (None, Some(by)) => format!(" until {}", plain(by)),
            _ => " to the end of the trace, as far as events tell".to_owned(),
        };
        let line = format!("              ==> {}{seen}{until}", what(episode));
        styled(out, STATE, color, &line);
        out.push('\n');
    }
}

fn what(episode: &Episode) -> String {
    match episode.pfn {
        Some(pfn) => format!("{} (pfn {pfn:#x})", episode.state.name()),
        None => episode.state.name().to_owned(),
    }
}

fn loss(lost: &Lost, color: bool, out: &mut String) {
    let count = if lost.count == 0 { "an unknown number of".to_owned() } else { lost.count.to_string() };
    let family = lost.family.map(|family| format!("{family} ")).unwrap_or_default();
    let verb = match lost.cause {
        crate::event::LossCause::Lost => "lost",
        crate::event::LossCause::Missed => "missed",
        crate::event::LossCause::Dropped => "dropped",
    };
    let to = lost.to.map(|to| format!(" and {}", seconds(to))).unwrap_or_default();
    let between = if to.is_empty() { "after" } else { "between" };
    let line = format!(
        "{:>14}  {count} {family}events were {verb} here, {between} {}{to}; the page's may be among them",
        seconds(lost.from),
        seconds(lost.from)
    );
    styled(out, LOSS, color, &line);
    out.push('\n');
}

fn styled(out: &mut String, style: Style, color: bool, text: &str) {
    if color {
        let _ = write!(out, "{style}{text}{style:#}");
    } else {
        out.push_str(text);
    }
}

fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// Seconds with six decimals, as in `script`.
fn seconds(time: u64) -> String {
    let micros = time / 1000;
    format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000)
}

fn duration(time: u64) -> String {
    let (unit, name) = match time {
        0..1_000 => return format!("{time} ns"),
        1_000..1_000_000 => (1e3, "us"),
        1_000_000..1_000_000_000 => (1e6, "ms"),
        _ => (1e9, "s"),
    };
    format!("{:.3} {name}", time as f64 / unit)
}
