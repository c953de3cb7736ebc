//! What moved to devices and back, and what drivers asked of ranges.

use std::cmp::Reverse;

use tracer_common::event::{
    BITS_UNKNOWN, Body, HmmRangeFault, Kind, MIGRATE_SELECT_SYSTEM, MigrateDeviceRange, MigrateVma,
    MigrateVmaRefused, RefusalReason, RefusalStep, UNCOUNTED, UNKNOWN,
};
use tracer_common::family::Family;

use super::moment::Moment;
use super::ping_pong::PingPong;
use super::stacks::{Frames, Stacks};
use super::top::TopSketch;
use crate::event::{Comm, Event};
use crate::report::model::{self, Actor, RangeFaults, TakenBack, Way};

/// Processes, address spaces and devices that are counted at the same time.
const CAPACITY: usize = 1 << 12;

/// Bit of `select` for huge pages that move as one (`MIGRATE_VMA_SELECT_COMPOUND`, 6.19 on).
const COMPOUND: u32 = 1 << 3;

/// -EBUSY.
const BUSY: i32 = -16;

/// Process, address space and owner of the device memory.
type Key = (u32, u64, u64);

#[derive(Clone, Debug, Default)]
struct Moves {
    comm: String,
    migrations: u64,
    pages: u64,
    moved: u64,
    refused: u64,
    passed_over: u64,
    unknown: u64,
}

#[derive(Clone, Debug, Default)]
struct Refused {
    comm: String,
    pages: u64,
}

#[derive(Clone, Debug, Default)]
struct Faults {
    comm: String,
    calls: u64,
    pages: u64,
    busy: u64,
    failed: u64,
}

/// Sums up the family `hmm`.
#[derive(Debug)]
pub struct DeviceMemory {
    migrated: TopSketch<(Key, Way), Moves>,
    refused: TopSketch<(Key, Way, RefusalStep, RefusalReason), Refused>,
    taken_back: TakenBack,
    faults: TopSketch<Key, Faults>,
    ping_pong: PingPong,
}

impl DeviceMemory {
    /// Of a kernel with pages of that size.
    pub fn new(page_size: u64) -> Self {
        Self {
            migrated: TopSketch::new(CAPACITY),
            refused: TopSketch::new(CAPACITY),
            taken_back: TakenBack::default(),
            faults: TopSketch::new(CAPACITY),
            ping_pong: PingPong::new(page_size),
        }
    }

    /// Takes an event; `stacks` know its stack.
    pub fn event(&mut self, event: &Event, moment: &Moment<'_>, stacks: &Stacks) {
        match &event.body {
            Body::MigrateVmaFinalize(migration) => {
                self.migrated(event, migration, moment);
                let comm = moment.names.comm(&event.header).map(Comm::text).unwrap_or_default();
                let stack = stacks.place_of(event.header.stack);
                let who = (event.header.pid, &*comm);
                let way = way(migration.select, migration.fault_page);
                self.ping_pong.migrated(migration, way, who, event.header.time, stack);
            }
            Body::MigrateVmaRefused(page) => self.refused(event, page, moment),
            Body::HmmRangeFault(fault) => self.asked(event, fault, moment),
            Body::MigrateDeviceRange(range) => self.taken_back(range),
            _ => {}
        }
    }

    /// Takes an event that may end an address space.
    pub fn process(&mut self, event: &Event) {
        let header = &event.header;
        match event.kind() {
            Kind::ProcessExec => self.ping_pong.ended(header.pid),
            Kind::ProcessExit if header.tid == header.pid => self.ping_pong.ended(header.pid),
            _ => {}
        }
    }

    /// Events of that family are missing, of any where it is not known.
    pub fn lost(&mut self, family: Option<Family>) {
        if family.is_none_or(|family| family == Family::Hmm) {
            self.ping_pong.doubt();
        }
    }

    fn migrated(&mut self, event: &Event, migration: &MigrateVma, moment: &Moment<'_>) {
        let key = (event.header.pid, migration.mm, migration.owner);
        let way = way(migration.select, migration.fault_page);
        let moves = &mut self.migrated.add((key, way), migration.npages).value;
        name(&mut moves.comm, event, moment);
        moves.migrations += 1;
        moves.pages = moves.pages.saturating_add(migration.npages);
        if migration.migrated == UNCOUNTED || migration.filled == UNCOUNTED {
            moves.unknown += 1;
            return;
        }
        let moved = u64::from(migration.migrated) + u64::from(migration.filled);
        moves.moved = moves.moved.saturating_add(moved);
        // A huge page may be one of the collected and all its pages of the moved, so that what is left is not known.
        let is_by_page = migration.select & COMPOUND == 0 || migration.collected == migration.npages;
        if is_by_page {
            moves.refused += migration.collected.saturating_sub(moved);
            moves.passed_over += migration.npages.saturating_sub(migration.collected);
        } else if moved != migration.npages {
            moves.unknown += 1;
        }
    }

