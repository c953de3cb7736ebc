//! Names that the stream gives as it goes: of threads, of devices, and the frames of stacks.

use std::borrow::Cow;
use std::collections::VecDeque;

use rustc_hash::FxHashMap;
use tracer_common::event::{COMM_LEN, DeviceName};

use super::{Body, Event, Frame, Header, Item, StackEntry};
use crate::follow::stacks::{MOST_FRAMES, StackIds};

/// Most threads whose name is kept: a stream that names more of them that never end is not a kernel's.
const MOST_THREADS: usize = 1 << 18;

/// Ended threads whose name is kept a little longer: an interrupt may still come while one goes away.
const MOST_ENDED: usize = 1 << 10;

/// Most devices whose name is kept.
const MOST_DEVICES: usize = 1 << 14;

/// Thread id of every CPU's idle thread.
const IDLE_TID: u32 = 0;

/// The name of a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Comm {
    bytes: [u8; COMM_LEN],
}

impl Comm {
    /// From a name as the kernel stores it, NUL-terminated where it is shorter.
    pub fn new(bytes: [u8; COMM_LEN]) -> Self {
        let length = until_nul(&bytes).len();
        let mut clean = [0; COMM_LEN];
        clean[..length].copy_from_slice(&bytes[..length]);
        Self { bytes: clean }
    }

    /// From text, cut to what the kernel has room for.
    pub fn from_text(text: &str) -> Self {
        let mut bytes = [0; COMM_LEN];
        let length = text.len().min(COMM_LEN - 1);
        bytes[..length].copy_from_slice(&text.as_bytes()[..length]);
        Self::new(bytes)
    }

    /// The name as text, U+FFFD for what is not UTF-8. It needs escaping before it is printed.
    pub fn text(&self) -> Cow<'_, str> {
        text_of(&self.bytes)
    }

    /// The name's bytes, filled with NULs.
    pub fn bytes(&self) -> &[u8; COMM_LEN] {
        &self.bytes
    }
}

fn until_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// The text before the first NUL, U+FFFD for what is not UTF-8.
pub fn text_of(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(until_nul(bytes))
}

/// Names known at one place of the stream. Memory is bounded: what is over a bound stays without a name.
#[derive(Debug, Default)]
pub struct Names {
    comms: FxHashMap<u32, Comm>,
    idle: Vec<Comm>,
    ended: VecDeque<u32>,
    devices: FxHashMap<u64, Box<str>>,
    stacks: StackIds<Vec<Frame>>,
    frames: usize,
}

impl Names {
    /// Takes an item into account. Call it before the item itself is shown: an event that names
    /// something is shown with that name, and the event of a thread's end still has the thread's.
    pub fn follow(&mut self, item: &Item) {
        match item {
            Item::Event(event) => self.follow_event(event),
            Item::Process(process) => self.name_thread(process.tid, Comm::from_text(&process.comm)),
            Item::Stack(stack) => self.keep_stack(stack),
            Item::Loss(_) | Item::Summary(_) => {}
        }
    }

    /// The same of an event.
    pub fn follow_event(&mut self, event: &Event) {
        if event.header.tid == IDLE_TID {
            // Idle threads are in no list of processes (kernel/sched/core.c, `init_idle`).
            for cpu in self.idle.len()..=usize::from(event.header.cpu) {
                self.idle.push(Comm::from_text(&format!("swapper/{cpu}")));
            }
        }
        match &event.body {
            Body::ProcessFork(fork) => self.name_thread(fork.child_tid, Comm::new(fork.comm)),
            Body::ProcessExec(exec) => {
                if exec.old_tid != event.header.tid {
                    self.comms.remove(&exec.old_tid);
                }
                self.name_thread(event.header.tid, Comm::new(exec.comm));
            }
            Body::ProcessRename(rename) => self.name_thread(rename.target_tid, Comm::new(rename.comm)),
            Body::ProcessExit(_) => self.end_thread(event.header.tid),
            Body::DeviceName(name) => self.name_device(name),
            _ => {}
        }
    }

    fn name_thread(&mut self, tid: u32, comm: Comm) {
        if self.comms.len() < MOST_THREADS || self.comms.contains_key(&tid) {
            self.comms.insert(tid, comm);
        }
        // A thread id that is used again belongs to a new thread.
        if !self.ended.is_empty() {
            self.ended.retain(|ended| *ended != tid);
        }
    }

    fn name_device(&mut self, name: &DeviceName) {
        if self.devices.len() < MOST_DEVICES || self.devices.contains_key(&name.device) {
            self.devices.insert(name.device, text_of(&name.name).into());
        }
    }

    fn end_thread(&mut self, tid: u32) {
        self.ended.push_back(tid);
        if self.ended.len() > MOST_ENDED
            && let Some(oldest) = self.ended.pop_front()
        {
            self.comms.remove(&oldest);
        }
    }

    fn keep_stack(&mut self, stack: &StackEntry) {
        let old = self.stacks.stands_for(stack.id, None);
        self.frames -= old.map_or(0, |frames| frames.len());
        if self.frames + stack.frames.len() <= MOST_FRAMES {
            self.frames += stack.frames.len();
            self.stacks.stands_for(stack.id, Some(stack.frames.clone()));
        }
    }

    /// The name of the event's thread.
    pub fn comm(&self, header: &Header) -> Option<&Comm> {
        if header.tid == IDLE_TID {
            self.idle.get(usize::from(header.cpu))
        } else {
            self.comms.get(&header.tid)
        }
    }

    /// The name of the thread with that id; of none for the idle threads, which share theirs.
    pub fn thread(&self, tid: u32) -> Option<&Comm> {
        self.comms.get(&tid)
    }

