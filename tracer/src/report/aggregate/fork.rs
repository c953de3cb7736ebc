//! What fork cost: the copies of all VMAs of a child belong together.

use std::cmp::Reverse;

use rustc_hash::FxHashMap;
use tracer_common::event::{Body, CopyPageRange, Kind};
use tracer_common::family::Family;

use super::histogram::Histogram;
use super::moment::Moment;
use super::top::TopSketch;
use crate::event::Event;
use crate::report::model::{self, ForkCost, Unit};

/// Processes that are counted at the same time.
const CAPACITY: usize = 1 << 12;

/// Forks that may run at the same time.
const MOST_RUNNING: usize = 1 << 10;

/// A fork of which the end was not seen.
#[derive(Clone, Copy, Debug)]
struct Running {
    child: u64,
    /// Where the last VMA began: they are copied in the order of their addresses (6.12 kernel/fork.c, `dup_mmap`).
    start: u64,
    time: u64,
    /// Whether none of its copies can be missing.
    is_whole: bool,
}

#[derive(Clone, Debug, Default)]
struct Cost {
    comm: String,
    forks: u64,
    vmas: u64,
    pages: u64,
    time: u64,
    restored: u64,
    failed: u64,
}

impl Cost {
    fn take(&mut self, copy: &CopyPageRange, pages: u64, is_new: bool) {
        self.forks += u64::from(is_new);
        self.vmas += 1;
        self.pages = self.pages.saturating_add(pages);
        self.time = self.time.saturating_add(copy.duration);
        self.restored += u64::from(copy.restored);
        self.failed += u64::from(copy.result < 0);
    }

    fn entry(self, pid: u32) -> ForkCost {
        ForkCost {
            pid,
            comm: self.comm,
            forks: self.forks,
            vmas: self.vmas,
            pages: self.pages,
            time: self.time,
            time_per_page: (self.pages > 0).then(|| self.time as f64 / self.pages as f64),
            restored: self.restored,
            failed: self.failed,
        }
    }
}

/// Sums up page-table copies.
#[derive(Debug)]
pub struct Fork {
    /// By thread: a thread makes one child at a time.
    running: FxHashMap<u32, Running>,
    processes: TopSketch<u32, Cost>,
    total: Cost,
    time: Histogram,
}

impl Default for Fork {
    fn default() -> Self {
        Self {
            running: FxHashMap::default(),
            processes: TopSketch::new(CAPACITY),
            total: Cost::default(),
            time: Histogram::default(),
        }
    }
}

impl Fork {
    /// Whether events of that kind tell something of forks.
    pub const fn wants(kind: Kind) -> bool {
        matches!(kind, Kind::CopyPageRange | Kind::ProcessFork)
    }

    /// Takes an event; `admitted` copies alone are counted.
    pub fn event(&mut self, event: &Event, moment: &Moment<'_>, admitted: bool) {
        match &event.body {
            Body::CopyPageRange(copy) if admitted => self.copied(event, copy, moment),
            // The child is there: what its parent copies next is for another one, even at the same place.
            Body::ProcessFork(_) => self.ended(event.header.tid),
            _ => {}
        }
    }

    fn copied(&mut self, event: &Event, copy: &CopyPageRange, moment: &Moment<'_>) {
        let tid = event.header.tid;
        let goes_on = self
            .running
            .get(&tid)
            .is_some_and(|running| running.child == copy.destination_mm && running.start < copy.start);
        if !goes_on {
            self.ended(tid);
            if self.running.len() >= MOST_RUNNING {
                self.running.clear();
            }
            let running = Running { child: copy.destination_mm, start: 0, time: 0, is_whole: true };
            self.running.insert(tid, running);
        }
        if let Some(running) = self.running.get_mut(&tid) {
            running.start = copy.start;
            running.time = running.time.saturating_add(copy.duration);
        }
        self.total.take(copy, moment.weights.pages, !goes_on);
        let process = &mut self.processes.add(event.header.pid, copy.duration).value;
        process.take(copy, moment.weights.pages, !goes_on);
        if let Some(comm) = moment.names.comm(&event.header) {
            let comm = comm.text();
            if process.comm != comm {
                process.comm = comm.into_owned();
            }
        }
    }

    fn ended(&mut self, tid: u32) {
        if let Some(running) = self.running.remove(&tid)
            && running.is_whole
        {
            // 0 where latency was not recorded.
            if running.time > 0 {
                self.time.record(running.time);
            }
        }
    }

    /// Copies may be missing of every fork that runs now.
    pub fn lost(&mut self, family: Option<Family>) {
        if matches!(family, None | Some(Family::Fork)) {
            self.running.values_mut().for_each(|running| running.is_whole = false);
        }
    }

    /// The report's part, at most `top` processes.
    pub fn finish(mut self, top: usize) -> model::Fork {
        let running: Vec<u32> = self.running.keys().copied().collect();
        running.into_iter().for_each(|tid| self.ended(tid));
        model::Fork {
            forks: self.total.forks,
            total: (self.total.vmas > 0).then(|| self.total.entry(0)),
            processes: self.processes.into_top(
                top,
                |pid, cost| (Reverse(cost.value.time), *pid),
                |pid, cost| cost.value.entry(pid),
            ),
            time: self.time.distribution(Kind::CopyPageRange.name(), Unit::Nanoseconds),
        }
    }
}
