//! Counts as separated values.

use super::question::{By, Question};
use super::row::{Label, Sheet, function};
use crate::escape::escape;
use crate::event::Type;
use crate::output::{decimal, quote, seconds, write_value};

/// Columns of the group.
fn titles(by: By) -> Vec<&'static str> {
    match by {
        By::Event => vec![],
        By::Process => vec!["pid", "comm"],
        By::Thread => vec!["tid", "comm"],
        By::Name => vec!["comm"],
        By::Cpu | By::Field(_) => vec![by.name()],
        By::Stack => vec!["stack", "frames"],
    }
}

/// The line of titles; with a time where the table is cut into intervals.
pub fn begin(question: Question, is_cut: bool, separator: u8, out: &mut Vec<u8>) {
    let mut columns = if is_cut { vec!["time"] } else { vec![] };
    columns.push("event");
    columns.extend(titles(question.by));
    columns.push("count");
    if question.of.is_some() {
        columns.extend(["measured", "sum", "mean", "p50", "p90", "p99"]);
    }
    out.extend_from_slice(columns.join(&char::from(separator).to_string()).as_bytes());
    out.push(b'\n');
}

/// A row a group.
pub fn sheet(sheet: &Sheet<'_>, separator: u8, out: &mut Vec<u8>) {
    let mut cell = Vec::new();
    for (key, counted) in &sheet.rows {
        if let Some(at) = sheet.at {
            seconds(out, at);
            out.push(separator);
        }
        out.extend_from_slice(key.kind.name().as_bytes());
        group(sheet, &sheet.label(key), separator, &mut cell, out);
        out.push(separator);
        decimal(out, counted.count);
        if sheet.of().is_some() {
            for number in [counted.measured, counted.sum] {
                out.push(separator);
                decimal(out, number);
            }
            for number in
                [counted.mean(), counted.quantile(0.5), counted.quantile(0.9), counted.quantile(0.99)]
            {
                out.push(separator);
                number.into_iter().for_each(|number| decimal(out, number));
            }
        }
        out.push(b'\n');
    }
}

fn group(sheet: &Sheet<'_>, label: &Label<'_>, separator: u8, cell: &mut Vec<u8>, out: &mut Vec<u8>) {
    let columns = titles(sheet.question.by).len();
    for place in 0..columns {
        out.push(separator);
        cell.clear();
        match (label, place) {
            (Label::All, _) => {}
            (Label::Other, 0) => cell.extend_from_slice(b"(other)"),
            (Label::Task(id, _), 0) => decimal(cell, (*id).into()),
            (Label::Task(_, Some(name)), _) => escape(cell, name, false),
            (Label::Name(name), _) => name.iter().for_each(|name| escape(cell, name, false)),
            (Label::Cpu(number), _) => decimal(cell, *number),
            (Label::Stack(Some((id, _))), 0) => decimal(cell, u64::try_from(*id).unwrap_or(0)),
            (Label::Stack(Some((_, frames))), _) => {
                let frames: Vec<String> = frames.iter().rev().map(function).collect();
                escape(cell, &frames.join(";"), false);
            }
            (Label::Field(field, number), _) => {
                sheet.value(field, *number, |value| write_value(cell, value, false));
            }
            _ => {}
        }
        let is_name = matches!(label, Label::Task(..) | Label::Name(_))
            || matches!(label, Label::Field(field, _) if field.ty == Type::Device);
        quote(out, cell, separator, is_name);
    }
}
