//! `clients`: those of vgem, a driver without hardware, whoever holds them.

use anyhow::{Context, ensure};
use rmapscope_tests::workload::{Fact, HeldBy};
use serde_json::Value;

use super::{Applies, Check, Run, once};
use crate::recording::Session;

pub const CHECKS: &[Check] = &[
    Check {
        name: "clients counts each client once",
        applies: with_vgem,
        sessions: &["clients", "clients-again"],
        judge: counted_once,
    },
    Check {
        name: "clients says why nothing is measured",
        applies: with_vgem,
        sessions: &["clients"],
        judge: reasons,
    },
    Check {
        name: "clients finds the same at each look",
        applies: with_vgem,
        sessions: &["clients"],
        judge: watched,
    },
    Check {
        name: "clients says what it may not see",
        applies: with_vgem,
        sessions: &["clients"],
        judge: not_allowed,
    },
];

/// Kernels that have vgem in guests.
fn with_vgem(kernel: &str, method: &str) -> Applies {
    match once(kernel, method) {
        Applies::Yes if !matches!(kernel, "6.1" | "6.12") => {
            Applies::Skipped("no vgem in 6.12-hmm.config, and no drivers/gpu of newer kernels in guests")
        }
        applies => applies,
    }
}

fn objects(text: &str, kind: &str) -> anyhow::Result<Vec<Value>> {
    let objects: Result<Vec<Value>, _> = text.lines().map(serde_json::from_str).collect();
    Ok(objects?.into_iter().filter(|object| object["type"] == kind).collect())
}

/// Who holds each of the clients.
fn held(clients: &[Value]) -> anyhow::Result<Vec<Vec<HeldBy>>> {
    let mut all = Vec::new();
    for client in clients {
        let mut holders = Vec::new();
        for holder in client["holders"].as_array().context("no holders")? {
            let pid = holder["pid"].as_u64().context("no pid")?.try_into()?;
            let descriptors = serde_json::from_value(holder["descriptors"].clone())?;
            holders.push(HeldBy { pid, descriptors });
        }
        holders.sort();
        all.push(holders);
    }
    all.sort();
    Ok(all)
}

/// What the workload stated, in the same order.
fn stated(session: &Session) -> anyhow::Result<Vec<Vec<HeldBy>>> {
    let clients = session.facts()?.into_iter().find_map(|fact| match fact {
        Fact::Clients(clients) => Some(clients.clients),
        _ => None,
    });
    let mut clients = clients.with_context(|| {
        format!("no clients are stated: {}", session.text("workload").unwrap_or_default())
    })?;
    clients.iter_mut().for_each(|holders| holders.sort());
    clients.sort();
    Ok(clients)
}

fn counted_once(run: &Run<'_>) -> anyhow::Result<()> {
    for name in ["clients", "clients-again"] {
        let session = run.session(name)?;
        session.expect_status(0)?;
        let stated = stated(&session)?;
        ensure!(stated.len() == 4, "{} clients are stated", stated.len());
        let held = held(&objects(&session.text("stdout")?, "client")?)?;
        ensure!(held == stated, "{name}: {held:?} instead of {stated:?}");
        // The kernel's own list: a heading, and a line for each.
        let listed = session.text("debugfs")?.lines().count().saturating_sub(1);
        ensure!(listed == stated.len(), "{name}: debugfs lists {listed}");
    }
    Ok(())
}

fn reasons(run: &Run<'_>) -> anyhow::Result<()> {
    let session = run.session("clients")?;
    for client in objects(&session.text("stdout")?, "client")? {
        for (key, value) in [
            ("state", "no-utilisation-keys"),
            ("known_by", "file"),
            ("device", "226:128"),
            ("node", "renderD128"),
            ("driver", "vgem"),
        ] {
            ensure!(client[key] == value, "{key} is no {value}: {client}");
        }
    }
    let text = session.text("text")?;
    ensure!(text.contains("total: clients 4 (no-utilisation-keys 4)"), "{text}");
    ensure!(!text.contains('%'), "nothing is measured, but there are percents: {text}");
    Ok(())
}

fn watched(run: &Run<'_>) -> anyhow::Result<()> {
    let session = run.session("clients")?;
    let text = session.text("watch")?;
    let (clients, totals) = (objects(&text, "client")?, objects(&text, "total")?);
    ensure!(totals.len() == 3 && clients.len() == 12, "{} clients at {} looks", clients.len(), totals.len());
    for (look, total) in totals.iter().enumerate() {
        // As the DRM core's list stays the same, nobody but the holders is looked at again.
        ensure!(total["holders_alone"] == (look > 0), "look {look} at whom: {total}");
        ensure!(total["unheld"] == 0 && total["missed"] == 0, "look {look}: {total}");
        ensure!(total["states"] == serde_json::json!({ "no-utilisation-keys": 4 }), "look {look}: {total}");
    }
    Ok(())
}

fn not_allowed(run: &Run<'_>) -> anyhow::Result<()> {
    let session = run.session("clients")?;
    let (said, text) = (session.text("nobody.stderr")?, session.text("nobody")?);
    let has_reason = said.contains("CAP_SYS_PTRACE");
    ensure!(has_reason, "it says nothing of what it may not see: {said}{text}");
    Ok(())
}
