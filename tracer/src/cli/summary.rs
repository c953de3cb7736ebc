//! How a live session went, in a few lines on standard error.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use rmapscope::event::{Family, Kind, Summary};
use rmapscope::overhead::by_program;
use rmapscope::session::{Ended, Live, gaps};

use super::status::Status;

/// Says what of a session that begins now is attached in another way than planned, and what it cannot see although it is
/// attached.
pub fn begun(live: &Live, status: Status) {
    for line in gaps::second_choices(&live.reports()) {
        status.note(&line);
    }
    for silence in live.silences() {
        let count = silence.points.len();
        let probes = if count == 1 { "1 probe".to_owned() } else { format!("{count} probes") };
        status.important(&format!(
            "{probes} cannot fire: {} when they were attached; try: {}",
            silence.reason, silence.remedy
        ));
    }
}

/// Says what the programs cost, where the kernel measured it.
pub fn overhead(ended: &Ended, status: Status) {
    if !ended.costs.is_empty() {
        by_program(&ended.costs, ended.summary.watched()).iter().for_each(|line| status.important(line));
    }
}

/// Says how a session went; `file` is where its events are. What is missing is told even when nothing else is.
pub fn print(ended: &Ended, file: Option<&str>, status: Status) {
    let summary = &ended.summary;
    let seconds = summary.watched() as f64 / 1e9;
    status.note(&format!(
        "{} events ({}) in {seconds:.1} s{}; {}",
        total(&summary.events),
        by_family(summary),
        file.map_or_else(String::new, |file| format!(", {file}")),
        summary.reason,
    ));
    let (lost, missed, unpaired) = (total(&summary.lost), total(&summary.missed), total(&summary.unpaired));
    let losses = format!(
        "lost {lost} (ring full)  missed {missed} (skipped by the kernel)  unpaired {unpaired}  stacks lost {}",
        summary.stacks_lost,
    );
    if lost + missed + unpaired + summary.stacks_lost > 0 {
        status.important(&losses);
    } else {
        status.note(&losses);
    }
    if lost > 0 {
        status.note("use a larger --buffer or fewer events (--event, --pid) to avoid losses");
    }
    let (asked, attached) = gaps::coverage(&ended.reports);
    let missing: Vec<&str> = gaps::gaps(&ended.reports).map(|report| report.point.as_str()).collect();
    let silent: BTreeSet<&String> = ended.silent.iter().flat_map(|silent| &silent.points).collect();
    let silent = match silent.len() {
        0 => String::new(),
        count => format!("; {count} may be incomplete"),
    };
    let missing = if missing.is_empty() { String::new() } else { format!("; not: {}", missing.join(", ")) };
    status.note(&format!("{attached} of {asked} probes attached{silent}{missing}"));
    for report in gaps::gaps(&ended.reports) {
        status.detail(&format!("{} is not traced: {}", report.point, gaps::reason(&report.outcome)));
    }
    for silent in &ended.silent {
        status.important(&silent.line());
    }
}

/// A trace file and how long it got.
pub fn file(path: &Path, bytes: u64) -> String {
    let size = match bytes {
        0..10_000 => format!("{bytes} bytes"),
        10_000..10_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    };
    format!("{} {size}", path.display())
}

fn total(counts: &BTreeMap<String, u64>) -> u64 {
    counts.values().sum()
}

fn by_family(summary: &Summary) -> String {
    let parts: Vec<String> = Family::ALL
        .into_iter()
        .filter_map(|family| {
            let kinds = Kind::ALL.iter().filter(|kind| kind.family() == family);
            let count: u64 = kinds.filter_map(|kind| summary.events.get(kind.name())).sum();
            (count > 0).then(|| format!("{} {count}", family.name()))
        })
        .collect();
    if parts.is_empty() { "none".to_owned() } else { parts.join(", ") }
}
