//! The Trace Event Format: JSON that most viewers of timelines read.
//!
//! A call whose time was measured is a complete event (`X`), any other event an instant (`i`) of its thread. States
//! of pages and bounce buffers are async spans (`b`, `e`) of the process or device, the bytes bounced of a pool a
//! counter (`C`), and losses spans of a process of their own. Times are microseconds of `CLOCK_MONOTONIC` with
//! three digits for the nanoseconds. Devices and pools have process ids that no process can have.

use std::io::{self, Write};

use rustc_hash::FxHashMap;
use serde_json::json;
use tracer_common::event::STACK_NONE;

use super::states::{Change, End, Place, State, States};
use super::threads::{Named, Threads};
use super::{Export, Out};
use crate::event::{Loss, Names, Summary, duration_field};
use crate::output::{Line, decimal, escape_json, json_text, member};
use crate::report::stack::{frame_name, kernel_frames};
use crate::trace_file::FileHeader;

/// Process ids are below this (`PID_MAX_LIMIT`, include/linux/threads.h, 64-bit).
const FIRST_FREE_PID: u32 = 4 << 20;

/// The process that has the losses.
const LOST_PID: u32 = FIRST_FREE_PID;

/// The process that has the counters of pools.
const POOLS_PID: u32 = FIRST_FREE_PID + 1;

/// The first process that is a device.
const FIRST_DEVICE_PID: u32 = FIRST_FREE_PID + 2;

/// Writes trace events.
pub struct Chrome {
    out: Out,
    line: Vec<u8>,
    is_first: bool,
    threads: Threads,
    states: States,
    changes: Vec<Change>,
    devices: FxHashMap<u64, u32>,
    /// Names of the pseudo-processes that were told.
    told: [bool; 2],
    latest: u64,
    events: u64,
    losses: u64,
    summary: Option<Summary>,
}

