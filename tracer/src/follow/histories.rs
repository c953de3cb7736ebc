//! Random histories of processes: what is told of an address space's owner is true, whatever came before.

use std::collections::BTreeMap;

use proptest::prelude::*;
use tracer_common::event::{Header, MakeDeviceExclusive, MlockFixup, ProcessExec, ProcessExit, STACK_NONE};

use super::spaces::Spaces;
use crate::event::{Body, Event};

/// What a process does.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Its own memory is locked, which says whose it is.
    Mlock,
    /// A driver makes pages of it exclusive, in its context or in that of another.
    Make(u32),
    Exec,
    Exit,
    /// A thread that is not the first ends.
    ThreadExit,
    /// It is gone, and nobody told.
    Unseen,
}

fn step() -> impl Strategy<Value = (u32, Step, usize)> {
    let step = prop_oneof![
        Just(Step::Mlock),
        (1..4_u32).prop_map(Step::Make),
        Just(Step::Exec),
        Just(Step::Exit),
        Just(Step::ThreadExit),
        Just(Step::Unseen),
    ];
    (1..4_u32, step, any::<usize>())
}

/// Processes with one address space each, whose `mm_struct`s are used again.
#[derive(Default)]
struct World {
    owned: BTreeMap<u32, u64>,
    time: u64,
}

impl World {
    /// The address space of a process, a new one where it has none.
    fn mm(&mut self, pid: u32, random: usize) -> u64 {
        let free: Vec<u64> = (1..5)
            .map(|number| number * 0x1000)
            .filter(|mm| !self.owned.values().any(|of| of == mm))
            .collect();
        *self.owned.entry(pid).or_insert(free[random % free.len()])
    }

    fn event(&mut self, pid: u32, tid: u32, body: Body) -> Event {
        self.time += 1;
        let header =
            Header { time: self.time, tid, pid, kind: body.kind() as u16, cpu: 0, stack: STACK_NONE };
        Event { header, body }
    }
}

fn mlock(mm: u64) -> Body {
    Body::MlockFixup(MlockFixup {
        mm,
        start: 0,
        end: 4096,
        old_vm_flags: 0,
        new_vm_flags: 0,
        result: 0,
        reserved: 0,
        duration: 0,
    })
}

fn make(mm: u64) -> Body {
    Body::MakeDeviceExclusive(MakeDeviceExclusive {
        mm,
        start: 0,
        end: 4096,
        owner: 0,
        result: 1,
        made: 1,
        unchecked: 0,
        duration: 0,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_certain_owner_is_the_owner(steps in prop::collection::vec(step(), 0..60)) {
        let (mut world, mut spaces) = (World::default(), Spaces::default());
        for (pid, step, random) in steps {
            let mm = world.mm(pid, random);
            if let Step::Unseen = step {
                world.owned.remove(&pid);
                continue;
            }
            let (tid, body) = match step {
                Step::Mlock | Step::Unseen => (pid, mlock(mm)),
                Step::Make(_) => (pid, make(mm)),
                Step::Exec => (pid, Body::ProcessExec(ProcessExec { old_tid: pid, reserved: 0, comm: [0; 16] })),
                Step::Exit => (pid, Body::ProcessExit(ProcessExit { exit_code: 0, reserved: 0 })),
                Step::ThreadExit => (pid + 100, Body::ProcessExit(ProcessExit { exit_code: 0, reserved: 0 })),
            };
            let actor = if let Step::Make(actor) = step { actor } else { pid };
            let event = world.event(actor, tid, body);
            spaces.before(&event);
            if let Step::Mlock = step {
                prop_assert_eq!(spaces.pid(mm), Some(pid));
            }
            spaces.after(&event);
            if let Step::Exec | Step::Exit = step {
                world.owned.remove(&pid);
                prop_assert_ne!(spaces.pid(mm), Some(pid), "it is gone");
            }
        }
    }
}