    fn refused(&mut self, event: &Event, page: &MigrateVmaRefused, moment: &Moment<'_>) {
        let Some(step) = RefusalStep::from_number(page.step) else { return };
        let reason = RefusalReason::from_number(page.reason).unwrap_or(RefusalReason::Unknown);
        let key = (event.header.pid, page.mm, page.owner);
        let way = way(page.select, page.fault_page);
        let refused = &mut self.refused.add((key, way, step, reason), page.pages.into()).value;
        name(&mut refused.comm, event, moment);
        refused.pages += u64::from(page.pages);
    }

    fn asked(&mut self, event: &Event, fault: &HmmRangeFault, moment: &Moment<'_>) {
        let faults = &mut self.faults.add((event.header.pid, fault.mm, fault.owner), 1).value;
        name(&mut faults.comm, event, moment);
        faults.calls += 1;
        match fault.result {
            0 => faults.pages = faults.pages.saturating_add(moment.weights.pages),
            BUSY => faults.busy += 1,
            _ => faults.failed += 1,
        }
    }

    fn taken_back(&mut self, range: &MigrateDeviceRange) {
        // Where they were mapped is not said.
        if range.migrating != 0 {
            self.ping_pong.doubt();
        }
        self.taken_back.calls += 1;
        match range.migrating {
            UNCOUNTED => self.taken_back.unknown += 1,
            pages => self.taken_back.pages = self.taken_back.pages.saturating_add(pages.into()),
        }
    }

    /// The report's part, at most `top` lines of each; `stacks` have taken every event.
    pub fn finish(self, top: usize, stacks: &Stacks) -> model::DeviceMemory {
        model::DeviceMemory {
            migrated: self.migrated.into_top(
                top,
                |key, moves| (Reverse(moves.value.pages), *key),
                |(key, way), moves| {
                    let Moves { comm, migrations, pages, moved, refused, passed_over, unknown } = moves.value;
                    let actor = actor(key, comm);
                    model::Migrated { actor, way, migrations, pages, moved, refused, passed_over, unknown }
                },
            ),
            refused: self.refused.into_top(
                top,
                |key, refused| (Reverse(refused.value.pages), *key),
                |(key, way, step, reason), refused| {
                    let Refused { comm, pages } = refused.value;
                    model::Refused { actor: actor(key, comm), way, step, reason, pages }
                },
            ),
            taken_back: self.taken_back,
            range_faults: self.faults.into_top(
                top,
                |key, faults| (Reverse(faults.value.calls), *key),
                |key, faults| {
                    let Faults { comm, calls, pages, busy, failed } = faults.value;
                    RangeFaults { actor: actor(key, comm), calls, pages, busy, failed }
                },
            ),
            ping_pong: self.ping_pong.finish(top, &Frames::new(stacks)),
        }
    }
}

const fn way(select: u32, fault_page: u64) -> Way {
    match select {
        BITS_UNKNOWN => Way::Unknown,
        select if select & MIGRATE_SELECT_SYSTEM != 0 => Way::ToDevice,
        _ => match fault_page {
            UNKNOWN => Way::Back,
            0 => Way::FromDevice,
            _ => Way::FaultBack,
        },
    }
}

fn actor((pid, mm, owner): Key, comm: String) -> Actor {
    Actor { pid, comm, mm, owner: (owner != UNKNOWN).then_some(owner) }
}

fn name(kept: &mut String, event: &Event, moment: &Moment<'_>) {
    if let Some(comm) = moment.names.comm(&event.header) {
        let comm = comm.text();
        if *kept != comm {
            *kept = comm.into_owned();
        }
    }
}

#[cfg(test)]
mod tests {
    use tracer_common::event::STACK_NONE;

    use super::super::{Aggregator, Options};
    use super::*;
    use crate::event::{Header, Item, Sink, synthetic};
    use crate::trace_file::FileHeader;

    fn report(bodies: impl IntoIterator<Item = Body>) -> model::DeviceMemory {
        let mut aggregator = Aggregator::new(&FileHeader::new(synthetic::description()), Options::default());
        for (body, time) in bodies.into_iter().zip(1..) {
            let header = Header { time, tid: 7, pid: 7, kind: body.kind() as u16, cpu: 0, stack: STACK_NONE };
            aggregator.item(&Item::Event(Event { header, body })).unwrap();
        }
        aggregator.finish(None).device_memory
    }

    /// Of `npages` so many collected, migrated and filled.
    fn migration(select: u32, fault_page: u64, npages: u64, [collected, migrated, filled]: [u32; 3]) -> Body {
        Body::MigrateVmaFinalize(MigrateVma {
            mm: 1,
            start: 0,
            end: npages << 12,
            npages,
            collected: collected.into(),
            migrated,
            filled,
            select,
            reserved: 0,
            owner: 2,
            fault_page,
            duration: 0,
        })
    }

