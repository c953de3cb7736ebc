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

/// One address space.
#[derive(Clone, Copy, Debug)]
struct Space {
    mm: u64,
    owner: Option<Owner>,
    /// When it was seen first.
    first: u64,
}

/// Every address space of the stream.
#[derive(Debug, Default)]
pub struct Spaces {
    /// Those that live, by `mm_struct`.
    living: FxHashMap<u64, Id>,
    /// The `mm_struct`s that a process was said to own.
    owned: FxHashMap<u32, Vec<u64>>,
    all: Vec<Space>,
    /// The address space that a thread fills for its child, and when it began to.
    children: FxHashMap<u32, (u64, u64)>,
    /// Since when a process has its address space, where its fork or exec was seen.
    since: FxHashMap<u32, u64>,
    /// Time of the event that is looked at.
    now: u64,
    /// What was told last of an owner, as long as nothing has changed since: a driver goes through many pages.
    told: Option<(u64, u32, bool)>,
}

impl Spaces {
    /// The one that lives at that `mm_struct`.
    pub fn id(&mut self, mm: u64) -> Option<Id> {
        if let Some(id) = self.living.get(&mm) {
            return Some(*id);
        }
        let id = Id::try_from(self.all.len()).ok().filter(|_| !self.is_full())?;
        self.all.push(Space { mm, owner: None, first: self.now });
        self.living.insert(mm, id);
        Some(id)
    }

    /// The process that the address space at that `mm_struct` belongs to, where that is known.
    pub fn pid(&self, mm: u64) -> Option<u32> {
        self.all[*self.living.get(&mm)? as usize].owner.map(|owner| owner.pid)
    }

    /// Whether there is no room for others.
    pub fn is_full(&self) -> bool {
        self.all.len() >= MOST
    }

    /// Its `mm_struct` and its owner, as far as that is known.
    pub fn get(&self, id: Id) -> (u64, Option<Owner>) {
        let Space { mm, owner, .. } = self.all[id as usize];
        (mm, owner)
    }

    #[inline]
    fn owned(&mut self, mm: u64, pid: u32, is_certain: bool) {
        if self.told != Some((mm, pid, is_certain)) {
            self.owned_anew(mm, pid, is_certain);
            self.told = Some((mm, pid, is_certain));
        }
    }

    fn owned_anew(&mut self, mm: u64, pid: u32, is_certain: bool) {
        let Some(id) = self.id(mm) else { return };
        let Space { owner: known, first, .. } = self.all[id as usize];
        let is_older = self.since.get(&pid).is_some_and(|since| first < *since);
        let is_anothers = known.is_some_and(|known| known.is_certain && known.pid != pid);
        let id = match known {
            // What was seen there belonged to another process, and its end was not seen.
            _ if is_certain && (is_older || is_anothers) => {
                self.living.remove(&mm);
                self.id(mm)
            }
            _ if is_older => None,
            Some(known) if known.is_certain || !is_certain => None,
            _ => Some(id),
        };
        if let Some(id) = id {
            self.all[id as usize].owner = Some(Owner { pid, is_certain });
            self.owned.entry(pid).or_default().push(mm);
        }
    }

    /// A process has a new address space.
    fn begun(&mut self, pid: u32, time: u64) {
        self.told = None;
        if self.since.len() < MOST || self.since.contains_key(&pid) {
            self.since.insert(pid, time);
        }
    }

    /// The address spaces of a process are gone.
    fn left(&mut self, pid: u32) {
        self.told = None;
        for mm in self.owned.remove(&pid).unwrap_or_default() {
            if self.pid(mm) == Some(pid) {
                self.living.remove(&mm);
            }
        }
        self.since.remove(&pid);
    }

