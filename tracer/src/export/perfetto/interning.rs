//! Strings and stacks that are written once and then named by a number.

use rustc_hash::FxHashMap;

use super::messages::{Callstack, Frame, InternedData, InternedString, Name};
use crate::event::Names;
use crate::follow::stacks::StackIds;
use crate::report::stack::{frame_name, kernel_frames};

/// Most different values of annotations that get a number: flag words repeat, other text need not.
const MOST_VALUES: usize = 1 << 14;

/// Numbers of texts, from 1.
#[derive(Debug, Default)]
struct Table(FxHashMap<Box<[u8]>, u64>);

impl Table {
    /// The number of a text; `true` when it is new.
    fn number(&mut self, text: &[u8]) -> (u64, bool) {
        if let Some(number) = self.0.get(text) {
            return (*number, false);
        }
        let number = self.0.len() as u64 + 1;
        self.0.insert(text.into(), number);
        (number, true)
    }
}

/// What was interned since the state was cleared, and what of it is still to be written.
#[derive(Debug, Default)]
pub struct Interning {
    categories: Table,
    names: Table,
    annotations: Table,
    values: Table,
    functions: Table,
    stacks: StackIds<u64>,
    stacks_made: u64,
    pending: Option<InternedData>,
}

impl Interning {
    /// What the next packet has to carry.
    pub fn take(&mut self) -> Option<InternedData> {
        self.pending.take()
    }

    /// The number of a category.
    pub fn category(&mut self, name: &str) -> u64 {
        let (iid, is_new) = self.categories.number(name.as_bytes());
        if is_new {
            self.pending().event_categories.push(named(iid, name));
        }
        iid
    }

    /// The number of an event's name.
    pub fn name(&mut self, name: &str) -> u64 {
        let (iid, is_new) = self.names.number(name.as_bytes());
        if is_new {
            self.pending().event_names.push(named(iid, name));
        }
        iid
    }

    /// The number of an annotation's name.
    pub fn annotation(&mut self, name: &str) -> u64 {
        let (iid, is_new) = self.annotations.number(name.as_bytes());
        if is_new {
            self.pending().debug_annotation_names.push(named(iid, name));
        }
        iid
    }

    /// The number of an annotation's text; `None` when there are too many.
    pub fn value(&mut self, text: &[u8]) -> Option<u64> {
        if self.values.0.len() >= MOST_VALUES {
            return self.values.0.get(text).copied();
        }
        let (iid, is_new) = self.values.number(text);
        if is_new {
            self.pending().debug_annotation_string_values.push(string(iid, text));
        }
        Some(iid)
    }

    /// The number of a stack; `None` when its frames are not known.
    pub fn stack(&mut self, id: i32, names: &Names) -> Option<u64> {
        if let Some(iid) = self.stacks.get(id) {
            return Some(*iid);
        }
        let frames = kernel_frames(names.stack(id)?);
        let mut frame_ids = Vec::with_capacity(frames.len());
        for frame in frames.iter().rev() {
            let name = frame_name(frame);
            let (iid, is_new) = self.functions.number(name.as_bytes());
            if is_new {
                let pending = self.pending();
                pending.function_names.push(string(iid, name.as_bytes()));
                pending.frames.push(Frame { iid: Some(iid), function_name_id: Some(iid) });
            }
            frame_ids.push(iid);
        }
        self.stacks_made += 1;
        let iid = self.stacks_made;
        self.stacks.stands_for(id, Some(iid));
        self.pending().callstacks.push(Callstack { iid: Some(iid), frame_ids });
        Some(iid)
    }

    /// A stack has a new meaning from here on.
    pub fn forget_stack(&mut self, id: i32) {
        self.stacks.stands_for(id, None);
    }

    fn pending(&mut self) -> &mut InternedData {
        self.pending.get_or_insert_default()
    }
}

fn named(iid: u64, name: &str) -> Name {
    Name { iid: Some(iid), name: Some(name.to_owned()) }
}

fn string(iid: u64, text: &[u8]) -> InternedString {
    InternedString { iid: Some(iid), str: Some(text.to_vec()) }
}
