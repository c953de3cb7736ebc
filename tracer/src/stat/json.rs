//! Counts as NDJSON: an object a group, behind a header and before what is missing.

use serde_json::json;

use super::cell::{Cell, QUANTILE_ERROR};
use super::counts::Losses;
use super::row::{Label, Sheet, function};
use crate::event::Value;
use crate::output::{SCHEMA, decimal, escape_json, member};
use crate::overhead::ProgramCost;

/// What the counts are.
pub fn begin(sheet: &Sheet<'_>, out: &mut Vec<u8>) {
    let of = sheet.of();
    let header = json!({
        "type": "header",
        "schema": SCHEMA,
        "program": "rmapscope",
        "version": env!("CARGO_PKG_VERSION"),
        "by": sheet.question.by.name(),
        "of": of.map(|of| of.name()),
        "quantile_error": of.map(|_| QUANTILE_ERROR),
    });
    line(&header.to_string(), out);
}

/// An object a group.
pub fn sheet(sheet: &Sheet<'_>, out: &mut Vec<u8>) {
    for (key, cell) in &sheet.rows {
        out.extend_from_slice(b"{\"type\":\"count\"");
        if let Some(at) = sheet.at {
            member(out, "time", &Value::Number(at));
            member(out, "interval", &Value::Number(sheet.span));
        }
        member(out, "event", &Value::Word(key.kind.name()));
        group(sheet, &sheet.label(key), out);
        member(out, "count", &Value::Number(cell.count));
        if sheet.of().is_some() {
            values(cell, out);
        }
        out.extend_from_slice(b"}\n");
    }
}

fn values(cell: &Cell, out: &mut Vec<u8>) {
    member(out, "measured", &Value::Number(cell.measured));
    member(out, "sum", &Value::Number(cell.sum));
    let quantiles =
        [("p50", 0.5), ("p90", 0.9), ("p99", 0.99)].map(|(name, part)| (name, cell.quantile(part)));
    for (name, number) in [("mean", cell.mean())].into_iter().chain(quantiles) {
        member(out, name, &number.map_or(Value::Absent, Value::Number));
    }
    out.extend_from_slice(b",\"buckets\":[");
    for (index, (from, to, count)) in cell.bars().enumerate() {
        out.extend_from_slice(if index == 0 { b"[" } else { b",[" });
        decimal(out, from);
        out.push(b',');
        match to {
            Some(to) => decimal(out, to),
            None => out.extend_from_slice(b"null"),
        }
        out.push(b',');
        decimal(out, count);
        out.push(b']');
    }
    out.push(b']');
}

fn group(sheet: &Sheet<'_>, label: &Label<'_>, out: &mut Vec<u8>) {
    let by = sheet.question.by;
    let name = |out: &mut Vec<u8>, name: &Option<std::borrow::Cow<'_, str>>| {
        member(out, "comm", &name.as_ref().map_or(Value::Absent, |name| Value::Text(name.clone())));
    };
    match label {
        Label::All => {}
        Label::Other => member(out, "other", &Value::Truth(true)),
        Label::Task(id, comm) => {
            member(out, if by == super::By::Process { "pid" } else { "tid" }, &Value::Number((*id).into()));
            name(out, comm);
        }
        Label::Name(comm) => name(out, comm),
        Label::Cpu(number) => member(out, "cpu", &Value::Number(*number)),
        Label::Stack(None) => member(out, "stack", &Value::Absent),
        Label::Stack(Some((id, frames))) => {
            member(out, "stack", &Value::Signed((*id).into()));
            let frames: Vec<String> = frames.iter().map(function).collect();
            out.extend_from_slice(b",\"frames\":");
            out.extend_from_slice(escape_json(&json!(frames).to_string()).as_bytes());
        }
        Label::Field(field, number) => sheet.value(field, *number, |value| member(out, field.name, value)),
    }
}

/// What is missing.
pub fn end(losses: &Losses, out: &mut Vec<u8>) {
    let Losses { lost, missed, dropped, unpaired, stacks, other, has_gap, emitted } = losses;
    let summary = json!({
        "type": "summary",
        "emitted": emitted,
        "lost": lost,
        "missed": missed,
        "dropped": dropped,
        "unpaired": unpaired,
        "stacks_lost": stacks,
        "other": other,
        "incomplete": has_gap,
    });
    line(&summary.to_string(), out);
}

/// An object a program.
pub fn overhead(costs: &[ProgramCost]) -> String {
    let mut out = Vec::new();
    for ProgramCost { name, runs, time, .. } in costs {
        line(&json!({ "type": "program", "name": name, "runs": runs, "time": time }).to_string(), &mut out);
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn line(text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(text.as_bytes());
    out.push(b'\n');
}
