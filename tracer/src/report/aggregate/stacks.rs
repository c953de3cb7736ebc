//! What each kernel stack led to.

use std::cmp::Reverse;

use rustc_hash::FxHashMap;
use tracer_common::event::{Kind, STACK_NONE};

use super::moment::Moment;
use crate::event::{Event, StackEntry, place};
use crate::event::{Weight, Weights};
use crate::follow::stacks::{MOST_FRAMES, StackIds};
use crate::report::model::{StackTotal, Top};
use crate::report::stack::{frame_name, kernel_frames};

/// Most different functions that are kept.
const MOST_FUNCTIONS: usize = 1 << 18;

/// Sums by stack and event. Stacks that differ only in where within a function something was called are one.
#[derive(Debug, Default)]
pub struct Stacks {
    functions: FxHashMap<Box<str>, u32>,
    /// Places of stacks, by their functions.
    places: FxHashMap<Box<[u32]>, u32>,
    /// What each led to: few kinds, in the order in which they came.
    sums: Vec<Vec<(Kind, Weights)>>,
    /// Places of the stacks that ids stand for now.
    ids: StackIds<u32>,
    /// Events whose stack could not be kept, by place of the kind.
    unkept: FxHashMap<usize, Weights>,
    frames: usize,
    /// Whether there were more than are kept.
    is_full: bool,
    /// Stacks that the kernel could not store.
    unstored: u64,
}

impl Stacks {
    /// An id stands for these frames from now on.
    pub fn stack(&mut self, stack: &StackEntry) {
        let place = self.place(stack);
        self.is_full |= place.is_none();
        self.ids.stands_for(stack.id, place);
    }

    /// The place of a stack; `None` when there is no room for it.
    fn place(&mut self, stack: &StackEntry) -> Option<u32> {
        let mut functions = Vec::with_capacity(stack.frames.len());
        for frame in kernel_frames(&stack.frames) {
            functions.push(self.function(&frame_name(frame))?);
        }
        if let Some(place) = self.places.get(functions.as_slice()) {
            return Some(*place);
        }
        if self.frames + functions.len() > MOST_FRAMES || self.sums.len() >= MOST_FRAMES {
            return None;
        }
        self.frames += functions.len();
        let place = self.sums.len() as u32;
        self.places.insert(functions.into_boxed_slice(), place);
        self.sums.push(Vec::new());
        Some(place)
    }

    fn function(&mut self, name: &str) -> Option<u32> {
        if let Some(number) = self.functions.get(name) {
            return Some(*number);
        }
        if self.functions.len() >= MOST_FUNCTIONS {
            return None;
        }
        let number = self.functions.len() as u32;
        self.functions.insert(name.into(), number);
        Some(number)
    }

    /// Adds an event.
    #[inline]
    pub fn event(&mut self, event: &Event, moment: &Moment<'_>) {
        let (id, kind) = (event.header.stack, event.kind());
        if id == STACK_NONE {
            return;
        }
        self.unstored += u64::from(id < 0);
        let Some(place_of_stack) = self.ids.get(id) else {
            return self.unkept.entry(place(kind)).or_default().add(&moment.weights);
        };
        let sums = &mut self.sums[*place_of_stack as usize];
        match sums.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, sum)) => sum.add(&moment.weights),
            None => sums.push((kind, moment.weights)),
        }
    }

    /// The place of the stack that an id stands for now; `None` where it is none, or not kept.
    pub fn place_of(&self, id: i32) -> Option<u32> {
        self.ids.get(id).copied()
    }

    /// The functions, by their numbers.
    fn names(&self) -> Vec<&str> {
        let mut names = vec![""; self.functions.len()];
        for (name, number) in &self.functions {
            names[*number as usize] = name;
        }
        names
    }

    /// Events whose stack the kernel could not store.
    pub const fn unstored(&self) -> u64 {
        self.unstored
    }

    /// The report's part.
    pub fn finish(self, sort: Weight, top: usize) -> Top<StackTotal> {
        let names = self.names();
        let kept = self.places.iter().flat_map(|(functions, place)| {
            self.sums[*place as usize].iter().map(move |(kind, sum)| (kind.name(), &**functions, *sum))
        });
        let unkept = self.unkept.iter().map(|(place, sum)| (Kind::ALL[*place].name(), [].as_slice(), *sum));
        let mut all: Vec<(&'static str, &[u32], Weights)> = kept.chain(unkept).collect();
        let distinct = all.len() as u64;
        let named = |functions: &[u32]| -> Vec<&str> {
            functions.iter().map(|number| names[*number as usize]).collect()
        };
        all.sort_by(|one, other| {
            let rank = |(_, _, sum): &(_, _, Weights)| (Reverse(sum.get(sort)), Reverse(sum.count));
            let names = |(event, functions, _): &(&'static str, &[u32], _)| (*event, named(functions));
            rank(one).cmp(&rank(other)).then_with(|| names(one).cmp(&names(other)))
        });
        all.truncate(top);
        let entries = all.into_iter().map(|(event, functions, weights)| StackTotal {
            event,
            frames: named(functions).into_iter().map(str::to_owned).collect(),
            weights,
        });
        Top { entries: entries.collect(), distinct, exact: !self.is_full, error: 0 }
    }
}

/// What stacks are made of, by their places.
#[derive(Debug)]
pub struct Frames<'a> {
    names: Vec<&'a str>,
    stacks: Vec<&'a [u32]>,
}

impl<'a> Frames<'a> {
    /// Of these stacks.
    pub fn new(stacks: &'a Stacks) -> Self {
        let mut by_place = vec![[].as_slice(); stacks.sums.len()];
        for (functions, place) in &stacks.places {
            by_place[*place as usize] = functions;
        }
        Self { names: stacks.names(), stacks: by_place }
    }

    /// The functions of the stack at a place, innermost first.
    pub fn of(&self, place: u32) -> Vec<String> {
        let functions = self.stacks.get(place as usize).copied().unwrap_or_default();
        functions.iter().map(|number| self.names[*number as usize].to_owned()).collect()
    }
}
