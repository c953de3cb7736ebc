//! Formats of stacks: written at the end, from sums.

use std::io;

use super::{Export, Out};
use crate::event::{Filter, Loss, StackEntry, Summary};
use crate::flame::{Grouping, Profile, Profiler};
use crate::output::Line;
use crate::trace_file::FileHeader;

/// Writes a finished profile.
type Write = Box<dyn FnOnce(&Profile, &mut Out) -> io::Result<()>>;

/// Sums events up by thread and stack for a format of stacks.
pub struct Stacks {
    profiler: Profiler,
    write: Write,
    out: Out,
}

impl Stacks {
    /// Of the trace with this header, written by `write` when it ends.
    pub fn new(
        header: &FileHeader,
        out: Out,
        write: impl FnOnce(&Profile, &mut Out) -> io::Result<()> + 'static,
    ) -> Self {
        // What comes here was filtered already.
        let profiler = Profiler::new(header, Filter::default(), Grouping::Comm);
        Self { profiler, write: Box::new(write), out }
    }
}

impl Export for Stacks {
    fn event(&mut self, line: &Line<'_>) -> io::Result<()> {
        let comm = line.names.comm(&line.event.header).map(|comm| *comm.bytes());
        self.profiler.add(line.event, comm);
        Ok(())
    }

    fn loss(&mut self, loss: &Loss) -> io::Result<()> {
        self.profiler.loss(loss);
        Ok(())
    }

    fn stack(&mut self, stack: &StackEntry) -> io::Result<()> {
        self.profiler.stack(stack);
        Ok(())
    }

    fn summary(&mut self, summary: &Summary) -> io::Result<()> {
        self.profiler.summary(summary);
        Ok(())
    }

    fn finish(mut self: Box<Self>, incomplete: Option<&str>) -> io::Result<()> {
        let profile = self.profiler.finish(incomplete.map(str::to_owned));
        (self.write)(&profile, &mut self.out)?;
        self.out.flush()
    }
}
