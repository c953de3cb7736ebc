//! The Firefox profiler's format: markers for the timeline, samples for call trees and flame graphs.
//!
//! Every event is a marker of its thread with its fields and its kernel stack: an interval where the call was
//! measured, otherwise an instant. Every event with a stack is a sample, too, at the time of its end and of weight 1,
//! so that the call tree counts events; its CPU time is the time in the call. States of pages and bounce buffers are intervals on a thread of their own in
//! their process or device, the bytes bounced of a pool a counter, losses intervals of a process of their own. Time 0
//! is that of `CLOCK_MONOTONIC`. The format is tables that are written at once, so they are kept in memory.

mod markers;

use std::io::{self, Write};
use std::time::{Duration, SystemTime};

use fxprof_processed_profile::{
    CategoryColor, CategoryHandle, CounterHandle, CpuDelta, Frame, FrameFlags, FrameInfo, MarkerTiming,
    ProcessHandle, Profile, ReferenceTimestamp, SamplingInterval, StackHandle, StringHandle, ThreadHandle,
    Timestamp,
};
use rustc_hash::FxHashMap;
use tracer_common::event::{Header, Kind, STACK_NONE};
use tracer_common::family::Family;

use super::states::{Change, Place, State, States};
use super::threads::{Named, Threads};
use super::{Export, Out, session};
use crate::escape::escape;
use crate::event::{Decoder, Loss, Names, StackEntry, Summary, Value, duration_field};
use crate::output::{Line, write_value};
use crate::report::stack::{frame_name, kernel_frames};
use crate::trace_file::FileHeader;
use markers::MarkerType;

/// Ids of processes that are none are from here on (`PID_MAX_LIMIT`, include/linux/threads.h, 64-bit).
const FIRST_FREE_PID: u32 = 4 << 20;

/// Threads and processes that markers are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Owner {
    Process(u32),
    Thread(u32, u32),
    Idle(u16),
    /// The states of a process or device.
    States(Place),
    Pools,
    Lost,
}

/// Fills the tables of a profile.
pub struct Firefox {
    out: Out,
    profile: Profile,
    decoder: Decoder,
    categories: [CategoryHandle; Family::COUNT],
    other: CategoryHandle,
    kinds: FxHashMap<Kind, MarkerType>,
    named: FxHashMap<&'static str, MarkerType>,
    threads: Threads,
    processes: FxHashMap<Owner, ProcessHandle>,
    handles: FxHashMap<Owner, ThreadHandle>,
    stacks: FxHashMap<(ThreadHandle, i32), Option<StackHandle>>,
    /// Time of the last sample of each thread.
    sampled: FxHashMap<ThreadHandle, u64>,
    counters: FxHashMap<u64, (CounterHandle, u64)>,
    states: States,
    changes: Vec<Change>,
    pseudo: u32,
    first: Option<u64>,
    latest: u64,
    summary: Option<Summary>,
    text: Vec<u8>,
}

impl Firefox {
    /// For the trace with this header.
    pub fn new(header: &FileHeader, out: Out) -> Self {
        let kernel = &header.kernel;
        let offset = Duration::from_nanos(header.clock.realtime_offset.unsigned_abs());
        let boot = if header.clock.realtime_offset >= 0 {
            SystemTime::UNIX_EPOCH + offset
        } else {
            SystemTime::UNIX_EPOCH - offset
        };
        let mut profile = Profile::new(
            &format!("rmapscope on {}", clean(&header.host)),
            ReferenceTimestamp::from(boot),
            SamplingInterval::from_millis(1),
        );
        profile.set_os_name(&clean(&format!("Linux {} {}", kernel.release, kernel.machine)));
        // Frames are names, there is nothing left to look up.
        profile.set_symbolicated(true);
        let categories = Family::ALL.map(|family| profile.add_category(family.name(), color(family)));
        let other = profile.add_category("recording", CategoryColor::Gray);
        Self {
            out,
            profile,
            decoder: Decoder::new(kernel),
            categories,
            other,
            kinds: FxHashMap::default(),
            named: FxHashMap::default(),
            threads: Threads::default(),
            processes: FxHashMap::default(),
            handles: FxHashMap::default(),
            stacks: FxHashMap::default(),
            sampled: FxHashMap::default(),
            counters: FxHashMap::default(),
            states: States::new(kernel),
            changes: Vec::new(),
            pseudo: FIRST_FREE_PID,
            first: None,
            latest: 0,
            summary: None,
            text: Vec::new(),
        }
    }

