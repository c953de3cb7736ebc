//! Perfetto's own format, protobuf: what `ui.perfetto.dev` and `trace_processor` read.
//!
//! A call whose time was measured is a slice on its thread's track, any other event an instant there, with its
//! fields as annotations and its kernel stack. States of pages and bounce buffers are slices on tracks of their own
//! below the process or device, the bytes bounced of a pool a counter, and losses slices below "lost events"; the
//! packet after a loss says so to the reader, too, and what was interned begins anew there. Times are of
//! `CLOCK_MONOTONIC`, and a snapshot beside the first event tells the time of day.

mod interning;
pub(super) mod messages;
mod tracks;

use std::io::{self, Write};

use prost::Message;
use tracer_common::event::STACK_NONE;

use super::states::{Change, Place, State, States};
use super::{Export, Out, session};
use crate::event::{Loss, StackEntry, Summary, Value, duration_field};
use crate::output::{Line, write_value};
use crate::trace_file::FileHeader;
use interning::Interning;
use messages::{
    Clock, ClockSnapshot, DebugAnnotation, EventType, INCREMENTAL_STATE_CLEARED, MONOTONIC,
    NEEDS_INCREMENTAL_STATE, REALTIME, SystemInfo, Trace, TracePacket, TracePacketDefaults, TrackEvent,
    Utsname,
};
use tracks::Tracks;

/// All packets are of one sequence: one writer made them in this order.
const SEQUENCE: u32 = 1;

/// Category of the slices of losses.
const LOST: &str = "lost";

/// Category of the slices of states.
const STATE: &str = "state";

/// Category of what the recording says about itself.
const SESSION: &str = "session";

/// Writes packets.
pub struct Perfetto {
    out: Out,
    trace: Trace,
    bytes: Vec<u8>,
    text: Vec<u8>,
    system: Option<SystemInfo>,
    realtime_offset: i64,
    interning: Interning,
    tracks: Tracks,
    states: States,
    changes: Vec<Change>,
    latest: u64,
    /// Whether the clock was told.
    has_clock: bool,
    /// Whether the next packet begins interning.
    is_cleared: bool,
    /// Whether events are missing before the next packet.
    is_after_loss: bool,
    summary: Option<Summary>,
}

impl Perfetto {
    /// For the trace with this header.
    pub fn new(header: &FileHeader, out: Out) -> Self {
        let kernel = &header.kernel;
        let system = SystemInfo {
            utsname: Some(Utsname {
                sysname: Some("Linux".to_owned()),
                version: Some(kernel.version.clone()),
                release: Some(kernel.release.clone()),
                machine: Some(kernel.machine.clone()),
            }),
            tracing_service_version: Some(format!("rmapscope {}", header.program_version)),
            page_size: u32::try_from(kernel.page_size).ok(),
            num_cpus: Some(kernel.possible_cpus),
        };
        Self {
            out,
            trace: Trace { packet: vec![TracePacket::default()] },
            bytes: Vec::with_capacity(4096),
            text: Vec::new(),
            system: Some(system),
            realtime_offset: header.clock.realtime_offset,
            interning: Interning::default(),
            tracks: Tracks::default(),
            states: States::new(kernel),
            changes: Vec::new(),
            latest: 0,
            has_clock: false,
            is_cleared: false,
            is_after_loss: false,
            summary: None,
        }
    }

    fn write(&mut self, packet: TracePacket) -> io::Result<()> {
        self.trace.packet[0] = packet;
        self.bytes.clear();
        self.trace.encode(&mut self.bytes).map_err(io::Error::other)?;
        self.out.write_all(&self.bytes)
    }

    /// Writes a packet of the sequence, with what is interned and described for it.
    fn send(&mut self, mut packet: TracePacket) -> io::Result<()> {
        for track in std::mem::take(&mut self.tracks.news) {
            let descriptor = TracePacket {
                track_descriptor: Some(track),
                trusted_packet_sequence_id: Some(SEQUENCE),
                ..TracePacket::default()
            };
            self.write(descriptor)?;
        }
        packet.trusted_packet_sequence_id = Some(SEQUENCE);
        packet.interned_data = self.interning.take();
        if self.is_cleared {
            packet.sequence_flags = Some(NEEDS_INCREMENTAL_STATE);
        } else {
            packet.sequence_flags = Some(INCREMENTAL_STATE_CLEARED | NEEDS_INCREMENTAL_STATE);
            packet.trace_packet_defaults = Some(TracePacketDefaults { timestamp_clock_id: Some(MONOTONIC) });
            packet.first_packet_on_sequence = (!self.is_after_loss).then_some(true);
            packet.previous_packet_dropped = self.is_after_loss.then_some(1);
            self.is_cleared = true;
        }
        self.write(packet)
    }