    /// Takes into account what an event tells of owners, before the event itself is looked at.
    pub fn before(&mut self, event: &Event) {
        let header = &event.header;
        self.now = header.time;
        match &event.body {
            // fork(2) copies the caller's own page tables (6.12 kernel/fork.c, dup_mm).
            Body::CopyPageRange(copy) => {
                self.owned(copy.source_mm, header.pid, true);
                let child = self.children.get(&header.tid).filter(|(mm, _)| *mm == copy.destination_mm);
                if child.is_none() {
                    self.told = None;
                    self.children.insert(header.tid, (copy.destination_mm, header.time));
                    self.living.remove(&copy.destination_mm);
                }
            }
            Body::ProcessFork(fork) => {
                let child = self.children.remove(&header.tid);
                if fork.child_pid != header.pid {
                    self.begun(fork.child_pid, child.map_or(header.time, |(_, since)| since));
                    if let Some((mm, _)) = child {
                        self.owned(mm, fork.child_pid, true);
                    }
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
            Body::MigrateVmaPages(migration) | Body::MigrateVmaFinalize(migration) => {
                self.owned(migration.mm, header.pid, false);
            }
            _ => {}
        }
    }

    /// Takes into account what ended with an event.
    pub fn after(&mut self, event: &Event) {
        match &event.body {
            Body::ExclusiveExit(exit) => {
                self.told = None;
                self.living.remove(&exit.mm);
            }
            Body::ProcessExit(_) if event.header.tid == event.header.pid => self.left(event.header.pid),
            Body::ProcessExec(_) => {
                self.left(event.header.pid);
                self.begun(event.header.pid, event.header.time);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use tracer_common::event::{
        Header, MakeDeviceExclusive, MlockFixup, ProcessExec, ProcessExit, STACK_NONE,
    };

    use super::*;

    const MM: u64 = 0xffff_8880_0000_1000;

    fn event(time: u64, pid: u32, body: Body) -> Event {
        let header = Header { time, tid: pid, pid, kind: body.kind() as u16, cpu: 0, stack: STACK_NONE };
        Event { header, body }
    }

    fn take(spaces: &mut Spaces, event: &Event) {
        spaces.before(event);
        spaces.after(event);
    }

    fn mlock(time: u64, pid: u32) -> Event {
        let fixup = MlockFixup {
            mm: MM,
            start: 0,
            end: 4096,
            old_vm_flags: 0,
            new_vm_flags: 0,
            result: 0,
            reserved: 0,
            duration: 0,
        };
        event(time, pid, Body::MlockFixup(fixup))
    }

    #[test]
    fn a_process_does_not_own_what_was_seen_before_it_began() {
        let mut spaces = Spaces::default();
        take(&mut spaces, &event(1, 7, Body::ProcessExit(ProcessExit { exit_code: 0, reserved: 0 })));
        // Something that process 7 or reclaim did there: whose it is, nobody said.
        let earlier = spaces.id(MM).unwrap();
        take(
            &mut spaces,
            &event(5, 8, Body::ProcessExec(ProcessExec { old_tid: 8, reserved: 0, comm: [0; 16] })),
        );
        take(&mut spaces, &mlock(6, 8));
        let later = spaces.id(MM).unwrap();
        assert_ne!(earlier, later);
        assert_eq!(spaces.get(earlier), (MM, None));
        assert_eq!(spaces.get(later).1, Some(Owner { pid: 8, is_certain: true }));
        take(&mut spaces, &mlock(7, 8));
        assert_eq!(spaces.id(MM), Some(later));
    }

    #[test]
    fn a_process_that_was_there_from_the_beginning_owns_what_was_seen_before() {
        let mut spaces = Spaces::default();
        let seen = spaces.id(MM).unwrap();
        take(&mut spaces, &mlock(6, 8));
        assert_eq!(spaces.get(seen).1, Some(Owner { pid: 8, is_certain: true }));
    }

    #[test]
    fn a_process_that_is_gone_owns_nothing() {
        let make = |time, pid| {
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
            event(time, pid, Body::MakeDeviceExclusive(make))
        };
        let exit = event(3, 7, Body::ProcessExit(ProcessExit { exit_code: 0, reserved: 0 }));
        let mut of_a_thread = exit;
        of_a_thread.header.tid = 8;
        let mut spaces = Spaces::default();
        take(&mut spaces, &make(1, 7));
        take(&mut spaces, &of_a_thread);
        assert_eq!(spaces.pid(MM), Some(7), "a thread ended, not the process");
        take(&mut spaces, &exit);
        assert_eq!(spaces.pid(MM), None);
        take(&mut spaces, &make(4, 9));
        assert_eq!(spaces.pid(MM), Some(9));
    }
}