    fn begin(&self) -> Timestamp {
        Timestamp::from_nanos_since_reference(self.first.unwrap_or(self.latest))
    }

    fn process(&mut self, owner: Owner, pid: u32, name: &str) -> ProcessHandle {
        let start = self.begin();
        *self.processes.entry(owner).or_insert_with(|| self.profile.add_process(&clean(name), pid, start))
    }

    /// A thread of that process, made where there is none yet.
    fn add_thread(
        &mut self,
        owner: Owner,
        process: ProcessHandle,
        tid: u32,
        name: &str,
        main: bool,
    ) -> ThreadHandle {
        if let Some(handle) = self.handles.get(&owner) {
            return *handle;
        }
        let handle = self.profile.add_thread(process, tid, self.begin(), main);
        self.profile.set_thread_name(handle, &clean(name));
        self.profile.set_thread_show_markers_in_timeline(handle, true);
        self.handles.insert(owner, handle);
        handle
    }

    /// The only thread of a process that is none.
    fn pseudo(&mut self, owner: Owner, name: &str) -> ThreadHandle {
        if let Some(handle) = self.handles.get(&owner) {
            return *handle;
        }
        self.pseudo += 1;
        let pid = self.pseudo;
        let process = self.process(owner, pid, name);
        self.add_thread(owner, process, pid, name, true)
    }

    fn thread(&mut self, header: &Header, names: &Names) -> ThreadHandle {
        if header.tid == 0 {
            let process = self.process(Owner::Process(0), 0, "idle");
            let name = format!("swapper/{}", header.cpu);
            return self.add_thread(Owner::Idle(header.cpu), process, 0, &name, false);
        }
        for (named, name) in self.threads.follow(header, names) {
            match named {
                Named::Process(pid) => {
                    let handle = self.process(Owner::Process(pid), pid, &name);
                    self.profile.set_process_name(handle, &clean(&name));
                }
                Named::Thread(pid, tid) => {
                    let process = self.process(Owner::Process(pid), pid, &name);
                    let handle = self.add_thread(Owner::Thread(pid, tid), process, tid, &name, pid == tid);
                    self.profile.set_thread_name(handle, &clean(&name));
                }
            }
        }
        let process = self.process(Owner::Process(header.pid), header.pid, "?");
        self.add_thread(Owner::Thread(header.pid, header.tid), process, header.tid, "?", false)
    }

    fn text(&mut self, value: &Value<'_>) -> StringHandle {
        self.text.clear();
        match value {
            Value::Absent => self.text.push(b'-'),
            value => write_value(&mut self.text, value, false),
        }
        self.profile.intern_string(&String::from_utf8_lossy(&self.text))
    }

    fn marker_type(&mut self, kind: Kind) -> MarkerType {
        let category = self.categories[kind.family() as usize];
        *self.kinds.entry(kind).or_insert_with(|| {
            let names = kind.fields().iter().map(|field| field.name).chain(["cpu"]);
            MarkerType::new(&mut self.profile, kind.name(), category, names)
        })
    }