impl Chrome {
    /// Begins with what the file says about itself.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn new(header: &FileHeader, mut out: Out) -> io::Result<Self> {
        let kernel = &header.kernel;
        let about = json!({
            "recorded-with": format!("rmapscope {}", header.program_version),
            "host": header.host,
            "kernel": format!("{} {} {}", kernel.release, kernel.version, kernel.machine),
            "clock": header.clock.name,
            "realtime-offset-ns": header.clock.realtime_offset.to_string(),
            "command-line": header.command_line.join(" "),
        });
        let about = about.to_string();
        write!(out, "{{\"displayTimeUnit\":\"ns\",\"otherData\":{},\"traceEvents\":[", escape_json(&about))?;
        Ok(Self {
            out,
            line: Vec::with_capacity(1024),
            is_first: true,
            threads: Threads::default(),
            states: States::new(kernel),
            changes: Vec::new(),
            devices: FxHashMap::default(),
            told: [false; 2],
            latest: 0,
            events: 0,
            losses: 0,
            summary: None,
        })
    }

    /// Begins an event: phase, process, thread and time in nanoseconds.
    fn open(&mut self, phase: char, pid: u32, tid: u32, time: u64) {
        self.line.extend_from_slice(if std::mem::take(&mut self.is_first) { b"\n" } else { b",\n" });
        let line = &mut self.line;
        line.extend_from_slice(b"{\"ph\":\"");
        line.push(phase as u8);
        line.extend_from_slice(b"\",\"pid\":");
        decimal(line, pid.into());
        line.extend_from_slice(b",\"tid\":");
        decimal(line, tid.into());
        line.extend_from_slice(b",\"ts\":");
        microseconds(line, time);
    }

    fn name(&mut self, name: &str, category: &str) {
        self.line.extend_from_slice(b",\"name\":");
        self.text(name);
        self.line.extend_from_slice(b",\"cat\":");
        self.text(category);
    }

    fn text(&mut self, text: &str) {
        json_text(&mut self.line, text);
    }

    fn args(&mut self, args: &serde_json::Value) {
        self.line.extend_from_slice(b",\"args\":");
        self.line.extend_from_slice(escape_json(&args.to_string()).as_bytes());
    }

    fn close(&mut self) -> io::Result<()> {
        self.line.push(b'}');
        self.out.write_all(&self.line)?;
        self.line.clear();
        Ok(())
    }

    fn tell_name(&mut self, what: &str, pid: u32, tid: u32, name: &str) -> io::Result<()> {
        self.open('M', pid, tid, 0);
        self.name(what, "__metadata");
        self.args(&json!({ "name": name }));
        self.close()
    }

    /// Names one of the two processes that are none.
    fn tell_pseudo(&mut self, pid: u32, name: &str) -> io::Result<()> {
        if std::mem::replace(&mut self.told[(pid - FIRST_FREE_PID) as usize], true) {
            return Ok(());
        }
        self.tell_name("process_name", pid, pid, name)
    }

    fn tell_threads(&mut self, line: &Line<'_>) -> io::Result<()> {
        for (named, name) in self.threads.follow(&line.event.header, line.names) {
            match named {
                Named::Process(pid) => self.tell_name("process_name", pid, pid, &name)?,
                Named::Thread(pid, tid) => self.tell_name("thread_name", pid, tid, &name)?,
            }
        }
        Ok(())
    }

    fn device(&mut self, device: u64, names: &Names) -> io::Result<u32> {
        if let Some(pid) = self.devices.get(&device) {
            return Ok(*pid);
        }
        let pid = FIRST_DEVICE_PID + self.devices.len() as u32;
        self.devices.insert(device, pid);
        let name = names.device(device).map_or_else(|| format!("{device:#x}"), str::to_owned);
        self.tell_name("process_name", pid, pid, &format!("device {name}"))?;
        Ok(pid)
    }

    fn write_changes(&mut self, line: Option<&Line<'_>>) -> io::Result<()> {
        let changes = std::mem::take(&mut self.changes);
        for change in &changes {
            match change {
                Change::Begin(state) => {
                    let pid = match (state.place, line) {
                        (Place::Process(pid), _) => pid,
                        (Place::Device(device), Some(line)) => self.device(device, line.names)?,
                        (Place::Device(_), None) => continue,
                    };
                    let pfn = line.and_then(|line| line.decoder.pfn(state.object));
                    self.span('b', pid, state.begun.time, state, &state_args(state, pfn))?;
                }
                Change::End(state, time, end) => {
                    let pid = match state.place {
                        Place::Process(pid) => pid,
                        Place::Device(device) => self.devices.get(&device).copied().unwrap_or(POOLS_PID),
                    };
                    self.span('e', pid, *time, state, &json!({ "ended_by": End::name(*end) }))?;
                }
                Change::Level { pool, time, bytes } => {
                    self.tell_pseudo(POOLS_PID, "swiotlb pools")?;
                    self.open('C', POOLS_PID, POOLS_PID, *time);
                    self.name(&format!("pool {pool:#x}: bytes bounced"), "swiotlb");
                    self.args(&json!({ "bytes": bytes }));
                    self.close()?;
                }
            }
        }
        self.changes = changes;
        self.changes.clear();
        Ok(())
    }

    fn span(
        &mut self,
        phase: char,
        pid: u32,
        time: u64,
        state: &State,
        args: &serde_json::Value,
    ) -> io::Result<()> {
        self.open(phase, pid, if pid < FIRST_FREE_PID { state.begun.tid } else { pid }, time);
        self.name(state.what.name(), "state");
        self.line.extend_from_slice(b",\"id\":");
        decimal(&mut self.line, state.id);
        self.args(args);
        self.close()
    }

    fn write_stack(&mut self, line: &Line<'_>) {
        let id = line.event.header.stack;
        if id == STACK_NONE {
            return;
        }
        let Some(frames) = line.names.stack(id) else { return };
        self.line.extend_from_slice(b",\"stack\":[");
        for (index, frame) in kernel_frames(frames).into_iter().enumerate() {
            if index > 0 {
                self.line.push(b',');
            }
            self.text(&frame_name(frame));
        }
        self.line.push(b']');
    }
}

