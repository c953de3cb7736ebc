//! For programs: one object a line, each with a `type`.

use serde_json::{Map, Value, json};

use super::busyness::EngineUse;
use super::look::{Client, Holder, Identity};
use super::track::{Seen, Sight};
use crate::output::json_line as line;

/// Version of the objects; raised when a member is renamed, removed or gets another meaning.
const SCHEMA: u32 = 1;

/// The first line.
pub fn header(out: &mut String, release: &str) {
    line(
        out,
        "header",
        &json!({
            "schema": SCHEMA,
            "program": "rmapscope",
            "version": env!("CARGO_PKG_VERSION"),
            "kernel": { "release": release },
        }),
    );
}

/// The clients and the sums of a look.
pub fn sight(out: &mut String, sight: &Sight) {
    for seen in &sight.clients {
        line(out, "client", &client(sight, seen));
    }
    let states: Map<String, Value> =
        sight.states().into_iter().map(|(state, count)| (state.name().to_owned(), count.into())).collect();
    let effort = &sight.effort;
    line(
        out,
        "total",
        &json!({
            "time": sight.time,
            "interval_ns": sight.passed,
            "states": states,
            "processes": effort.processes,
            "denied": effort.denied,
            "vanished": effort.vanished,
            "open_files": effort.descriptors,
            "fdinfo_reads": effort.fdinfo_reads,
            "look_ns": effort.time,
            "holders_alone": effort.holders_alone,
            "missed": effort.missed,
            "unheld": effort.unheld,
            "counters_backwards": sight.oddities.backwards,
            "clamped": sight.oddities.clamped,
        }),
    );
}

fn client(sight: &Sight, seen: &Seen) -> Value {
    let client = &seen.client;
    let device = sight.device(client);
    let fdinfo = client.fdinfo.as_ref().ok();
    let pci_device = fdinfo.and_then(|fdinfo| fdinfo.pci_device.as_ref());
    json!({
        "time": client.time,
        "device": client.number,
        "kind": device.map(|device| device.kind),
        "node": sight.node(client),
        "pci_device": pci_device.or_else(|| device.and_then(|device| device.pci_device.as_ref())),
        "driver": sight.driver(client),
        "client_id": fdinfo.and_then(|fdinfo| fdinfo.client_id),
        "client_name": fdinfo.and_then(|fdinfo| fdinfo.client_name.as_ref()),
        "known_by": known_by(client),
        "state": seen.state,
        "holders": client.holders.iter().map(holder).collect::<Vec<_>>(),
        "engines": seen.engines.iter().map(engine).collect::<Vec<_>>(),
        "memory": fdinfo.map(|fdinfo| &fdinfo.memory),
        "other": fdinfo.map(|fdinfo| &fdinfo.other),
        "repeated": fdinfo.map(|fdinfo| fdinfo.repeated),
        "malformed": fdinfo.map(|fdinfo| fdinfo.malformed),
        "omitted": fdinfo.map(|fdinfo| fdinfo.omitted),
    })
}

const fn known_by(client: &Client) -> &'static str {
    match client.identity {
        Identity::Id(_) => "id",
        Identity::File(..) => "file",
        Identity::Process(..) => "process",
    }
}

fn holder(holder: &Holder) -> Value {
    json!({ "pid": holder.pid, "start": holder.start, "comm": holder.comm, "descriptors": holder.descriptors })
}

fn engine(engine: &EngineUse) -> Value {
    json!({ "name": engine.name, "busy": engine.busy, "grew": engine.grew, "counters": engine.now })
}