    /// Adds a marker of a type that is not an event's.
    fn add(
        &mut self,
        thread: ThreadHandle,
        timing: MarkerTiming,
        name: &'static str,
        values: &[(&str, Value<'_>)],
    ) {
        let of = *self.named.entry(name).or_insert_with(|| {
            MarkerType::new(&mut self.profile, name, self.other, values.iter().map(|(name, _)| *name))
        });
        let values = values.iter().map(|(_, value)| self.text(value)).collect();
        self.profile.add_marker(thread, timing, of.marker(values));
    }

    fn stack_handle(&mut self, thread: ThreadHandle, line: &Line<'_>) -> Option<StackHandle> {
        let id = line.event.header.stack;
        if id == STACK_NONE {
            return None;
        }
        if let Some(stack) = self.stacks.get(&(thread, id)) {
            return *stack;
        }
        let frames = kernel_frames(line.names.stack(id)?);
        let category_pair = self.other.into();
        let frames: Vec<_> = frames
            .into_iter()
            .rev()
            .map(|frame| FrameInfo {
                frame: Frame::Label(self.profile.intern_string(&frame_name(frame))),
                category_pair,
                flags: FrameFlags::empty(),
            })
            .collect();
        let stack = self.profile.intern_stack_frames(thread, frames.into_iter());
        self.stacks.insert((thread, id), stack);
        stack
    }

    /// Takes what has ended; intervals are added whole.
    fn take_changes(&mut self, names: Option<&Names>) {
        let changes = std::mem::take(&mut self.changes);
        for change in &changes {
            match change {
                Change::Begin(state) => {
                    self.states_thread(state, names);
                }
                Change::End(state, time, end) => {
                    let thread = self.states_thread(state, names);
                    let begun = Timestamp::from_nanos_since_reference(state.begun.time);
                    let timing = MarkerTiming::Interval(begun, Timestamp::from_nanos_since_reference(*time));
                    let ended_by = ("ended_by", Value::Word(end.name()));
                    let bytes = ("bytes", Value::Number(state.size));
                    let values = match state.place {
                        Place::Process(_) => {
                            let pfn = self.decoder.pfn(state.object).map_or(Value::Unknown, Value::Hex);
                            [("pfn", pfn), ("address", Value::Hex(state.address)), bytes, ended_by]
                        }
                        Place::Device(_) => [
                            ("original", Value::Hex(state.object)),
                            ("bounce", Value::Hex(state.address)),
                            bytes,
                            ended_by,
                        ],
                    };
                    self.add(thread, timing, state.what.name(), &values);
                }
                Change::Level { pool, time, bytes } => self.level(*pool, *time, *bytes),
            }
        }
        self.changes = changes;
        self.changes.clear();
    }

    fn states_thread(&mut self, state: &State, names: Option<&Names>) -> ThreadHandle {
        let owner = Owner::States(state.place);
        if let Some(handle) = self.handles.get(&owner) {
            return *handle;
        }
        match state.place {
            Place::Process(pid) => {
                let process = self.process(Owner::Process(pid), pid, "?");
                self.add_thread(owner, process, pid, "states of pages", false)
            }
            Place::Device(device) => {
                let name = names.and_then(|names| names.device(device));
                let name =
                    name.map_or_else(|| format!("device {device:#x}"), |name| format!("device {name}"));
                self.pseudo(owner, &name)
            }
        }
    }

    fn level(&mut self, pool: u64, time: u64, bytes: u64) {
        self.pseudo(Owner::Pools, "swiotlb pools");
        let process = self.processes[&Owner::Pools];
        let (counter, before) = self.counters.entry(pool).or_insert_with(|| {
            let name = format!("swiotlb pool {pool:#x}");
            (self.profile.add_counter(process, &name, "Memory", "Bytes in bounce buffers"), 0)
        });
        let delta = bytes as f64 - *before as f64;
        *before = bytes;
        self.profile.add_counter_sample(*counter, Timestamp::from_nanos_since_reference(time), delta, 1);
    }
}

fn color(family: Family) -> CategoryColor {
    match family {
        Family::Process => CategoryColor::DarkGray,
        Family::Exclusive => CategoryColor::Red,
        Family::Rmap => CategoryColor::Blue,
        Family::Migrate => CategoryColor::Orange,
        Family::Mlock => CategoryColor::Purple,
        Family::Fork => CategoryColor::Green,
        Family::Swiotlb => CategoryColor::Brown,
        Family::Hmm => CategoryColor::Magenta,
    }
}

/// A name without characters that could change how others are shown.
fn clean(name: &str) -> String {
    let mut out = Vec::new();
    escape(&mut out, name, false);
    String::from_utf8_lossy(&out).into_owned()
}

impl Export for Firefox {
    fn event(&mut self, line: &Line<'_>) -> io::Result<()> {
        let event = line.event;
        let header = &event.header;
        self.first.get_or_insert(header.time);
        self.latest = self.latest.max(header.time);
        let thread = self.thread(header, line.names);
        let body = event.body.bytes();
        let duration = duration_field(event.kind()).map_or(0, |field| field.number(body)).min(header.time);
        let end = Timestamp::from_nanos_since_reference(header.time);
        let timing = match duration {
            0 => MarkerTiming::Instant(end),
            _ => MarkerTiming::Interval(Timestamp::from_nanos_since_reference(header.time - duration), end),
        };
        let of = self.marker_type(event.kind());
        let mut values = Vec::with_capacity(event.kind().fields().len() + 1);
        for field in event.kind().fields() {
            values.push(self.text(&line.decoder.value(field, body, line.names)));
        }
        values.push(self.text(&Value::Number(header.cpu.into())));
        let marker = self.profile.add_marker(thread, timing, of.marker(values));
        if let Some(stack) = self.stack_handle(thread, line) {
            self.profile.set_marker_stack(thread, marker, Some(stack));
            // Of nested calls each adds what those inside of it have not.
            let before = self.sampled.insert(thread, header.time).unwrap_or(0);
            let busy = Duration::from_nanos(duration.min(header.time.saturating_sub(before)));
            self.profile.add_sample(thread, end, Some(stack), CpuDelta::from(busy), 1);
        }
        self.states.follow(event, true, &mut self.changes);
        self.take_changes(Some(line.names));
        Ok(())
    }

    fn passed(&mut self, line: &Line<'_>) -> io::Result<()> {
        self.states.follow(line.event, false, &mut self.changes);
        self.take_changes(Some(line.names));
        Ok(())
    }

    fn loss(&mut self, loss: &Loss) -> io::Result<()> {
        let known = loss.before != u64::MAX;
        let (after, before) = if known { (loss.after, loss.before) } else { (self.latest, self.latest) };
        self.states.lost(loss, after.max(self.latest), &mut self.changes);
        self.take_changes(None);
        let thread = self.pseudo(Owner::Lost, "lost events");
        let timing = MarkerTiming::Interval(
            Timestamp::from_nanos_since_reference(after),
            Timestamp::from_nanos_since_reference(before.max(after)),
        );
        let family = loss.family().map_or(Value::Unknown, |family| Value::Word(family.name()));
        let values = [
            ("count", Value::Number(loss.count)),
            ("family", family),
            ("cause", Value::Word(session::cause_name(loss.cause))),
            ("time_known", Value::Truth(known)),
        ];
        self.add(thread, timing, "events missing", &values);
        Ok(())
    }

    fn stack(&mut self, stack: &StackEntry) -> io::Result<()> {
        // An id that was used before has a new meaning from here on.
        if self.stacks.keys().any(|(_, id)| *id == stack.id) {
            self.stacks.retain(|(_, id), _| *id != stack.id);
        }
        Ok(())
    }

    fn summary(&mut self, summary: &Summary) -> io::Result<()> {
        self.summary = Some(summary.clone());
        Ok(())
    }

    fn finish(mut self: Box<Self>, incomplete: Option<&str>) -> io::Result<()> {
        self.states.finish(self.latest, &mut self.changes);
        self.take_changes(None);
        let summary = self.summary.take();
        let values = session::values(summary.as_ref(), self.states.left_out(), incomplete);
        let thread = self.pseudo(Owner::Lost, "lost events");
        let timing = MarkerTiming::Instant(Timestamp::from_nanos_since_reference(self.latest));
        self.add(thread, timing, session::NAME, &values);
        serde_json::to_writer(&mut self.out, &self.profile)?;
        self.out.flush()
    }
}
