//! For people: a line a client, then a line with sums. Names are escaped.

use std::fmt::Write;

use super::busyness::EngineUse;
use super::fdinfo::Memory;
use super::look::{Client, Holder, Identity};
use super::state::State;
use super::track::{Seen, Sight};
use crate::escape::escaped;
use crate::output::{scaled, three_digits};

/// The line above the clients.
pub const HEADING: &str = "    PID COMM             DEVICE       DRIVER       CLIENT FDS HELD RESIDENT   BUSY STATE                ENGINES; MEMORY; MORE\n";

/// Other holders that are printed.
const HOLDERS_SHOWN: usize = 4;

/// The clients and the sums.
pub fn sight(out: &mut String, sight: &Sight) {
    if !sight.clients.is_empty() {
        out.push_str(HEADING);
    }
    for seen in &sight.clients {
        client(out, sight, seen);
    }
    totals(out, sight);
}

fn client(out: &mut String, sight: &Sight, seen: &Seen) {
    let client = &seen.client;
    let (pid, comm) = client.holders.first().map_or((0, ""), |holder| (holder.pid, holder.comm.as_str()));
    let descriptors: usize = client.holders.iter().map(|holder| holder.descriptors.len()).sum();
    let _ = write!(
        out,
        "{pid:7} {:16} {:12} {:12} {:>6} {descriptors:>3} {:>4} {:>8} {:>6} {:20}",
        escaped(comm),
        sight.node(client).map_or_else(|| client.number.to_string(), escaped),
        sight.driver(client).map_or_else(|| "?".to_owned(), escaped),
        id(client),
        client.holders.len(),
        resident(client).map_or_else(|| "-".to_owned(), bytes),
        seen.busy().map_or_else(|| "-".to_owned(), percent),
        seen.state.name(),
    );
    let more = [
        engines(&seen.engines),
        memory(client),
        name(client),
        other_holders(&client.holders),
        not_understood(client),
    ];
    let more: Vec<String> = more.into_iter().filter(|part| !part.is_empty()).collect();
    out.push(' ');
    out.push_str(&more.join("; "));
    out.truncate(out.trim_end_matches(' ').len());
    out.push('\n');
}

/// The id that the driver prints; `-` of a client that is known as an open file, `?` where they are not told apart.
fn id(client: &Client) -> String {
    match client.identity {
        Identity::Id(id) => id.to_string(),
        Identity::File(..) => "-".to_owned(),
        Identity::Process(..) => "?".to_owned(),
    }
}

/// Bytes of all regions that have backing; `None` where the driver says nothing of that.
fn resident(client: &Client) -> Option<u64> {
    let memory = client.fdinfo.as_ref().ok()?.memory.values();
    memory.filter_map(|memory| memory.resident).reduce(u64::saturating_add)
}

/// Engines that worked.
fn engines(engines: &[EngineUse]) -> String {
    let worked = engines.iter().filter(|engine| engine.grew.is_some_and(|grew| grew > 0));
    let parts: Vec<String> = worked
        .map(|engine| {
            let busy = engine.busy.map_or_else(|| "?".to_owned(), percent);
            let capacity = engine.now.capacity.map_or(1, |capacity| capacity.get());
            let of = if capacity > 1 { format!(" of {capacity}") } else { String::new() };
            format!("{} {busy}{of}", escaped(&engine.name))
        })
        .collect();
    parts.join(", ")
}

fn memory(client: &Client) -> String {
    let Ok(fdinfo) = &client.fdinfo else { return String::new() };
    let part = |(name, memory): (&String, &Memory)| {
        let Memory { resident, total, .. } = *memory;
        if resident.unwrap_or(0) == 0 && total.unwrap_or(0) == 0 {
            return None;
        }
        let of = |total| format!(" of {}", bytes(total));
        let resident = resident.map_or_else(|| "?".to_owned(), bytes);
        Some(format!("{} {resident}{}", escaped(name), total.map_or_else(String::new, of)))
    };
    fdinfo.memory.iter().filter_map(part).collect::<Vec<_>>().join(", ")
}

fn name(client: &Client) -> String {
    let name = client.fdinfo.as_ref().ok().and_then(|fdinfo| fdinfo.client_name.as_deref());
    name.map_or_else(String::new, |name| format!("named {}", escaped(name)))
}

fn other_holders(holders: &[Holder]) -> String {
    let others = holders.get(1..).unwrap_or_default();
    if others.is_empty() {
        return String::new();
    }
    let shown: Vec<String> = others
        .iter()
        .take(HOLDERS_SHOWN)
        .map(|holder| format!("{} {}", holder.pid, escaped(&holder.comm)))
        .collect();
    let more = if others.len() > HOLDERS_SHOWN { ", ..." } else { "" };
    format!("also held by {}{more}", shown.join(", "))
}

/// Lines of its fdinfo that are not used.
fn not_understood(client: &Client) -> String {
    let Ok(fdinfo) = &client.fdinfo else { return String::new() };
    let parts = [(fdinfo.malformed, "values not understood"), (fdinfo.omitted, "lines left out")];
    let parts = parts.iter().filter(|(count, _)| *count > 0).map(|(count, words)| format!("{words} {count}"));
    parts.collect::<Vec<_>>().join(", ")
}

/// The sums, one line.
fn totals(out: &mut String, sight: &Sight) {
    let states = sight.states();
    let there: u64 = states.iter().filter(|(state, _)| **state != State::Gone).map(|(_, count)| count).sum();
    let _ = write!(out, "total: clients {there}");
    let counts: Vec<String> =
        states.iter().map(|(state, count)| format!("{} {count}", state.name())).collect();
    if !counts.is_empty() {
        let _ = write!(out, " ({})", counts.join(", "));
    }
    let effort = &sight.effort;
    let _ = write!(out, "; processes {}", effort.processes);
    for (count, words) in [
        (effort.denied, "denied"),
        (effort.vanished, "ended meanwhile"),
        (effort.missed, "became holders unseen"),
        (effort.unheld.unwrap_or(0), "clients without an open file found"),
        (sight.oddities.backwards, "counters went back"),
        (sight.oddities.clamped, "busier than time passed"),
    ] {
        if count > 0 {
            let _ = write!(out, ", {words} {count}");
        }
    }
    let milliseconds = three_digits(effort.time as f64 / 1e6);
    let (descriptors, reads) = (effort.descriptors, effort.fdinfo_reads);
    let of = if effort.holders_alone { " of holders" } else { "" };
    let _ = writeln!(out, "; {descriptors} open files{of}, {reads} fdinfo read, {milliseconds} ms");
}

fn percent(part: f64) -> String {
    format!("{}%", three_digits(part * 100.0))
}

fn bytes(bytes: u64) -> String {
    scaled(bytes, 1024.0, &["B", "K", "M", "G", "T"])
}
