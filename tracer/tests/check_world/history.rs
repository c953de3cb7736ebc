//! What happened, as a session tells it.

use std::collections::BTreeSet;

use rmapscope::check::{Checker, Options, Verdict};
use rmapscope::event::{Body, Event, Header, Item, Kind, Loss, LossCause, Summary};
use rmapscope::probe::PointReport;
use rmapscope::trace_file::FileHeader;
use tracer_common::event::STACK_NONE;

use super::kernel;
use crate::attached_common;

/// Nanoseconds between events.
const STEP: u64 = 1000;

/// Nanoseconds after the last event: what was left open is settled then.
const PAUSE: u64 = 2_000_000_000;

/// A stream of events.
#[derive(Clone, Debug, Default)]
pub struct History {
    items: Vec<Item>,
    time: u64,
    /// Addresses that a step must choose once only.
    chosen: BTreeSet<u64>,
}

impl History {
    pub fn tell(&mut self, tid: u32, body: Body) {
        self.time += STEP;
        let header = Header {
            time: self.time,
            tid,
            pid: tid,
            kind: body.kind() as u16,
            cpu: (tid % 2) as u16,
            stack: STACK_NONE,
        };
        self.items.push(Item::Event(Event { header, body }));
    }

    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether that address was not asked for before.
    pub fn is_first_of(&mut self, address: u64) -> bool {
        self.chosen.insert(address)
    }

    /// The same from some item on.
    pub fn from(&self, index: usize) -> Self {
        Self { items: self.items[index.min(self.len())..].to_vec(), ..self.clone() }
    }

    /// Loses events of one family from that place on, which is told a little later.
    pub fn lose(&mut self, index: usize) {
        let Some(Item::Event(first)) = self.items.get(index) else { return };
        let (family, after) = (first.kind().family(), first.header.time - 1);
        let mut end = index;
        let mut count = 0;
        while end < self.items.len() && count < 4 {
            match &self.items[end] {
                Item::Event(event) if event.kind().family() == family => {
                    self.items.remove(end);
                    count += 1;
                }
                _ => end += 1,
            }
        }
        let place = (end + 5).min(self.items.len());
        let before = match self.items.get(place) {
            Some(Item::Event(next)) => next.header.time,
            _ => self.time,
        };
        let family = Some(family as u8);
        let loss = Item::Loss(Loss { cause: LossCause::Lost, family, count, after, before, kind: None });
        self.items.insert(place, loss);
    }

    /// The header of a session in which every event could be seen.
    pub fn header() -> FileHeader {
        let mut header = FileHeader::new(kernel::description());
        let report = |kind: &Kind| {
            let point = attached_common::point(kind);
            match kind {
                Kind::ExclusivePage => {
                    PointReport { point: "make_device_exclusive_range".to_owned(), ..point }
                }
                _ => point,
            }
        };
        header.probes = Kind::ALL.iter().map(report).collect();
        header
    }

    /// All of it, with its end.
    pub fn items(&self) -> impl Iterator<Item = Item> {
        let end = Summary { end: self.time + PAUSE, ..Summary::default() };
        self.items.iter().cloned().chain([Item::Summary(end)])
    }

    pub fn verdict(&self) -> Verdict {
        let mut checker = Checker::new(&Self::header(), Options::default());
        for item in self.items() {
            checker.item(&item);
        }
        checker.finish(None)
    }
}
