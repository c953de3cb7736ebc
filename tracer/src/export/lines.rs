//! CSV and NDJSON: what `script` prints, as an export.

use std::io::{self, Write as _};

use super::{Export, Out};
use crate::event::{Loss, ProcessEntry, Selection, StackEntry, Summary};
use crate::output::{Column, Csv, Format, Json, Line, Origin, Span};
use crate::trace_file::FileHeader;

/// Bytes of lines that are collected before they are written.
const BUFFER: usize = 64 << 10;

/// A notation of `script` with all columns and undecoded numbers beside the decoded.
pub(super) struct Lines {
    out: Out,
    buffer: Vec<u8>,
    format: Box<dyn Format>,
    start: Option<u64>,
}

impl Lines {
    /// Rows of every column.
    pub(super) fn csv(out: Out) -> Self {
        Self::new(out, Box::new(Csv::new(Column::all(Selection::ALL, true), b',')))
    }

    /// One object a line.
    pub(super) fn ndjson(header: &FileHeader, out: Out) -> Self {
        let origin = Origin { description: &header.kernel, start: None };
        Self::new(out, Box::new(Json::new(None, true, &origin)))
    }

    fn new(out: Out, mut format: Box<dyn Format>) -> Self {
        let mut buffer = Vec::with_capacity(BUFFER + 4096);
        format.begin(&mut buffer);
        Self { out, buffer, format, start: None }
    }

    fn write(&mut self) -> io::Result<()> {
        if self.buffer.len() < BUFFER {
            return Ok(());
        }
        self.flush()
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.write_all(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }
}

impl Export for Lines {
    fn event(&mut self, line: &Line<'_>) -> io::Result<()> {
        self.start = Some(line.event.header.time.saturating_sub(line.since_start));
        self.format.event(line, &mut self.buffer);
        self.write()
    }

    fn passed(&mut self, line: &Line<'_>) -> io::Result<()> {
        self.start = Some(line.event.header.time.saturating_sub(line.since_start));
        Ok(())
    }

    fn loss(&mut self, loss: &Loss) -> io::Result<()> {
        let start = self.start.unwrap_or(loss.after);
        let before = if loss.before == u64::MAX { u64::MAX } else { loss.before.saturating_sub(start) };
        let span = Span { after: loss.after.saturating_sub(start), before };
        self.format.loss(loss, span, &mut self.buffer);
        self.write()
    }

    fn process(&mut self, process: &ProcessEntry) -> io::Result<()> {
        self.format.process(process, &mut self.buffer);
        self.write()
    }

    fn stack(&mut self, stack: &StackEntry) -> io::Result<()> {
        self.format.stack(stack, &mut self.buffer);
        self.write()
    }

    fn summary(&mut self, summary: &Summary) -> io::Result<()> {
        self.format.summary(summary, &mut self.buffer);
        self.write()
    }

    fn finish(mut self: Box<Self>, _incomplete: Option<&str>) -> io::Result<()> {
        self.format.end(&mut self.buffer);
        self.flush()?;
        self.out.flush()
    }
}
