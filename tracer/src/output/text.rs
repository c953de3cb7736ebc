//! Text for people, in the manner of `perf script`: one line an event, details as `name=value`.

use anstyle::{AnsiColor, Style};
use tracer_common::event::STACK_NONE;

use super::columns::Column;
use super::write::{decimal, hex, left, right, seconds, signed};
use super::{Format, Line, Span};
use crate::escape::escape;
use crate::event::{Decoder, EntryState, Frame, HeaderField, Loss, LossCause, Names, Value, errno_name};

const TIME_WIDTH: usize = 14;
const CPU_WIDTH: usize = 3;
const COMM_WIDTH: usize = 15;
const IDS_WIDTH: usize = 13;
const EVENT_WIDTH: usize = 23;

const EVENT_STYLE: Style = AnsiColor::Cyan.on_default();
const LOSS_STYLE: Style = AnsiColor::Red.on_default().bold();

/// Text lines.
#[derive(Debug)]
pub struct Text {
    /// Chosen columns; `None` for the usual line with all details.
    columns: Option<Vec<Column>>,
    /// Undecoded numbers too.
    raw: bool,
    color: bool,
}

impl Text {
    /// `columns` are chosen fields, `None` for the usual line; `raw` adds undecoded numbers to that line.
    pub fn new(columns: Option<Vec<Column>>, raw: bool, color: bool) -> Self {
        Self { columns, raw, color }
    }

    fn styled(&self, out: &mut Vec<u8>, style: Style, write: impl FnOnce(&mut Vec<u8>)) {
        if self.color {
            out.extend_from_slice(style.render().to_string().as_bytes());
            write(out);
            out.extend_from_slice(style.render_reset().to_string().as_bytes());
        } else {
            write(out);
        }
    }

    fn usual(&self, line: &Line<'_>, out: &mut Vec<u8>) {
        let header = &line.event.header;
        right(out, TIME_WIDTH, |out| seconds(out, line.since_start));
        out.push(b' ');
        right(out, CPU_WIDTH, |out| decimal(out, header.cpu.into()));
        out.push(b' ');
        left(out, COMM_WIDTH, |out| comm(out, line));
        out.push(b' ');
        left(out, IDS_WIDTH, |out| {
            decimal(out, header.pid.into());
            out.push(b'/');
            decimal(out, header.tid.into());
        });
        out.push(b' ');
        let kind = line.event.kind();
        self.styled(out, EVENT_STYLE, |out| {
            left(out, EVENT_WIDTH, |out| out.extend_from_slice(kind.name().as_bytes()));
        });
        let body = line.event.body.bytes();
        for field in kind.fields() {
            detail(out, field.name, &line.decoder.value(field, body, line.names));
            if self.raw
                && let Some(name) = field.raw
            {
                detail(out, name, &Decoder::raw_value(field, body));
            }
        }
        trim_end(out);
        out.push(b'\n');
        stack(out, header.stack, line.names);
    }
}

fn detail(out: &mut Vec<u8>, name: &str, value: &Value<'_>) {
    if matches!(value, Value::Absent) {
        return;
    }
    out.push(b' ');
    out.extend_from_slice(name.as_bytes());
    out.push(b'=');
    write_value(out, value, true);
}

fn trim_end(out: &mut Vec<u8>) {
    let spaces = out.iter().rev().take_while(|byte| **byte == b' ').count();
    out.truncate(out.len() - spaces);
}

fn comm(out: &mut Vec<u8>, line: &Line<'_>) {
    match line.names.comm(&line.event.header) {
        Some(comm) => escape(out, &comm.text(), false),
        None => out.push(b'?'),
    }
}