    /// Tells the clock beside the first time that is written: a reader takes no time before it knows the clock.
    fn tell_clock(&mut self, time: u64) -> io::Result<()> {
        if std::mem::replace(&mut self.has_clock, true) {
            return Ok(());
        }
        let clock = |id, timestamp| Clock { clock_id: Some(id), timestamp: Some(timestamp) };
        let snapshot = ClockSnapshot {
            clocks: vec![
                clock(MONOTONIC, time),
                clock(REALTIME, time.saturating_add_signed(self.realtime_offset)),
            ],
            primary_trace_clock: Some(MONOTONIC),
        };
        self.write(TracePacket {
            clock_snapshot: Some(snapshot),
            trusted_packet_sequence_id: Some(SEQUENCE),
            ..TracePacket::default()
        })?;
        let system = self.system.take();
        self.write(TracePacket {
            system_info: system,
            trusted_packet_sequence_id: Some(SEQUENCE),
            ..TracePacket::default()
        })
    }

    fn send_event(&mut self, time: u64, event: TrackEvent) -> io::Result<()> {
        self.send(TracePacket { timestamp: Some(time), track_event: Some(event), ..TracePacket::default() })
    }

    fn begin(&mut self, event_type: EventType, track: u64, name: &str, category: &str) -> TrackEvent {
        TrackEvent {
            r#type: Some(event_type as u32),
            track_uuid: Some(track),
            name_iid: Some(self.interning.name(name)),
            category_iids: vec![self.interning.category(category)],
            ..TrackEvent::default()
        }
    }

    fn send_end(&mut self, track: u64, time: u64, annotations: Vec<DebugAnnotation>) -> io::Result<()> {
        let event = TrackEvent {
            r#type: Some(EventType::SliceEnd as u32),
            track_uuid: Some(track),
            debug_annotations: annotations,
            ..TrackEvent::default()
        };
        self.send_event(time, event)
    }

    /// `None` for what was not measured.
    fn annotation(&mut self, name: &str, value: &Value<'_>) -> Option<DebugAnnotation> {
        let mut annotation =
            DebugAnnotation { name_iid: Some(self.interning.annotation(name)), ..DebugAnnotation::default() };
        match value {
            Value::Absent => return None,
            Value::Number(number) => annotation.uint_value = Some(*number),
            Value::Signed(number) => annotation.int_value = Some(*number),
            Value::Result(number) if *number >= 0 => annotation.int_value = Some(*number),
            Value::Hex(number) => annotation.pointer_value = Some(*number),
            Value::Truth(truth) => annotation.bool_value = Some(*truth),
            _ => {
                self.text.clear();
                write_value(&mut self.text, value, false);
                annotation.string_value_iid = self.interning.value(&self.text);
                if annotation.string_value_iid.is_none() {
                    annotation.string_value = Some(String::from_utf8_lossy(&self.text).into_owned());
                }
            }
        }
        Some(annotation)
    }

