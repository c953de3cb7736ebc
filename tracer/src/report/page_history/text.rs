//! A page_history for people.

use std::fmt::Write;

use anstyle::{AnsiColor, Style};
use tracer_common::event::Kind;

use super::Target;
use super::history::{Change, Entry, Episode, Lost, Moment, PageHistory, Space, State};
use crate::check::formats::words::plain;

const EVENT: Style = AnsiColor::Cyan.on_default();
const STATE: Style = AnsiColor::Green.on_default().bold();
const LOSS: Style = AnsiColor::Red.on_default().bold();

/// Fields that the changes tell of, or that are long and seldom asked for: `script` and JSON have them.
const TOLD: [&str; 13] = [
    "flags",
    "old_flags",
    "new_flags",
    "mapcount",
    "refcount",
    "vm_flags",
    "old_vm_flags",
    "new_vm_flags",
    "mm",
    "source_mm",
    "source_vma",
    "destination_vma",
    "duration",
];

/// Address spaces that are listed.
const MOST_SPACES: usize = 16;

/// Lines: what it is of, then every event with what changed, and an arrow line where the state changes. With
/// `stacks` each event has its kernel stack below it.
pub fn text(history: &PageHistory, stacks: bool, color: bool) -> String {
    let mut out = String::new();
    head(history, &mut out);
    let shown = if history.events == 0 { &[] } else { history.entries.as_slice() };
    for (place, entry) in shown.iter().enumerate() {
        match entry {
            Entry::Event(moment) => event(history, moment, stacks, color, &mut out),
            Entry::Lost(lost) => loss(lost, color, &mut out),
            Entry::LeftOut(count) => {
                let line = format!("{count} entries were left out here: the first and the last are kept");
                styled(&mut out, LOSS, color, &line);
                out.push('\n');
            }
        }
        states(history, place, color, &mut out);
    }
    if let Some(reason) = &history.incomplete {
        let _ = writeln!(out, "the stream is not whole: {}", plain(reason));
    }
    out
}

/// Whose address space it is: certain of a process that was seen to work on its own memory, probable of one that acted.
fn owner(space: &Space) -> String {
    match space.pid {
        Some(pid) if space.is_certain => format!("process {pid}"),
        Some(pid) => format!("probably process {pid}"),
        None => "an unknown process".to_owned(),
    }
}

fn head(history: &PageHistory, out: &mut String) {
    let _ = writeln!(out, "{}: {} of it", history.target, counted(history.events, "event", "events"));
    let shown = &history.spaces[..history.spaces.len().min(MOST_SPACES)];
    // The kernel gives the memory of an mm that is gone to the next one: the same address, another address space.
    for spaces in shown.chunk_by(|one, next| one.mm == next.mm) {
        let of: Vec<String> = spaces.iter().map(owner).collect();
        let turns = if of.len() == 1 { "is of" } else { "is in turn of" };
        let _ = writeln!(out, "  mm {:#x} {turns} {}", spaces[0].mm, of.join(", "));
    }
    if let Some(more) = history.spaces.len().checked_sub(MOST_SPACES).filter(|more| *more > 0) {
        let _ = writeln!(out, "  and {more} more");
    }
    let is_address = matches!(history.target, Target::Address { .. });
    if is_address && !history.pfns.is_empty() {
        let pfns: Vec<String> = history.pfns.iter().map(|pfn| format!("{pfn:#x}")).collect();
        let _ = writeln!(out, "  pages in order: {}", pfns.join(" "));
    }
    if history.events == 0 {
        let _ = writeln!(out, "  no event is about it");
        if !history.others.is_empty() {
            let others: Vec<String> = history
                .others
                .iter()
                .map(|pid| if *pid == 0 { "one not known".to_owned() } else { pid.to_string() })
                .collect();
            let _ = writeln!(out, "  events of other processes at that address: {}", others.join(", "));
        }
        return;
    }
    let _ = writeln!(out, "{:>14}  {:<23}  WHO, CPU AND WHAT CHANGED", "TIME(s)", "EVENT");
}

