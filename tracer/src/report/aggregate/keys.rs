//! The table by any keys, which `--by` asks for.

use rustc_hash::FxHashMap;
use tracer_common::event::{Kind, MAPPING_ERROR, RESULT_UNKNOWN, STACK_NONE};
use tracer_common::family::Family;

use super::groups::Groups;
use super::moment::Moment;
use super::tables::{device, device_name};
use crate::event::Weight;
use crate::event::{Body, Event, Field, StackEntry, Type, errno_name, place};
use crate::follow::stacks::StackIds;
use crate::report::model::{Group, Key, Table};
use crate::report::stack::{Probed, frame_name, kernel_frames};

/// Most different names that are kept.
const MOST_NAMES: usize = 1 << 16;

/// The event has no such value. Numbers of threads, CPUs, kinds and names are far below.
const NONE: u64 = u64::MAX;

/// Names as numbers.
#[derive(Debug, Default)]
struct Interner {
    numbers: FxHashMap<Box<str>, u64>,
    names: Vec<Box<str>>,
}

impl Interner {
    /// The number of a name; `None` when there are too many.
    fn number(&mut self, name: &str) -> Option<u64> {
        if let Some(number) = self.numbers.get(name) {
            return Some(*number);
        }
        if self.names.len() >= MOST_NAMES {
            return None;
        }
        let number = self.names.len() as u64;
        self.numbers.insert(name.into(), number);
        self.names.push(name.into());
        Some(number)
    }

    fn name(&self, number: u64) -> &str {
        &self.names[number as usize]
    }
}

/// Sums by the chosen keys.
#[derive(Debug)]
pub struct By {
    keys: Vec<Key>,
    probed: Probed,
    names: Interner,
    /// Callers of the probed functions, by stack and kind.
    callers: StackIds<Vec<(Kind, u64)>>,
    groups: Groups<Vec<u64>>,
    /// The values of the event at hand.
    values: Vec<u64>,
}

impl By {
    /// Nothing yet, by these keys.
    pub fn new(keys: Vec<Key>, probed: Probed) -> Self {
        Self {
            keys,
            probed,
            names: Interner::default(),
            callers: StackIds::default(),
            groups: Groups::default(),
            values: Vec::new(),
        }
    }

    /// A stack's id is used for these frames from now on.
    pub fn stack(&mut self, stack: &StackEntry) {
        self.callers.stands_for(stack.id, None);
    }

    /// Adds an event.
    pub fn event(&mut self, event: &Event, moment: &Moment<'_>) {
        self.values.clear();
        for index in 0..self.keys.len() {
            match self.value(self.keys[index], event, moment) {
                Some(value) => self.values.push(value),
                None => return self.groups.add_rest(&moment.weights),
            }
        }
        let index = self.groups.index(self.values.as_slice());
        self.groups.add(index, &moment.weights);
    }

    /// A key's value as a number; `None` when there are too many names.
    fn value(&mut self, key: Key, event: &Event, moment: &Moment<'_>) -> Option<u64> {
        let header = &event.header;
        match key {
            Key::Event => Some(place(event.kind()) as u64),
            Key::Family => Some(event.kind().family() as u64),
            Key::Pid => Some(u64::from(header.pid)),
            Key::Tid => Some(u64::from(header.tid)),
            Key::Cpu => Some(u64::from(header.cpu)),
            Key::Comm => match moment.comm {
                Some(name) => self.names.number(&name.text()),
                None => Some(NONE),
            },
            Key::Device => match device(event) {
                Some(address) => self.names.number(&device_name(address, moment.names)),
                None => Some(NONE),
            },
            Key::Caller => self.caller(event, moment),
            Key::Result => match result(event) {
                Some(name) => self.names.number(&name),
                None => Some(NONE),
            },
        }
    }

    fn caller(&mut self, event: &Event, moment: &Moment<'_>) -> Option<u64> {
        let (id, kind) = (event.header.stack, event.kind());
        if id == STACK_NONE {
            return Some(NONE);
        }
        let known = self.callers.get(id).and_then(|callers| callers.iter().find(|(known, _)| *known == kind));
        if let Some((_, caller)) = known {
            return Some(*caller);
        }
        let Some(frames) = moment.names.stack(id) else { return self.names.number("?") };
        let frames = kernel_frames(frames);
        let caller = match self.probed.caller(kind, &frames) {
            Some(frame) => self.names.number(&frame_name(frame))?,
            None => self.names.number("?")?,
        };
        self.callers.or_default(id).push((kind, caller));
        Some(caller)
    }

    /// The table.
    pub fn finish(self, sort: Weight, top: usize) -> Table {
        let group = |values: &Vec<u64>| {
            let groups = self.keys.iter().zip(values).map(|(key, value)| match (key, *value) {
                (_, NONE) => Group::None,
                (Key::Event, place) => Group::Name(Kind::ALL[place as usize].name().to_owned()),
                (Key::Family, number) => Group::Name(Family::ALL[number as usize].name().to_owned()),
                (Key::Pid | Key::Tid | Key::Cpu, number) => Group::Number(number),
                (Key::Comm | Key::Device | Key::Caller | Key::Result, name) => {
                    Group::Name(self.names.name(name).to_owned())
                }
            });
            groups.collect()
        };
        self.groups.table(self.keys.clone(), group, sort, top)
    }
}

/// How the call ended; `None` for events that tell no result.
fn result(event: &Event) -> Option<String> {
    let mapped = |address: u64| Some(if address == MAPPING_ERROR { "error" } else { "ok" }.to_owned());
    match &event.body {
        Body::SwiotlbMap(map) => return mapped(map.dma_address),
        Body::SwiotlbMapSingle(map) => return mapped(map.bounce),
        Body::SwiotlbAlloc(pages) => return Some(if pages.result == 0 { "error" } else { "ok" }.to_owned()),
        _ => {}
    }
    let is_result = |field: &&Field| field.ty == Type::Result && field.name == "result";
    let field = event.kind().fields().iter().find(is_result)?;
    let number = field.number(event.body.bytes()).cast_signed();
    Some(match number {
        0.. => "ok".to_owned(),
        _ if number == i64::from(RESULT_UNKNOWN) => "?".to_owned(),
        _ => errno_name(number.unsigned_abs()).map_or_else(|| number.to_string(), str::to_owned),
    })
}
