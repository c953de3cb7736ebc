//! Pages that are made exclusive and revoked again and again.

use rustc_hash::FxHashMap;
use tracer_common::event::{Body, Kind};

use super::Diagnose;
use crate::check::Diagnosis;
use crate::check::info::{DiagnosisInfo, Need};
use crate::check::stream_context::StreamContext;
use crate::event::{Event, Header};

pub const INFO: DiagnosisInfo = DiagnosisInfo {
    name: "exclusive-ping-pong",
    title: "pages go back and forth between a device and the CPU",
    statement: "Each round trip costs a device fault, a reverse-map walk, a TLB flush and a CPU fault. Reported for \
                addresses that were made exclusive and restored at least 8 times, the most frequent first, with the \
                stacks of both sides if stacks were recorded.",
    citations: &[
        "6.12 mm/rmap.c, make_device_exclusive_range",
        "6.12 mm/memory.c, remove_device_exclusive_entry and try_restore_exclusive_pte",
    ],
    needs: &[
        Need::required(Kind::ExclusivePage, "each time that a page was made exclusive"),
        Need::required(Kind::RestoreExclusive, "each time that it was revoked, and by whom"),
    ],
    example: "restore_exclusive: revoked 1204 times; address=0x7f1234567000 pfn=0x12345; before: made exclusive",
    remedy: "keep data that the CPU and the device both write often on separate pages, or let only one side work on it \
             at a time",
};

/// Turns that are worth a report.
const MANY: u32 = 8;

/// Most addresses that are counted.
const MOST: usize = 1 << 14;

/// Turns by `mm_struct` and address.
pub struct PingPong {
    limit: usize,
    turns: FxHashMap<(u64, u64), Turns>,
}

/// The turns of one address, with the last of each side.
#[derive(Clone, Copy)]
struct Turns {
    count: u32,
    made: Header,
    restored: Event,
}

impl PingPong {
    /// Keeps that much evidence.
    pub fn new(limit: usize) -> Self {
        Self { limit, turns: FxHashMap::default() }
    }

    fn turned(&mut self, key: (u64, u64), made: Header, restored: &Event) {
        match self.turns.get_mut(&key) {
            Some(turns) => *turns = Turns { count: turns.count.saturating_add(1), made, restored: *restored },
            None => {
                if self.turns.len() >= MOST {
                    // Those that turn often are kept.
                    self.turns.retain(|_, turns| turns.count >= MANY);
                }
                if self.turns.len() < MOST {
                    self.turns.insert(key, Turns { count: 1, made, restored: *restored });
                }
            }
        }
    }
}

impl Diagnose for PingPong {
    fn event(&mut self, event: &Event, stream: &StreamContext<'_>) {
        let Body::RestoreExclusive(restore) = &event.body else { return };
        if let Some(live) = stream.state.exclusive.at(restore.mm, restore.address) {
            self.turned((restore.mm, restore.address), live.made, event);
        }
    }

    fn finish(&mut self, stream: &StreamContext<'_>) -> Vec<Diagnosis> {
        let mut worst: Vec<_> = self.turns.drain().filter(|(_, turns)| turns.count >= MANY).collect();
        if worst.is_empty() {
            return Vec::new();
        }
        worst.sort_by_key(|(place, turns)| (std::cmp::Reverse(turns.count), *place));
        let total: u64 = worst.iter().map(|(_, turns)| u64::from(turns.count)).sum();
        let evidence = worst.iter().take(self.limit).map(|(_, turns)| {
            let mut evidence = stream.evidence(&turns.restored, format!("revoked {} times", turns.count));
            evidence.before.push(stream.earlier(&turns.made, "made exclusive"));
            evidence
        });
        vec![Diagnosis {
            name: INFO.name,
            summary: format!(
                "{} addresses went back and forth {total} times between device and CPU",
                worst.len()
            ),
            count: total,
            evidence: evidence.collect(),
            remedy: INFO.remedy,
        }]
    }
}
