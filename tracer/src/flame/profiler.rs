//! From the stream to a profile, in one pass and bounded memory.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::leaves::Leaves;
use super::names::{self, LOSSES, NO_STACK, OTHER, STACK_MISSING, UNKNOWN_FUNCTION, stack_lost};
use super::profile::{Path, Profile, Sum};
use crate::Error;
use crate::escape::escape;
use crate::event::Weights;
use crate::event::{
    Comm, Event, Family, Filter, Header, Item, Kind, Loss, LossCause, Names, Sink, StackEntry, Summary,
};
use crate::follow::stacks::{MOST_FRAMES, StackIds};
use crate::report::stack::kernel_frames;
use crate::trace_file::FileHeader;
use tracer_common::event::{COMM_LEN, STACK_NONE};

/// Most sums; events of further paths are summed up as `[other]`. So are the frames of stacks beyond [`MOST_FRAMES`].
const MOST_SUMS: usize = 1 << 18;

/// What makes two events the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Grouping {
    /// The thread's name.
    #[default]
    Comm,
    /// The thread's name and its process.
    Process,
}

/// What the events of one sum have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    comm: Option<[u8; COMM_LEN]>,
    /// 0 where processes are not told apart.
    pid: u32,
    kind: Kind,
    stack: Stack,
}

/// The stack of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Stack {
    /// A place in [`Profiler::stacks`].
    Known(u32),
    /// None was taken.
    None,
    /// The stream has it not.
    Missing,
    /// The kernel could not keep it, by -errno.
    Lost(i32),
    /// Over the bound.
    Other,
}

/// Sums a stream up by thread, stack and probed function.
#[derive(Debug)]
pub struct Profiler {
    header: FileHeader,
    filter: Filter,
    grouping: Grouping,
    names: Names,
    /// Functions by name.
    functions: FxHashMap<Box<str>, u32>,
    /// Functions of each stack, innermost first.
    stacks: Vec<Box<[u32]>>,
    frames: usize,
    /// Which stack an id means now: an id can be given again to another stack.
    ids: StackIds<Stack>,
    sums: FxHashMap<Key, Sum>,
    others: Sum,
    missing: [u64; 3],
    first: Option<u64>,
    last: u64,
    summary: Option<(u64, u64)>,
}

impl Profiler {
    /// Nothing yet, of a stream with that header.
    pub fn new(header: &FileHeader, filter: Filter, grouping: Grouping) -> Self {
        Self {
            header: header.clone(),
            filter,
            grouping,
            names: Names::default(),
            functions: FxHashMap::default(),
            stacks: Vec::new(),
            frames: 0,
            ids: StackIds::default(),
            sums: FxHashMap::default(),
            others: Sum::default(),
            missing: [0; 3],
            first: None,
            last: 0,
            summary: None,
        }
    }

    fn event(&mut self, event: &Event) {
        let header = event.header;
        let first = *self.first.get_or_insert(header.time);
        self.last = self.last.max(header.time);
        if self.filter.admits(event, &self.names, header.time.saturating_sub(first)) {
            let comm = self.names.comm(&header).map(|comm| *comm.bytes());
            self.add(event, comm);
        }
    }

    /// Adds an event of a thread of that name; its stack is one that was [taken](Sink::item) before.
    pub(crate) fn add(&mut self, event: &Event, comm: Option<[u8; COMM_LEN]>) {
        let header = event.header;
        let sum = Sum::of(Weights::of(event, self.header.kernel.page_size));
        let key = Key {
            comm,
            pid: if self.grouping == Grouping::Process { header.pid } else { 0 },
            kind: event.kind(),
            stack: match header.stack {
                STACK_NONE => Stack::None,
                errno if errno < 0 => Stack::Lost(errno),
                id => self.ids.get(id).copied().unwrap_or(Stack::Missing),
            },
        };
        if let Some(known) = self.sums.get_mut(&key) {
            known.add(&sum);
        } else if self.sums.len() < MOST_SUMS {
            self.sums.insert(key, sum);
        } else {
            self.others.add(&sum);
        }
    }

    /// Takes a stack that later events name.
    pub(crate) fn stack(&mut self, entry: &StackEntry) {
        let stack = if self.frames + entry.frames.len() > MOST_FRAMES {
            Stack::Other
        } else {
            self.frames += entry.frames.len();
            let functions = kernel_frames(&entry.frames).into_iter();
            let functions = functions
                .map(|frame| self.function(frame.symbol.as_deref().unwrap_or(UNKNOWN_FUNCTION)))
                .collect();
            self.stacks.push(functions);
            Stack::Known(self.stacks.len() as u32 - 1)
        };
        self.ids.stands_for(entry.id, Some(stack));
    }

    fn function(&mut self, name: &str) -> u32 {
        if let Some(number) = self.functions.get(name) {
            return *number;
        }
        let number = self.functions.len() as u32;
        self.functions.insert(name.into(), number);
        number
    }

    /// Takes events that are missing here.
    pub(crate) fn loss(&mut self, loss: &Loss) {
        let start = self.first.unwrap_or(loss.after);
        let before = if loss.before == u64::MAX { u64::MAX } else { loss.before.saturating_sub(start) };
        if self.filter.admits_loss(loss, loss.after.saturating_sub(start), before) {
            let count = &mut self.missing[loss.cause as usize];
            *count = count.saturating_add(loss.count);
        }
    }