fn event(history: &PageHistory, moment: &Moment, stacks: bool, color: bool, out: &mut String) {
    let _ = write!(out, "{:>14}  ", seconds(moment.time));
    styled(out, EVENT, color, &format!("{:<23}", moment.event));
    let comm = if moment.comm.is_empty() { "?".to_owned() } else { plain(&moment.comm) };
    let _ = write!(out, "  {comm} {}/{} cpu {}", moment.pid, moment.tid, moment.cpu);
    if let Some(owner) = moment.owner.filter(|owner| *owner != moment.pid) {
        let _ = write!(out, ", in process {owner}");
    }
    if !moment.about {
        let how = if moment.event == Kind::ExclusivePage.name() {
            ", another page at its address"
        } else {
            ", a range that contains it"
        };
        out.push_str(how);
    }
    out.push('\n');
    let changes: Vec<String> = moment.changes.iter().map(change).collect();
    if !changes.is_empty() {
        let _ = writeln!(out, "{:18}{}", "", changes.join("  "));
    }
    let is_told = |name: &str, value: &str| {
        TOLD.contains(&name)
            || matches!(history.target, Target::Page { pfn } if name == "pfn" && value == format!("{pfn:#x}"))
    };
    let mut rest: Vec<String> = Vec::new();
    for (name, value) in moment.fields.iter().filter(|(name, value)| !is_told(name, value) && value != "?") {
        rest.push(format!("{name}={}", plain(value)));
    }
    if let Some((_, time)) = moment.fields.iter().find(|(name, _)| *name == "duration") {
        rest.push(time.parse().map_or_else(|_| time.clone(), |time| format!("took={}", duration(time))));
    }
    let vm_flags = |name| moment.fields.iter().find(|(field, _)| *field == name).map(|(_, value)| value);
    if let (Some(old), Some(new)) = (vm_flags("old_vm_flags"), vm_flags("new_vm_flags")) {
        let (old, new): (Vec<&str>, Vec<&str>) = (old.split('|').collect(), new.split('|').collect());
        rest.extend(new.iter().filter(|flag| !old.contains(flag)).map(|flag| format!("+{flag}")));
        rest.extend(old.iter().filter(|flag| !new.contains(flag)).map(|flag| format!("-{flag}")));
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

/// States that began with that entry, and those beside the mapping that ended with it.
fn states(history: &PageHistory, place: usize, color: bool, out: &mut String) {
    let mut line = |line: &str| {
        let _ = write!(out, "{:14}", "");
        styled(out, STATE, color, line);
        out.push('\n');
    };
    let is_beside = |episode: &&Episode| matches!(episode.state, State::Mlocked | State::Bounced);
    for episode in history.states.iter().filter(is_beside).filter(|episode| episode.ended == Some(place)) {
        line(&format!("<== {} no more{}", what(history, episode), time(episode, " after ")));
    }
    let first = history.states.partition_point(|episode| episode.began < place);
    for episode in history.states[first..].iter().take_while(|episode| episode.began == place) {
        let seen = if episode.seen { ", first seen here" } else { "" };
        let until = match (&episode.ended_by, episode.over) {
            (Some(by), false) => format!("{}, until {}", time(episode, " for "), plain(by)),
            (Some(by), true) => {
                let lasted = episode.lasted.map(duration).unwrap_or_default();
                format!("; found changed {lasted} later, at {}", plain(by))
            }
            (None, _) => ", whose end no event shows".to_owned(),
        };
        line(&format!("==> {}{seen}{until}", what(history, episode)));
    }
}

/// How long it lasted, as far as that is known.
fn time(episode: &Episode, before: &str) -> String {
    let Some(lasted) = episode.lasted.map(duration) else { return String::new() };
    let bound = match (episode.seen, episode.over) {
        (true, true) => "about ",
        (true, false) => "at least ",
        (false, true) => "at most ",
        (false, false) => "",
    };
    format!("{before}{bound}{lasted}")
}

fn what(history: &PageHistory, episode: &Episode) -> String {
    match (episode.pfn, history.target) {
        (Some(pfn), Target::Address { .. }) => format!("{} (pfn {pfn:#x})", episode.state.name()),
        _ => episode.state.name().to_owned(),
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