    /// The name of a device by the address of its `struct device`.
    pub fn device(&self, address: u64) -> Option<&str> {
        self.devices.get(&address).map(|name| &**name)
    }

    /// The frames of a stack, innermost first.
    pub fn stack(&self, id: i32) -> Option<&[Frame]> {
        self.stacks.get(id).map(Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use tracer_common::event::{
        DEVICE_NAME_LEN, Kind, ProcessExec, ProcessExit, ProcessFork, ProcessRename, STACK_NONE,
    };

    use super::*;
    use crate::event::ProcessEntry;

    fn comm(text: &str) -> [u8; COMM_LEN] {
        *Comm::from_text(text).bytes()
    }

    fn header(kind: Kind, tid: u32) -> Header {
        Header { time: 1, tid, pid: tid, kind: kind as u16, cpu: 0, stack: STACK_NONE }
    }

    fn event(tid: u32, body: Body) -> Item {
        Item::Event(Event { header: header(body.kind(), tid), body })
    }

    fn name(names: &Names, tid: u32) -> Option<String> {
        names.comm(&header(Kind::TryToUnmap, tid)).map(|comm| comm.text().into_owned())
    }

    #[test]
    fn a_thread_from_fork_to_exit() {
        let mut names = Names::default();
        names.follow(&Item::Process(ProcessEntry { pid: 1, tid: 1, parent: 0, comm: "sh".into() }));
        assert_eq!(name(&names, 1).as_deref(), Some("sh"));
        assert_eq!(name(&names, 2), None);
        names.follow(&event(
            1,
            Body::ProcessFork(ProcessFork { child_pid: 2, child_tid: 2, comm: comm("sh") }),
        ));
        assert_eq!(name(&names, 2).as_deref(), Some("sh"));
        names.follow(&event(2, Body::ProcessExec(ProcessExec { old_tid: 2, reserved: 0, comm: comm("ls") })));
        assert_eq!(name(&names, 2).as_deref(), Some("ls"));
        let rename = ProcessRename { target_pid: 2, target_tid: 2, comm: comm("list") };
        names.follow(&event(1, Body::ProcessRename(rename)));
        assert_eq!(name(&names, 2).as_deref(), Some("list"));
        names.follow(&event(2, Body::ProcessExit(ProcessExit { exit_code: 0, reserved: 0 })));
        assert_eq!(name(&names, 2).as_deref(), Some("list"));
        for tid in 10..10 + MOST_ENDED as u32 {
            names.follow(&event(tid, Body::ProcessExit(ProcessExit { exit_code: 0, reserved: 0 })));
        }
        assert_eq!(name(&names, 2), None);
    }

    #[test]
    fn a_thread_id_used_again_is_not_forgotten() {
        let mut names = Names::default();
        let exit = Body::ProcessExit(ProcessExit { exit_code: 0, reserved: 0 });
        names.follow(&event(2, exit));
        names.follow(&event(
            1,
            Body::ProcessFork(ProcessFork { child_pid: 2, child_tid: 2, comm: comm("new") }),
        ));
        for tid in 10..10 + MOST_ENDED as u32 {
            names.follow(&event(tid, exit));
        }
        assert_eq!(name(&names, 2).as_deref(), Some("new"));
    }

    #[test]
    fn exec_of_a_thread_takes_the_leaders_id() {
        let mut names = Names::default();
        names.follow(&Item::Process(ProcessEntry { pid: 5, tid: 6, parent: 0, comm: "thread".into() }));
        names
            .follow(&event(5, Body::ProcessExec(ProcessExec { old_tid: 6, reserved: 0, comm: comm("new") })));
        assert_eq!((name(&names, 5).as_deref(), name(&names, 6)), (Some("new"), None));
    }

    #[test]
    fn idle_threads_have_their_cpus_name() {
        let mut names = Names::default();
        let mut header = header(Kind::ProcessExit, 0);
        header.cpu = 3;
        names.follow(&Item::Event(Event {
            header,
            body: Body::ProcessExit(ProcessExit { exit_code: 0, reserved: 0 }),
        }));
        assert_eq!(names.comm(&header).unwrap().text(), "swapper/3");
    }

    #[test]
    fn devices_and_full_length_names() {
        let mut names = Names::default();
        let mut bytes = [b'x'; DEVICE_NAME_LEN];
        names.follow(&event(1, Body::DeviceName(DeviceName { device: 7, name: bytes })));
        assert_eq!(names.device(7).map(str::len), Some(DEVICE_NAME_LEN));
        bytes[3] = 0;
        names.follow(&event(1, Body::DeviceName(DeviceName { device: 7, name: bytes })));
        assert_eq!(names.device(7), Some("xxx"));
        assert_eq!(Comm::new([0xff; COMM_LEN]).text().chars().count(), COMM_LEN);
        assert_eq!(Comm::new(*b"ab\0cdefghijklmno").bytes(), b"ab\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
    }

    #[test]
    fn stacks_are_bounded_by_frames() {
        let mut names = Names::default();
        let frame = Frame { address: 1, symbol: None, offset: 0, module: None };
        let stack = |id, count| Item::Stack(StackEntry { id, frames: vec![frame.clone(); count] });
        names.follow(&stack(1, MOST_FRAMES));
        names.follow(&stack(2, 1));
        assert_eq!(names.stack(1).map(<[Frame]>::len), Some(MOST_FRAMES));
        assert_eq!(names.stack(2), None);
        // An id that stands for another stack, for which there is no room, does not keep the frames of the one before.
        names.follow(&stack(1, MOST_FRAMES - 1));
        names.follow(&stack(2, 1));
        names.follow(&stack(2, 2));
        assert_eq!(names.stack(2), None);
    }
}
