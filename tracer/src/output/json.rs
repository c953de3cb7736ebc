//! NDJSON: one object a line, each with a `type`.
//!
//! Times are integers in nanoseconds of `CLOCK_MONOTONIC`, addresses and pfns are strings in hexadecimal,
//! flag words are lists of names, what is unknown or was not measured is null. A result that is an error has
//! its name beside it, as `NAME_errno`.

use std::borrow::Cow;

use serde_json::json;
use tracer_common::event::STACK_NONE;

use super::columns::Column;
use super::write::{decimal, hex, signed};
use super::{Format, Line, Origin, Span};
use crate::escape::is_unsafe;
use crate::event::{
    Decoder, Entry, EntryState, HeaderField, Loss, ProcessEntry, StackEntry, Summary, Value, errno_name,
};

/// Version of the objects; raised when a field is renamed, removed or gets another meaning.
pub const SCHEMA: u32 = 1;

/// JSON lines.
#[derive(Debug)]
pub struct Json {
    columns: Option<Vec<Column>>,
    raw: bool,
    header: serde_json::Value,
}

impl Json {
    /// `columns` are chosen fields, `None` for all; `raw` adds undecoded numbers to all.
    pub fn new(columns: Option<Vec<Column>>, raw: bool, origin: &Origin<'_>) -> Self {
        let kernel = origin.description;
        let mut header = json!({
            "schema": SCHEMA,
            "program": "rmapscope",
            "version": env!("CARGO_PKG_VERSION"),
            "clock": "monotonic",
            "kernel": {
                "release": kernel.release,
                "version": kernel.version,
                "machine": kernel.machine,
                "build_id": kernel.build_id,
            },
        });
        if let Some(start) = origin.start {
            header["start"] = start.into();
        }
        Self { columns, raw, header }
    }
}

fn key(out: &mut Vec<u8>, name: &str) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

/// Appends a text as a string of JSON.
pub fn text(out: &mut Vec<u8>, text: &str) {
    let is_plain = |byte: &u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\');
    if text.as_bytes().iter().all(is_plain) {
        word(out, text);
    } else {
        serialized(out, &json!(text).to_string());
    }
}

/// Appends what serde wrote.
fn serialized(out: &mut Vec<u8>, json: &str) {
    out.extend_from_slice(escape_json(json).as_bytes());
}

/// What serde wrote, with characters that change a terminal, which serde leaves as they are, as `\uNNNN`. They
/// can only be inside of strings.
pub fn escape_json(json: &str) -> Cow<'_, str> {
    // Nearly all are, and by bytes it is soon known.
    let is_printable = json.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    if is_printable || !json.contains(is_unsafe) {
        return Cow::Borrowed(json);
    }
    let mut out = String::with_capacity(json.len() + 16);
    for character in json.chars() {
        let mut units = [0; 2];
        if is_unsafe(character) {
            for unit in character.encode_utf16(&mut units) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            out.push(character);
        }
    }
    Cow::Owned(out)
}

/// A name of ours or the kernel's, which needs no escaping.
fn word(out: &mut Vec<u8>, word: &str) {
    out.push(b'"');
    out.extend_from_slice(word.as_bytes());
    out.push(b'"');
}

fn hex_text(out: &mut Vec<u8>, number: u64) {
    out.push(b'"');
    hex(out, number);
    out.push(b'"');
}

fn null(out: &mut Vec<u8>) {
    out.extend_from_slice(b"null");
}

fn truth(out: &mut Vec<u8>, truth: bool) {
    out.extend_from_slice(if truth { b"true" } else { b"false" });
}

/// Appends a comma, the name of a member of an object, and its value.
pub(crate) fn member(out: &mut Vec<u8>, name: &str, value: &Value<'_>) {
    key(out, name);
    match value {
        Value::Unknown | Value::Absent => null(out),
        Value::Number(number) => decimal(out, *number),
        Value::Signed(number) => signed(out, *number),
        Value::Hex(number) => hex_text(out, *number),
        Value::Result(number) => {
            signed(out, *number);
            if *number < 0
                && let Some(error) = errno_name(number.unsigned_abs())
            {
                out.extend_from_slice(b",\"");
                out.extend_from_slice(name.as_bytes());
                out.extend_from_slice(b"_errno\":");
                word(out, error);
            }
        }
        Value::Truth(value) => truth(out, *value),
        Value::Word(name) => text(out, name),
        Value::Text(name) => text(out, name),
        Value::Flags(names, value) => {
            let (names, rest) = names.split(*value);
            out.push(b'[');
            let mut first = true;
            for name in names {
                if !std::mem::take(&mut first) {
                    out.push(b',');
                }
                text(out, name);
            }
            if rest != 0 {
                if !first {
                    out.push(b',');
                }
                hex_text(out, rest);
            }
            out.push(b']');
        }
        Value::Entry(value) => entry(out, value),
    }
}

