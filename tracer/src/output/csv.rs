//! CSV (RFC 4180, lines end with LF): one row an event or a loss, the same columns in each.

use super::columns::Column;
use super::text::{cell, loss_reason};
use super::write::{decimal, seconds};
use super::{Format, Line, Span};
use crate::event::{HeaderField, Loss, Type};

/// CSV rows.
#[derive(Debug)]
pub struct Csv {
    /// With whether a process or a driver chose what is in the column.
    columns: Vec<(Column, bool)>,
    separator: u8,
    scratch: Vec<u8>,
}

impl Csv {
    /// Rows of those columns; `separator` is an ASCII character that is no quote and no line end.
    pub fn new(columns: Vec<Column>, separator: u8) -> Self {
        let columns = columns.into_iter().map(|column| {
            let name = is_name(&column);
            (column, name)
        });
        Self { columns: columns.collect(), separator, scratch: Vec::new() }
    }

    fn row(&mut self, out: &mut Vec<u8>, mut write: impl FnMut(&Column, &mut Vec<u8>)) {
        for (index, (column, name)) in self.columns.iter().enumerate() {
            if index > 0 {
                out.push(self.separator);
            }
            self.scratch.clear();
            write(column, &mut self.scratch);
            quote(out, &self.scratch, self.separator, *name);
        }
        out.push(b'\n');
    }
}

/// Whether a process or a driver chose what is in the column.
fn is_name(column: &Column) -> bool {
    match column {
        Column::Header(field) => *field == HeaderField::Comm,
        Column::Body(body) => body.has(|ty| matches!(ty, Type::Comm | Type::DeviceName | Type::Device)),
    }
}

/// Appends a cell. A name that a spreadsheet would take for a formula gets a `'` in front of it.
pub(crate) fn quote(out: &mut Vec<u8>, cell: &[u8], separator: u8, name: bool) {
    let formula = name && matches!(cell.first(), Some(b'=' | b'+' | b'-' | b'@'));
    let plain = |byte: &u8| !matches!(byte, b'"' | b'\n' | b'\r') && *byte != separator;
    if !formula && cell.iter().all(plain) {
        out.extend_from_slice(cell);
        return;
    }
    out.push(b'"');
    if formula {
        out.push(b'\'');
    }
    for byte in cell {
        if *byte == b'"' {
            out.push(b'"');
        }
        out.push(*byte);
    }
    out.push(b'"');
}

impl Format for Csv {
    fn begin(&mut self, out: &mut Vec<u8>) {
        self.row(out, |column, out| out.extend_from_slice(column.name().as_bytes()));
    }

    fn event(&mut self, line: &Line<'_>, out: &mut Vec<u8>) {
        self.row(out, |column, out| cell(out, column, line));
    }

    fn loss(&mut self, loss: &Loss, span: Span, out: &mut Vec<u8>) {
        let (verb, _) = loss_reason(loss.cause);
        self.row(out, |column, out| match column {
            Column::Header(HeaderField::Time) if span.before != u64::MAX => seconds(out, span.before),
            Column::Header(HeaderField::Event) => out.extend_from_slice(verb.as_bytes()),
            Column::Header(HeaderField::LostFamily) => {
                out.extend_from_slice(loss.family().map_or("?", |family| family.name()).as_bytes());
            }
            Column::Header(HeaderField::LostCount) => decimal(out, loss.count),
            _ => {}
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quoted(cell: &str, separator: u8, name: bool) -> String {
        let mut out = Vec::new();
        quote(&mut out, cell.as_bytes(), separator, name);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn cells_are_quoted_where_they_must_be() {
        assert_eq!(quoted("plain name", b',', true), "plain name");
        assert_eq!(quoted("a,b", b',', true), "\"a,b\"");
        assert_eq!(quoted("a,b", b';', true), "a,b");
        assert_eq!(quoted("say \"hi\"", b',', true), "\"say \"\"hi\"\"\"");
    }

    #[test]
    fn names_are_no_formulas() {
        assert_eq!(quoted("=1+2", b',', true), "\"'=1+2\"");
        assert_eq!(quoted("@SUM(A1)", b',', true), "\"'@SUM(A1)\"");
        assert_eq!(quoted("-ENOMEM", b',', false), "-ENOMEM");
    }
}
