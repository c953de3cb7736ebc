//! Address spaces and the processes that they belong to.
//!
//! The address of an `mm_struct` names an address space only while it lives: the next process may get the same one.

use rustc_hash::FxHashMap;
use tracer_common::event::Body;

use crate::event::Event;

/// Most address spaces that are told apart; later ones have no number.
const MOST: usize = 1 << 18;

/// `FAULT_FLAG_USER`: the access came from the process itself (5.15 to 6.12, include/linux/mm_types.h).
const FAULT_FLAG_USER: u32 = 1 << 6;

/// Number of an address space.
pub type Id = u32;

/// Whose an address space is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Process id.
    pub pid: u32,
    /// Whether `current` surely worked on its own memory.
    pub is_certain: bool,
}

/// Every address space of the stream.
#[derive(Debug, Default)]
pub struct Spaces {
    /// Those that live, by `mm_struct`.
    living: FxHashMap<u64, Id>,
    all: Vec<(u64, Option<Owner>)>,
    /// The address space that a thread fills for its child.
    children: FxHashMap<u32, u64>,
}

impl Spaces {
    /// The one that lives at that `mm_struct`.
    pub fn id(&mut self, mm: u64) -> Option<Id> {
        if let Some(id) = self.living.get(&mm) {
            return Some(*id);
        }
        let id = Id::try_from(self.all.len()).ok().filter(|_| self.all.len() < MOST)?;
        self.all.push((mm, None));
        self.living.insert(mm, id);
        Some(id)
    }

    /// Its `mm_struct` and its owner, as far as that is known.
    pub fn get(&self, id: Id) -> (u64, Option<Owner>) {
        self.all[id as usize]
    }

    fn owned(&mut self, mm: u64, pid: u32, is_certain: bool) {
        let Some(id) = self.id(mm) else { return };
        let owner = Some(Owner { pid, is_certain });
        match &mut self.all[id as usize].1 {
            Some(known) if known.is_certain && known.pid != pid => {
                if is_certain {
                    // Another process: the old address space ended unseen.
                    self.living.remove(&mm);
                    if let Some(id) = self.id(mm) {
                        self.all[id as usize].1 = owner;
                    }
                }
            }
            Some(known) if known.is_certain || !is_certain => {}
            known => *known = owner,
        }
    }

    /// The address spaces of a process are gone.
    fn left(&mut self, pid: u32) {
        let all = &self.all;
        self.living.retain(|_, id| all[*id as usize].1.is_none_or(|owner| owner.pid != pid));
    }

    /// Takes into account what an event tells of owners, before the event itself is looked at.
    pub fn before(&mut self, event: &Event) {
        let header = &event.header;
        match &event.body {
            // fork(2) copies the caller's own page tables (6.12 kernel/fork.c, dup_mm).
            Body::CopyPageRange(copy) => {
                self.owned(copy.source_mm, header.pid, true);
                if self.children.insert(header.tid, copy.destination_mm) != Some(copy.destination_mm) {
                    self.living.remove(&copy.destination_mm);
                }
            }
            Body::ProcessFork(fork) => {
                if let Some(mm) = self.children.remove(&header.tid)
                    && fork.child_pid != header.pid
                {
                    self.owned(mm, fork.child_pid, true);
                }
            }
            Body::MlockFixup(fixup) => self.owned(fixup.mm, header.pid, true),
            Body::ExclusiveMove(moved) => self.owned(moved.mm, header.pid, true),
            Body::ExclusiveFault(fault) => {
                self.owned(fault.mm, header.pid, fault.fault_flags & FAULT_FLAG_USER != 0);
            }
            // A driver mostly acts for the process that asks it to; a kernel thread may do so, too.
            Body::MakeDeviceExclusive(make) => self.owned(make.mm, header.pid, false),
            Body::ExclusivePage(page) => self.owned(page.mm, header.pid, false),
            Body::RestoreExclusive(restore) => self.owned(restore.mm, header.pid, false),
            Body::MigrateVmaSetup(setup) => self.owned(setup.mm, header.pid, false),
            _ => {}
        }
    }

    /// Takes into account what ended with an event.
    pub fn after(&mut self, event: &Event) {
        match &event.body {
            Body::ExclusiveExit(exit) => {
                self.living.remove(&exit.mm);
            }
            Body::ProcessExit(_) if event.header.tid == event.header.pid => self.left(event.header.pid),
            Body::ProcessExec(_) => self.left(event.header.pid),
            _ => {}
        }
    }
}