/// Writes a value as text; names lose their spaces where `spaces` asks for it.
pub fn write_value(out: &mut Vec<u8>, value: &Value<'_>, spaces: bool) {
    match value {
        Value::Unknown => out.push(b'?'),
        Value::Absent => {}
        Value::Number(number) => decimal(out, *number),
        Value::Signed(number) => signed(out, *number),
        Value::Hex(number) => hex(out, *number),
        Value::Result(number) => match errno_name(number.wrapping_neg().max(0).cast_unsigned()) {
            Some(name) if *number < 0 => {
                out.push(b'-');
                out.extend_from_slice(name.as_bytes());
            }
            _ => signed(out, *number),
        },
        Value::Truth(truth) => out.push(b'0' + u8::from(*truth)),
        Value::Word(word) => out.extend_from_slice(word.as_bytes()),
        Value::Text(text) => escape(out, text, spaces),
        Value::Flags(names, value) => {
            let (names, rest) = names.split(*value);
            let start = out.len();
            for name in names {
                if out.len() > start {
                    out.push(b'|');
                }
                out.extend_from_slice(name.as_bytes());
            }
            if rest != 0 {
                if out.len() > start {
                    out.push(b'|');
                }
                hex(out, rest);
            } else if out.len() == start {
                out.push(b'0');
            }
        }
        Value::Entry(entry) => write_entry(out, &entry.state),
    }
}

/// `present(pfn=0x12345)`, `device_exclusive_write(pfn=0x12345,soft_dirty)`, `swap(type=0)`.
fn write_entry(out: &mut Vec<u8>, state: &EntryState) {
    out.extend_from_slice(state.name().as_bytes());
    let (number, pfn, soft_dirty, uffd_wp) = match *state {
        EntryState::None => return,
        EntryState::Present { pfn } => (None, pfn, false, false),
        EntryState::Swap { number, kind, pfn, soft_dirty, uffd_wp } => {
            (Some(number).filter(|_| kind.is_none()), pfn, soft_dirty, uffd_wp)
        }
    };
    let mut separator = b'(';
    let mut part = |out: &mut Vec<u8>, text: &str| {
        out.push(std::mem::replace(&mut separator, b','));
        out.extend_from_slice(text.as_bytes());
    };
    if let Some(pfn) = pfn {
        part(out, "pfn=");
        hex(out, pfn);
    }
    if let Some(number) = number {
        part(out, "type=");
        decimal(out, number.into());
    }
    if soft_dirty {
        part(out, "soft_dirty");
    }
    if uffd_wp {
        part(out, "uffd_wp");
    }
    if separator == b',' {
        out.push(b')');
    }
}

fn stack(out: &mut Vec<u8>, id: i32, names: &Names) {
    if id == STACK_NONE {
        return;
    }
    match (names.stack(id), id) {
        (Some(frames), _) => frames.iter().for_each(|entry| frame(out, entry)),
        (None, 0..) => out.extend_from_slice(b"                (stack not recorded)\n"),
        (None, _) => {
            out.extend_from_slice(b"                (no stack: ");
            write_value(out, &Value::Result(id.into()), false);
            out.extend_from_slice(b")\n");
        }
    }
}

fn frame(out: &mut Vec<u8>, frame: &Frame) {
    let address = format!("{:>24x} ", frame.address);
    out.extend_from_slice(address.as_bytes());
    match &frame.symbol {
        Some(symbol) => {
            escape(out, symbol, true);
            out.push(b'+');
            hex(out, frame.offset);
        }
        None => out.extend_from_slice(b"[unknown]"),
    }
    if let Some(module) = &frame.module {
        out.extend_from_slice(b" [");
        escape(out, module, true);
        out.push(b']');
    }
    out.push(b'\n');
}

/// What kept the events from the stream, for people.
pub fn loss_reason(cause: LossCause) -> (&'static str, &'static str) {
    match cause {
        LossCause::Lost => ("lost", "ring full"),
        LossCause::Missed => ("missed", "program skipped by the kernel"),
        LossCause::Dropped => ("dropped", "user space could not take them"),
    }
}