fn state_args(state: &State, pfn: Option<u64>) -> serde_json::Value {
    let hex = |number: u64| format!("{number:#x}");
    match state.place {
        Place::Process(_) => json!({
            "address": hex(state.address),
            "mm": (state.owner != 0).then(|| hex(state.owner)),
            "pfn": pfn.map(hex),
            "bytes": state.size,
        }),
        Place::Device(_) => json!({
            "bounce": hex(state.address),
            "pool": hex(state.owner),
            "original": hex(state.object),
            "bytes": state.size,
        }),
    }
}

/// Nanoseconds as microseconds with three digits after the point.
fn microseconds(out: &mut Vec<u8>, nanoseconds: u64) {
    decimal(out, nanoseconds / 1000);
    let rest = nanoseconds % 1000;
    out.push(b'.');
    out.extend([rest / 100, rest / 10 % 10, rest % 10].map(|digit| b'0' + digit as u8));
}

impl Export for Chrome {
    fn event(&mut self, line: &Line<'_>) -> io::Result<()> {
        let event = line.event;
        let header = &event.header;
        self.latest = self.latest.max(header.time);
        self.events += 1;
        self.tell_threads(line)?;
        let body = event.body.bytes();
        let duration = duration_field(event.kind()).map_or(0, |field| field.number(body)).min(header.time);
        self.open(if duration > 0 { 'X' } else { 'i' }, header.pid, header.tid, header.time - duration);
        if duration > 0 {
            self.line.extend_from_slice(b",\"dur\":");
            microseconds(&mut self.line, duration);
        } else {
            self.line.extend_from_slice(b",\"s\":\"t\"");
        }
        self.name(event.kind().name(), event.kind().family().name());
        self.line.extend_from_slice(b",\"args\":{\"cpu\":");
        decimal(&mut self.line, header.cpu.into());
        for field in event.kind().fields() {
            member(&mut self.line, field.name, &line.decoder.value(field, body, line.names));
        }
        self.write_stack(line);
        self.line.push(b'}');
        self.close()?;
        self.states.follow(event, true, &mut self.changes);
        self.write_changes(Some(line))
    }

    fn passed(&mut self, line: &Line<'_>) -> io::Result<()> {
        self.states.follow(line.event, false, &mut self.changes);
        self.write_changes(Some(line))
    }

    fn loss(&mut self, loss: &Loss) -> io::Result<()> {
        self.losses += 1;
        let known = loss.before != u64::MAX;
        let (after, before) = if known { (loss.after, loss.before) } else { (self.latest, self.latest) };
        self.states.lost(loss, after.max(self.latest), &mut self.changes);
        self.write_changes(None)?;
        self.tell_pseudo(LOST_PID, "lost events")?;
        let family = loss.family();
        // A thread of its own each: the spans of different families overlap.
        let tid = LOST_PID + 1 + family.map_or(0, |family| family as u32 + 1);
        for (phase, time) in [('b', after), ('e', before.max(after))] {
            self.open(phase, LOST_PID, tid, time);
            let family = family.map_or("events", |family| family.name());
            self.name(&format!("{family} missing"), "lost");
            self.line.extend_from_slice(b",\"id\":");
            decimal(&mut self.line, self.losses);
            self.args(&json!({ "cause": loss.cause, "count": loss.count, "time_known": known }));
            self.close()?;
        }
        Ok(())
    }

    fn summary(&mut self, summary: &Summary) -> io::Result<()> {
        self.summary = Some(summary.clone());
        Ok(())
    }

    fn finish(mut self: Box<Self>, incomplete: Option<&str>) -> io::Result<()> {
        self.states.finish(self.latest, &mut self.changes);
        self.write_changes(None)?;
        let about = json!({
            "events": self.events,
            "losses": self.losses,
            "states-left-out": self.states.left_out(),
            "incomplete": incomplete,
            "summary": self.summary,
        });
        write!(self.out, "\n],\"rmapscope\":{}}}\n", escape_json(&about.to_string()))?;
        self.out.flush()
    }
}