    fn numbers(memory: &model::DeviceMemory) -> Vec<(Way, [u64; 6])> {
        let entries = memory.migrated.entries.iter();
        entries
            .map(|moves| {
                let left = [moves.refused, moves.passed_over, moves.unknown];
                (moves.way, [moves.migrations, moves.pages, moves.moved, left[0], left[1], left[2]])
            })
            .collect()
    }

    #[test]
    fn each_page_of_a_range_moved_or_was_refused_or_passed_over() {
        let memory = report([
            migration(1, 0, 64, [60, 50, 4]),
            migration(1, 0, 8, [8, 8, 0]),
            migration(2, 3, 1, [1, 1, 0]),
            migration(2, 0, 16, [16, 15, 0]),
            migration(2, UNKNOWN, 4, [4, 3, 0]),
            migration(BITS_UNKNOWN, UNKNOWN, 2, [2, 1, 0]),
        ]);
        assert_eq!(
            numbers(&memory),
            [
                (Way::ToDevice, [2, 72, 62, 6, 4, 0]),
                (Way::FromDevice, [1, 16, 15, 1, 0, 0]),
                (Way::Back, [1, 4, 3, 1, 0, 0]),
                (Way::Unknown, [1, 2, 1, 1, 0, 0]),
                (Way::FaultBack, [1, 1, 1, 0, 0, 0]),
            ]
        );
    }

    #[test]
    fn refused_pages_are_counted_by_step_and_reason() {
        let refuse = |step: RefusalStep, reason: u32, pages| {
            Body::MigrateVmaRefused(MigrateVmaRefused {
                mm: 1,
                address: 0x1000,
                page: 0,
                flags: 0,
                owner: 2,
                fault_page: 0,
                select: 1,
                step: step as u32,
                reason,
                pages,
                refcount: 3,
                expected: 2,
                mapcount: 0,
                reserved: 0,
            })
        };
        let pinned = RefusalReason::Pinned as u32;
        let memory = report([
            refuse(RefusalStep::Collect, pinned, 1),
            refuse(RefusalStep::Unmap, pinned, 1),
            refuse(RefusalStep::Unmap, pinned, 512),
            // Of a later version.
            refuse(RefusalStep::Unmap, 1000, 2),
        ]);
        let counts: Vec<_> =
            memory.refused.entries.iter().map(|entry| (entry.step, entry.reason, entry.pages)).collect();
        assert_eq!(
            counts,
            [
                (RefusalStep::Unmap, RefusalReason::Pinned, 513),
                (RefusalStep::Unmap, RefusalReason::Unknown, 2),
                (RefusalStep::Collect, RefusalReason::Pinned, 1),
            ]
        );
        assert!(memory.refused.entries.iter().all(|entry| entry.way == Way::ToDevice));
    }

    #[test]
    fn what_is_left_of_huge_pages_is_not_guessed() {
        let whole = migration(1 | COMPOUND, 0, 512, [1, 512, 0]);
        assert_eq!(numbers(&report([whole])), [(Way::ToDevice, [1, 512, 512, 0, 0, 0])]);
        let by_page = migration(1 | COMPOUND, 0, 512, [512, 500, 0]);
        assert_eq!(numbers(&report([by_page])), [(Way::ToDevice, [1, 512, 500, 12, 0, 0])]);
        let mixed = migration(1 | COMPOUND, 0, 1024, [100, 600, 0]);
        assert_eq!(numbers(&report([mixed])), [(Way::ToDevice, [1, 1024, 600, 0, 0, 1])]);
        let unread = migration(1, 0, 64, [60, UNCOUNTED, UNCOUNTED]);
        assert_eq!(numbers(&report([unread])), [(Way::ToDevice, [1, 64, 0, 0, 0, 1])]);
    }

    #[test]
    fn what_drivers_ask_again_and_take_back() {
        let ask = |result| {
            let (mm, start, end) = (1, 0, 8 << 12);
            let request = 1 << 63;
            Body::HmmRangeFault(HmmRangeFault {
                mm,
                start,
                end,
                request,
                owner: UNKNOWN,
                result,
                reserved: 0,
                duration: 0,
            })
        };
        let take = |migrating| {
            Body::MigrateDeviceRange(MigrateDeviceRange {
                start: 0,
                npages: 64,
                migrating,
                result: 0,
                duration: 0,
            })
        };
        let memory = report([ask(BUSY), ask(BUSY), ask(0), ask(-14), take(5), take(6), take(UNCOUNTED)]);
        let actor = Actor { pid: 7, comm: String::new(), mm: 1, owner: None };
        assert_eq!(
            memory.range_faults.entries,
            [RangeFaults { actor, calls: 4, pages: 8, busy: 2, failed: 1 }]
        );
        assert_eq!(memory.taken_back, TakenBack { calls: 3, pages: 11, unknown: 1 });
    }
}
