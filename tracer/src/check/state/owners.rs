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
}

#[derive(Clone, Copy, Debug)]
struct Owner {
    pid: u32,
    /// Whether `current` was surely a thread of that address space.
    is_certain: bool,
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
            _ => return,
        };
        let owner = Owner { pid: event.header.pid, is_certain };
        match self.pids.get_mut(&mm) {
            Some(known) if is_certain || !known.is_certain => *known = owner,
            Some(_) => {}
            None => {
                if self.pids.len() >= MOST {
                    self.pids.clear();
                }
                self.pids.insert(mm, owner);
            }
        }
    }

    /// The address space is gone, and its place may be another's soon.
    pub fn exited(&mut self, mm: u64) {
        self.pids.remove(&mm);
    }

    /// The process that uses that address space.
    pub fn pid(&self, mm: u64) -> Option<u32> {
        self.pids.get(&mm).map(|owner| owner.pid)
    }
}