    /// Takes the session's own end: it has what was noticed too late for a place in the stream.
    pub(crate) fn summary(&mut self, summary: &Summary) {
        self.summary = Some((summary.begin, summary.end));
        let wanted = |(name, count): (&String, &u64)| {
            let family = Family::from_name(name);
            family.is_none_or(|family| self.filter.selection.touches(family)).then_some(*count)
        };
        let sums = [&summary.lost, &summary.missed, &summary.dropped];
        let sums = sums.map(|sums| sums.iter().filter_map(wanted).fold(0, u64::saturating_add));
        // Of a stretch of the stream, only the losses that have their place in it.
        if self.filter.from == 0 && self.filter.to == u64::MAX {
            for (count, sum) in self.missing.iter_mut().zip(sums) {
                *count = (*count).max(sum);
            }
        }
    }

    /// The profile; `incomplete` says why the stream is not whole, where it is not.
    pub fn finish(self, incomplete: Option<String>) -> Profile {
        let leaves = Leaves::new(&self.header.probes);
        let mut functions = vec![Arc::from(UNKNOWN_FUNCTION); self.functions.len()];
        for (name, number) in &self.functions {
            functions[*number as usize] = function_frame(name);
        }
        let stacks_taken = !self.stacks.is_empty() || self.header.options.stacks;
        let mut profile = Profile {
            missing: self.missing,
            duration: self.summary.map_or_else(
                || self.last.saturating_sub(self.first.unwrap_or(self.last)),
                |(begin, end)| end.saturating_sub(begin),
            ),
            origin: vec![origin(&self.header)],
            incomplete,
            ..Profile::default()
        };
        for (key, sum) in self.sums {
            let comm = key.comm.map(Comm::new);
            let root = Header { pid: key.pid, ..EMPTY };
            let root = names::root(comm.as_ref(), &root, self.grouping == Grouping::Process);
            let mut path: Vec<Arc<str>> = vec![root.into()];
            match key.stack {
                Stack::Known(stack) => {
                    let stack = &self.stacks[stack as usize];
                    path.extend(stack.iter().rev().map(|number| Arc::clone(&functions[*number as usize])));
                }
                Stack::None if stacks_taken => path.push(NO_STACK.into()),
                Stack::None => {}
                Stack::Missing => path.push(STACK_MISSING.into()),
                Stack::Lost(errno) => path.push(stack_lost(errno).into()),
                Stack::Other => path.push(OTHER.into()),
            }
            if matches!(key.stack, Stack::Missing | Stack::Lost(_) | Stack::Other) {
                profile.stackless = profile.stackless.saturating_add(sum.weights.count);
            }
            let innermost = path.get(1..).and_then(<[_]>::last).map(|name| &**name);
            if let Some(leaf) = leaves.below(key.kind, innermost) {
                path.push(Arc::clone(leaf));
            }
            if let Some(leaf) = path.last() {
                profile.families.insert(Arc::clone(leaf), key.kind.family());
            }
            profile.sums.entry(path.into()).or_default().add(&sum);
        }
        let mut single = |name: &str, sum: Sum| {
            if sum.weights.count > 0 {
                let path: Path = Box::new([Arc::from(name)]);
                profile.sums.entry(path).or_default().add(&sum);
            }
        };
        single(OTHER, self.others);
        for (name, count) in LOSSES.into_iter().zip(self.missing) {
            single(name, Sum::events(count));
        }
        profile
    }
}

const EMPTY: Header = Header { time: 0, tid: 0, pid: 0, kind: 0, cpu: 0, stack: STACK_NONE };

/// A symbol as a frame: no kernel's has these characters, but a damaged file's could.
fn function_frame(name: &str) -> Arc<str> {
    if name.is_empty() {
        return UNKNOWN_FUNCTION.into();
    }
    let mut bytes = Vec::with_capacity(name.len());
    escape(&mut bytes, name, true);
    String::from_utf8_lossy(&bytes).replace(';', "\\x3b").into()
}

/// What was recorded and where, in one line.
fn origin(header: &FileHeader) -> String {
    let kernel = &header.kernel;
    let mut text = format!("Linux {} {}", kernel.release, kernel.machine);
    if !header.host.is_empty() {
        text += &format!(" on {}", header.host);
    }
    if let Some(command) = &header.traced_command {
        text += &format!(": {}", command.join(" "));
    }
    let mut bytes = Vec::with_capacity(text.len());
    escape(&mut bytes, &text, false);
    String::from_utf8_lossy(&bytes).into_owned()
}

impl Sink for Profiler {
    fn record(&mut self, record: &[u8]) -> Result<(), Error> {
        match Event::decode(record) {
            Ok(event) => self.item(&Item::Event(event)),
            Err(_) => {
                self.missing[LossCause::Dropped as usize] += 1;
                Ok(())
            }
        }
    }

    fn item(&mut self, item: &Item) -> Result<(), Error> {
        match item {
            Item::Event(event) => {
                self.names.follow(item);
                self.event(event);
            }
            Item::Stack(entry) => self.stack(entry),
            Item::Loss(loss) => self.loss(loss),
            Item::Summary(summary) => self.summary(summary),
            Item::Process(_) => self.names.follow(item),
        }
        Ok(())
    }
}