fn entry(out: &mut Vec<u8>, entry: &Entry) {
    out.extend_from_slice(b"{\"kind\":");
    word(out, entry.state.name());
    key(out, "raw");
    hex_text(out, entry.raw);
    let pfn_member = |out: &mut Vec<u8>, pfn: Option<u64>| {
        key(out, "pfn");
        match pfn {
            Some(pfn) => hex_text(out, pfn),
            None => null(out),
        }
    };
    match entry.state {
        EntryState::None => {}
        EntryState::Present { pfn } => pfn_member(out, pfn),
        EntryState::Swap { number, pfn, soft_dirty, uffd_wp, .. } => {
            key(out, "swap_type");
            decimal(out, number.into());
            pfn_member(out, pfn);
            key(out, "soft_dirty");
            truth(out, soft_dirty);
            key(out, "uffd_wp");
            truth(out, uffd_wp);
        }
    }
    out.push(b'}');
}

fn header_member(out: &mut Vec<u8>, field: HeaderField, line: &Line<'_>) {
    let header = &line.event.header;
    let name = field.name();
    match field {
        HeaderField::Time => member(out, name, &Value::Number(header.time)),
        HeaderField::Cpu => member(out, name, &Value::Number(header.cpu.into())),
        HeaderField::Pid => member(out, name, &Value::Number(header.pid.into())),
        HeaderField::Tid => member(out, name, &Value::Number(header.tid.into())),
        HeaderField::Event => member(out, name, &Value::Word(line.event.kind().name())),
        HeaderField::Comm => {
            let comm = line.names.comm(header);
            member(out, name, &comm.map_or(Value::Unknown, |comm| Value::Text(comm.text())));
        }
        HeaderField::Stack => {
            let id = Some(header.stack).filter(|id| *id != STACK_NONE);
            member(out, name, &id.map_or(Value::Absent, |id| Value::Result(id.into())));
        }
        HeaderField::LostFamily | HeaderField::LostCount => {}
    }
}

/// One object made by serde, with its type in front.
fn object(out: &mut Vec<u8>, kind: &str, value: &serde_json::Value) {
    out.extend_from_slice(b"{\"type\":");
    word(out, kind);
    for (name, value) in value.as_object().into_iter().flatten() {
        key(out, name);
        serialized(out, &value.to_string());
    }
    out.extend_from_slice(b"}\n");
}

impl Format for Json {
    fn begin(&mut self, out: &mut Vec<u8>) {
        object(out, "header", &self.header);
    }

    fn event(&mut self, line: &Line<'_>, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"type\":\"event\"");
        match &self.columns {
            None => {
                for field in HeaderField::ALL {
                    if field != HeaderField::Stack || line.event.header.stack != STACK_NONE {
                        header_member(out, field, line);
                    }
                }
                let body = line.event.body.bytes();
                for field in line.event.kind().fields() {
                    member(out, field.name, &line.decoder.value(field, body, line.names));
                    if self.raw
                        && let Some(name) = field.raw
                    {
                        member(out, name, &Decoder::raw_value(field, body));
                    }
                }
            }
            Some(columns) => {
                for column in columns {
                    match column {
                        Column::Header(field) => header_member(out, *field, line),
                        Column::Body(body) => {
                            if let Some(value) = body.value(line.event, line.decoder, line.names) {
                                member(out, column.name(), &value);
                            }
                        }
                    }
                }
            }
        }
        out.extend_from_slice(b"}\n");
    }

    fn loss(&mut self, loss: &Loss, _span: Span, out: &mut Vec<u8>) {
        let family = loss.family().map(|family| family.name());
        let known = loss.before != u64::MAX;
        let mut value = json!({
            "cause": loss.cause,
            "family": family,
            "count": loss.count,
            "after": known.then_some(loss.after),
            "before": known.then_some(loss.before),
        });
        if let Some(kind) = &loss.kind {
            value["kind"] = json!(&**kind);
        }
        object(out, "loss", &value);
    }

    fn process(&mut self, process: &ProcessEntry, out: &mut Vec<u8>) {
        object(out, "process", &json!(process));
    }

    fn stack(&mut self, stack: &StackEntry, out: &mut Vec<u8>) {
        let frames: Vec<_> = stack
            .frames
            .iter()
            .map(|frame| {
                json!({
                    "address": format!("{:#x}", frame.address),
                    "symbol": frame.symbol,
                    "offset": frame.offset,
                    "module": frame.module,
                })
            })
            .collect();
        object(out, "stack", &json!({ "id": stack.id, "frames": frames }));
    }

    fn summary(&mut self, summary: &Summary, out: &mut Vec<u8>) {
        object(out, "summary", &json!(summary));
    }
}

/// An object as one line, with its type in front.
pub(crate) fn line(out: &mut String, kind: &str, object: &serde_json::Value) {
    let text = object.to_string();
    out.push_str(&format!("{{\"type\":\"{kind}\","));
    out.push_str(&escape_json(text.strip_prefix('{').unwrap_or(&text)));
    out.push('\n');
}
