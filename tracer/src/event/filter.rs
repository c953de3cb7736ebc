//! Which events of a stream are shown.

use tracer_common::glob::Glob;

use super::{Event, Loss, Names, Selection, duration_field};

/// Chooses events after they were read. Everything that is set has to hold.
#[derive(Clone, Debug)]
pub struct Filter {
    /// Kinds to show.
    pub selection: Selection,
    /// Process ids; empty for any.
    pub pids: Vec<u32>,
    /// Thread ids; empty for any.
    pub tids: Vec<u32>,
    /// Patterns of which the thread's name must match one; empty for any.
    pub allowed: Vec<Glob>,
    /// Patterns of which the thread's name must match none.
    pub denied: Vec<Glob>,
    /// Nanoseconds; calls that took less, or were not measured, are not shown. Events that are no calls
    /// have no latency and are shown.
    pub min_latency: u64,
    /// Nanoseconds after the start of the stream; earlier events are not shown.
    pub from: u64,
    /// Nanoseconds after the start of the stream; later events are not shown.
    pub to: u64,
}

impl Default for Filter {
    fn default() -> Self {
        Self {
            selection: Selection::ALL,
            pids: Vec::new(),
            tids: Vec::new(),
            allowed: Vec::new(),
            denied: Vec::new(),
            min_latency: 0,
            from: 0,
            to: u64::MAX,
        }
    }
}

impl Filter {
    /// Whether it chooses everything.
    pub fn is_open(&self) -> bool {
        self.selection == Selection::ALL
            && self.pids.is_empty()
            && self.tids.is_empty()
            && self.allowed.is_empty()
            && self.denied.is_empty()
            && self.min_latency == 0
            && self.from == 0
            && self.to == u64::MAX
    }

    /// Whether the event, `since_start` nanoseconds after the start of the stream, is to be shown.
    #[inline]
    pub fn admits(&self, event: &Event, names: &Names, since_start: u64) -> bool {
        let header = &event.header;
        self.selection.contains(event.kind())
            && (self.from..=self.to).contains(&since_start)
            && (self.pids.is_empty() || self.pids.contains(&header.pid))
            && (self.tids.is_empty() || self.tids.contains(&header.tid))
            && (self.min_latency == 0 || self.is_slow(event))
            && ((self.allowed.is_empty() && self.denied.is_empty()) || self.admits_name(event, names))
    }

    /// Whether a loss, between the two times after the start of the stream, can have hit events to be shown.
    pub fn admits_loss(&self, loss: &Loss, after: u64, before: u64) -> bool {
        loss.family().is_none_or(|family| self.selection.touches(family))
            && after <= self.to
            && before >= self.from
    }

    /// Whether the event is a call whose time was measured.
    #[inline]
    pub fn is_measured(&self, event: &Event) -> bool {
        duration_field(event.kind()).is_some_and(|field| field.number(event.body.bytes()) != 0)
    }

    fn is_slow(&self, event: &Event) -> bool {
        duration_field(event.kind()).is_none_or(|field| field.number(event.body.bytes()) >= self.min_latency)
    }

    fn admits_name(&self, event: &Event, names: &Names) -> bool {
        // A thread without a known name matches no pattern but those that match everything.
        let name = names.comm(&event.header).map_or([0; 16], |comm| *comm.bytes());
        let matches = |pattern: &Glob| pattern.matches(&name);
        (self.allowed.is_empty() || self.allowed.iter().any(matches)) && !self.denied.iter().any(matches)
    }
}