    fn annotations(&mut self, values: &[(&str, Value<'_>)]) -> Vec<DebugAnnotation> {
        values.iter().filter_map(|(name, value)| self.annotation(name, value)).collect()
    }

    fn write_changes(&mut self, line: Option<&Line<'_>>) -> io::Result<()> {
        let changes = std::mem::take(&mut self.changes);
        for change in &changes {
            match change {
                Change::Begin(state) => {
                    let track = self.tracks.of_state(state, line.map(|line| line.names));
                    let mut event = self.begin(EventType::SliceBegin, track, state.what.name(), STATE);
                    let pfn = line.and_then(|line| line.decoder.pfn(state.object));
                    event.debug_annotations = self.annotations(&state_values(state, pfn));
                    self.send_event(state.begun.time, event)?;
                }
                Change::End(state, time, end) => {
                    let track = self.tracks.of_state(state, line.map(|line| line.names));
                    let annotations = self.annotations(&[("ended_by", Value::Word(end.name()))]);
                    self.send_end(track, *time, annotations)?;
                }
                Change::Level { pool, time, bytes } => {
                    let event = TrackEvent {
                        r#type: Some(EventType::Counter as u32),
                        track_uuid: Some(self.tracks.of_pool(*pool)),
                        counter_value: Some(i64::try_from(*bytes).unwrap_or(i64::MAX)),
                        ..TrackEvent::default()
                    };
                    self.send_event(*time, event)?;
                }
            }
        }
        self.changes = changes;
        self.changes.clear();
        Ok(())
    }

    /// What the recording says about itself, as one instant at its end.
    fn write_session(&mut self, incomplete: Option<&str>) -> io::Result<()> {
        let summary = self.summary.take();
        let values = session::values(summary.as_ref(), self.states.left_out(), incomplete);
        let track = self.tracks.of_session();
        let mut event = self.begin(EventType::Instant, track, session::NAME, SESSION);
        event.debug_annotations = self.annotations(&values);
        self.tell_clock(self.latest)?;
        self.send_event(self.latest, event)
    }
}

fn state_values(state: &State, pfn: Option<u64>) -> Vec<(&'static str, Value<'static>)> {
    let bytes = ("bytes", Value::Number(state.size));
    match state.place {
        Place::Process(_) => vec![
            ("address", Value::Hex(state.address)),
            ("mm", if state.owner == 0 { Value::Absent } else { Value::Hex(state.owner) }),
            ("pfn", pfn.map_or(Value::Unknown, Value::Hex)),
            bytes,
        ],
        Place::Device(_) => vec![
            ("bounce", Value::Hex(state.address)),
            ("pool", Value::Hex(state.owner)),
            ("original", Value::Hex(state.object)),
            bytes,
        ],
    }
}

impl Export for Perfetto {
    fn event(&mut self, line: &Line<'_>) -> io::Result<()> {
        let event = line.event;
        let header = &event.header;
        self.latest = self.latest.max(header.time);
        let body = event.body.bytes();
        let duration = duration_field(event.kind()).map_or(0, |field| field.number(body)).min(header.time);
        let start = header.time - duration;
        self.tell_clock(start)?;
        let call = (duration > 0).then_some((start, header.time));
        let track = self.tracks.of_event(header, line.names, call);
        let event_type = if duration > 0 { EventType::SliceBegin } else { EventType::Instant };
        let mut written = self.begin(event_type, track, event.kind().name(), event.kind().family().name());
        written.debug_annotations.extend(self.annotation("cpu", &Value::Number(header.cpu.into())));
        for field in event.kind().fields() {
            let value = line.decoder.value(field, body, line.names);
            written.debug_annotations.extend(self.annotation(field.name, &value));
        }
        if header.stack != STACK_NONE {
            written.callstack_iid = self.interning.stack(header.stack, line.names);
        }
        self.send_event(start, written)?;
        if duration > 0 {
            self.send_end(track, header.time, Vec::new())?;
        }
        self.states.follow(event, true, &mut self.changes);
        self.write_changes(Some(line))
    }

    fn passed(&mut self, line: &Line<'_>) -> io::Result<()> {
        self.states.follow(line.event, false, &mut self.changes);
        self.write_changes(Some(line))
    }

    fn loss(&mut self, loss: &Loss) -> io::Result<()> {
        let known = loss.before != u64::MAX;
        let (after, before) = if known { (loss.after, loss.before) } else { (self.latest, self.latest) };
        self.tell_clock(after)?;
        self.states.lost(loss, after.max(self.latest), &mut self.changes);
        self.write_changes(None)?;
        self.interning = Interning::default();
        (self.is_cleared, self.is_after_loss) = (false, true);
        let end = before.max(after);
        let track = self.tracks.of_loss(loss.family(), after, end);
        let mut event = self.begin(EventType::SliceBegin, track, "events missing", LOST);
        event.debug_annotations = self.annotations(&[
            ("cause", Value::Word(session::cause_name(loss.cause))),
            ("count", Value::Number(loss.count)),
            ("time_known", Value::Truth(known)),
        ]);
        self.send_event(after, event)?;
        self.send_end(track, end, Vec::new())
    }

    fn stack(&mut self, stack: &StackEntry) -> io::Result<()> {
        self.interning.forget_stack(stack.id);
        Ok(())
    }

    fn summary(&mut self, summary: &Summary) -> io::Result<()> {
        self.summary = Some(summary.clone());
        Ok(())
    }

    fn finish(mut self: Box<Self>, incomplete: Option<&str>) -> io::Result<()> {
        self.states.finish(self.latest, &mut self.changes);
        self.write_changes(None)?;
        self.write_session(incomplete)?;
        self.out.flush()
    }
}
