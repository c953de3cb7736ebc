//! Which process an address space belongs to.

use rustc_hash::FxHashMap;
use tracer_common::event::Body;

use crate::event::Event;

/// Most address spaces that are remembered.
const MOST: usize = 1 << 14;

/// `FAULT_FLAG_USER`: the access came from the process itself (5.15 to 6.12, include/linux/mm_types.h).
const FAULT_FLAG_USER: u32 = 1 << 6;

/// Process ids by `mm_struct`.
#[derive(Debug, Default)]
pub struct Owners {
    pids: FxHashMap<u64, Owner>,
    /// When a process was last without its address space: at its exec or exit.
    left: FxHashMap<u32, u64>,
}

#[derive(Clone, Copy, Debug)]
struct Owner {
    pid: u32,
    /// Whether `current` was surely a thread of that address space.
    is_certain: bool,
    /// When that was seen last.
    time: u64,
}

impl Owners {
    /// Learns from events whose task works on its own memory.
    pub fn follow(&mut self, event: &Event) {
        let (mm, is_certain) = match &event.body {
            // fork(2) copies the caller's own page tables (6.12 kernel/fork.c, dup_mm).
            Body::CopyPageRange(copy) => (copy.source_mm, true),
            Body::MlockFixup(fixup) => (fixup.mm, true),
            Body::ExclusiveFault(fault) => (fault.mm, fault.fault_flags & FAULT_FLAG_USER != 0),
            // A driver mostly acts for the process that asks it to; a kernel thread may do so, too.
            Body::MakeDeviceExclusive(make) => (make.mm, false),
            Body::ProcessExec(_) => return self.left(event),
            Body::ProcessExit(_) if event.header.tid == event.header.pid => return self.left(event),
            _ => return,
        };
        let owner = Owner { pid: event.header.pid, is_certain, time: event.header.time };
        let is_known = self.pid(mm).is_some();
        match self.pids.get_mut(&mm) {
            Some(known) if is_certain || !known.is_certain || !is_known => *known = owner,
            Some(_) => {}
            None => {
                if self.pids.len() >= MOST {
                    self.pids.clear();
                }
                self.pids.insert(mm, owner);
            }
        }
    }

    /// The address space of a process is gone, whatever its address; another process may have it soon.
    fn left(&mut self, event: &Event) {
        if self.left.len() >= MOST {
            self.left.clear();
            self.pids.clear();
        }
        self.left.insert(event.header.pid, event.header.time);
    }

    /// The address space is gone, and its place may be another's soon.
    pub fn exited(&mut self, mm: u64) {
        self.pids.remove(&mm);
    }

    /// The process that uses that address space.
    pub fn pid(&self, mm: u64) -> Option<u32> {
        let owner = self.pids.get(&mm)?;
        let is_over = self.left.get(&owner.pid).is_some_and(|left| *left >= owner.time);
        (!is_over).then_some(owner.pid)
    }
}

#[cfg(test)]
mod tests {
    use tracer_common::event::{Header, MakeDeviceExclusive, ProcessExit, STACK_NONE};

    use super::*;

    const MM: u64 = 0xffff_8880_0000_1000;

    fn event(time: u64, tid: u32, pid: u32, body: Body) -> Event {
        let header = Header { time, tid, pid, kind: body.kind() as u16, cpu: 0, stack: STACK_NONE };
        Event { header, body }
    }

    #[test]
    fn a_process_that_is_gone_owns_nothing() {
        let make = MakeDeviceExclusive {
            mm: MM,
            start: 0,
            end: 4096,
            owner: 0,
            result: 1,
            made: 1,
            unchecked: 0,
            duration: 0,
        };
        let exit = Body::ProcessExit(ProcessExit { exit_code: 0, reserved: 0 });
        let mut owners = Owners::default();
        owners.follow(&event(1, 7, 7, Body::MakeDeviceExclusive(make)));
        owners.follow(&event(2, 8, 7, exit));
        assert_eq!(owners.pid(MM), Some(7), "a thread ended, not the process");
        owners.follow(&event(3, 7, 7, exit));
        assert_eq!(owners.pid(MM), None);
        owners.follow(&event(4, 9, 9, Body::MakeDeviceExclusive(make)));
        assert_eq!(owners.pid(MM), Some(9));
    }
}