impl Format for Text {
    fn begin(&mut self, out: &mut Vec<u8>) {
        match &self.columns {
            None => {
                let line = format!(
                    "{:>TIME_WIDTH$} {:>CPU_WIDTH$} {:COMM_WIDTH$} {:IDS_WIDTH$} {:EVENT_WIDTH$} DETAILS\n",
                    "TIME(s)", "CPU", "COMM", "PID/TID", "EVENT"
                );
                out.extend_from_slice(line.as_bytes());
            }
            Some(columns) => {
                for (index, column) in columns.iter().enumerate() {
                    if index > 0 {
                        out.push(b' ');
                    }
                    let mut title = column.name().to_uppercase();
                    if matches!(column, Column::Header(HeaderField::Time)) {
                        title.push_str("(s)");
                    }
                    pad(out, column, |out| out.extend_from_slice(title.as_bytes()));
                }
                trim_end(out);
                out.push(b'\n');
            }
        }
    }

    fn event(&mut self, line: &Line<'_>, out: &mut Vec<u8>) {
        let Some(columns) = &self.columns else { return self.usual(line, out) };
        let mut with_stack = false;
        for (index, column) in columns.iter().enumerate() {
            if index > 0 {
                out.push(b' ');
            }
            with_stack |= matches!(column, Column::Header(HeaderField::Stack));
            pad(out, column, |out| cell(out, column, line));
        }
        trim_end(out);
        out.push(b'\n');
        if with_stack {
            stack(out, line.event.header.stack, line.names);
        }
    }

    fn loss(&mut self, loss: &Loss, span: Span, out: &mut Vec<u8>) {
        let (verb, reason) = loss_reason(loss.cause);
        self.styled(out, LOSS_STYLE, |out| {
            out.extend_from_slice(b"--- ");
            match loss.count {
                0 => out.extend_from_slice(b"an unknown number of"),
                count => decimal(out, count),
            }
            if let Some(family) = loss.family() {
                out.push(b' ');
                out.extend_from_slice(family.name().as_bytes());
            }
            let plural = if loss.count == 1 { "" } else { "s" };
            out.extend_from_slice(format!(" event{plural} {verb} (").as_bytes());
            match &loss.kind {
                Some(kind) => {
                    escape(out, kind, false);
                    out.extend_from_slice(b": this version does not know it)");
                }
                None => out.extend_from_slice(format!("{reason})").as_bytes()),
            }
            if span.before == u64::MAX {
                out.extend_from_slice(b" at an unknown time ---");
                return;
            }
            out.extend_from_slice(b" between ");
            seconds(out, span.after);
            out.extend_from_slice(b" s and ");
            seconds(out, span.before);
            out.extend_from_slice(b" s ---");
        });
        out.push(b'\n');
    }
}

fn pad(out: &mut Vec<u8>, column: &Column, write: impl FnOnce(&mut Vec<u8>)) {
    match column {
        Column::Header(HeaderField::Time | HeaderField::Cpu) => right(out, column.width(), write),
        _ => left(out, column.width(), write),
    }
}

/// One field of an event as text; nothing when the event has no such field.
pub fn cell(out: &mut Vec<u8>, column: &Column, line: &Line<'_>) {
    let header = &line.event.header;
    match column {
        Column::Header(HeaderField::Time) => seconds(out, line.since_start),
        Column::Header(HeaderField::Cpu) => decimal(out, header.cpu.into()),
        Column::Header(HeaderField::Comm) => comm(out, line),
        Column::Header(HeaderField::Pid) => decimal(out, header.pid.into()),
        Column::Header(HeaderField::Tid) => decimal(out, header.tid.into()),
        Column::Header(HeaderField::Event) => out.extend_from_slice(line.event.kind().name().as_bytes()),
        Column::Header(HeaderField::Stack) if header.stack == STACK_NONE => {}
        Column::Header(HeaderField::Stack) => signed(out, header.stack.into()),
        Column::Header(HeaderField::LostFamily | HeaderField::LostCount) => {}
        Column::Body(column) => {
            if let Some(value) = column.value(line.event, line.decoder, line.names) {
                write_value(out, &value, true);
            }
        }
    }
}
