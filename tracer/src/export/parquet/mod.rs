//! Parquet: every event and loss as a row of a table, for engines that analyse the traces of many machines.
//!
//! [`Parquet`] writes one file with the columns of all events, [`Partitioned`] a folder with one file a day and
//! family. Both stream: memory holds one row group a file. `docs/export.md` has the columns.

mod buffer;
mod partition;
mod schema;
mod session;
mod table;

use std::io;

pub use partition::Partitioned;
use session::Session;
use table::Table;

use super::{Export, Out};
use crate::event::{Loss, Selection, StackEntry, Summary};
use crate::output::Line;
use crate::trace_file::FileHeader;

/// Writes one file.
pub(super) struct Parquet {
    table: Table,
    session: Session,
    summary: Option<Summary>,
}

impl Parquet {
    pub(super) fn new(header: &FileHeader, out: Out) -> io::Result<Self> {
        let table = Table::new(Selection::ALL, &serde_json::to_string(header)?, out)?;
        Ok(Self { table, session: Session::new(header), summary: None })
    }
}

/// What is known about a trace at its end, for the file's key-value metadata.
fn about(summary: Option<&Summary>, incomplete: Option<&str>) -> io::Result<Vec<(&'static str, String)>> {
    let summary = summary.map(serde_json::to_string).transpose()?;
    let summary = summary.map(|summary| ("rmapscope.summary", summary));
    let incomplete = incomplete.map(|why| ("rmapscope.incomplete", why.to_owned()));
    Ok(summary.into_iter().chain(incomplete).collect())
}

impl Export for Parquet {
    fn event(&mut self, line: &Line<'_>) -> io::Result<()> {
        self.session.begin(line.event.header.time.saturating_sub(line.since_start));
        self.table.event(line, &self.session)
    }

    fn passed(&mut self, line: &Line<'_>) -> io::Result<()> {
        self.session.begin(line.event.header.time.saturating_sub(line.since_start));
        Ok(())
    }

    fn loss(&mut self, loss: &Loss) -> io::Result<()> {
        self.session.begin(loss.after);
        self.table.loss(loss, &self.session)
    }

    fn stack(&mut self, stack: &StackEntry) -> io::Result<()> {
        self.table.stack(stack.id);
        Ok(())
    }

    fn summary(&mut self, summary: &Summary) -> io::Result<()> {
        self.summary = Some(summary.clone());
        Ok(())
    }

    fn finish(self: Box<Self>, incomplete: Option<&str>) -> io::Result<()> {
        self.table.finish(&about(self.summary.as_ref(), incomplete)?)
    }
}
