//! What is shown of a group: who or what it is.

use std::borrow::Cow;

use rustc_hash::FxHashMap;
use tracer_common::event::MAX_RECORD_SIZE;

use super::cell::Cell;
use super::key::{GroupKey, Key};
use super::question::{By, Of, Question};
use crate::event::{Comm, Decoder, Field, Frame, Names, Value};

/// Names and tables that say who is who.
#[derive(Clone, Copy)]
pub struct Who<'a> {
    /// Names of this place of the stream.
    pub names: &'a Names,
    /// Names of the processes or threads that were counted, which may have ended long ago.
    pub counted: &'a FxHashMap<u32, Comm>,
    /// What the numbers of fields say.
    pub decoder: &'a Decoder,
}

/// Rows that belong together, sorted.
pub struct Sheet<'a> {
    /// What was asked.
    pub question: Question,
    /// The rows, the largest first.
    pub rows: Vec<(Key, Cell)>,
    /// Nanoseconds from the beginning to the end of the interval that it is; none of a whole session.
    pub at: Option<u64>,
    /// Nanoseconds in which they came; 0 when that is not known.
    pub span: u64,
    /// Who is who.
    pub who: Who<'a>,
}

/// A group, as readers know it.
pub enum Label<'a> {
    /// Nothing tells the events apart.
    All,
    /// Those for whose groups there was no room.
    Other,
    /// A process or thread and its name.
    Task(u32, Option<Cow<'a, str>>),
    /// A thread's name.
    Name(Option<Cow<'a, str>>),
    /// A number of a CPU.
    Cpu(u64),
    /// A stack, innermost frame first; none where the kernel could not keep it.
    Stack(Option<(i32, &'a [Frame])>),
    /// What a field says.
    Field(&'static Field, u64),
}

impl Sheet<'_> {
    /// Sorts rows by what was asked for, the largest first, and where that is the same by event and group.
    pub fn sort(&mut self) {
        let of = self.question.of;
        self.rows.sort_by(|(one, first), (other, second)| {
            let weight = |cell: &Cell| if of.is_some() { (cell.sum, cell.count) } else { (cell.count, 0) };
            weight(second).cmp(&weight(first)).then(one.cmp(other))
        });
    }

    /// What is summed up.
    pub fn of(&self) -> Option<Of> {
        self.question.of
    }

    /// The group of a row.
    pub fn label(&self, key: &Key) -> Label<'_> {
        let text = |comm: &Comm| Cow::Owned(comm.text().into_owned());
        match (key.group, self.question.by) {
            (GroupKey::All, _) => Label::All,
            (GroupKey::Other, _) => Label::Other,
            (GroupKey::Name(bytes), _) => Label::Name((bytes[0] != 0).then(|| text(&Comm::new(bytes)))),
            (GroupKey::Number(0), By::Process | By::Thread) => Label::Task(0, Some(Cow::Borrowed("swapper"))),
            (GroupKey::Number(id), By::Process | By::Thread) => {
                let id = id as u32;
                let comm = self.who.names.thread(id).or_else(|| self.who.counted.get(&id));
                Label::Task(id, comm.map(text))
            }
            (GroupKey::Number(id), By::Stack) => {
                let id = (id as u32).cast_signed();
                Label::Stack((id >= 0).then(|| (id, self.who.names.stack(id).unwrap_or_default())))
            }
            (GroupKey::Number(number), by) => match by.field(key.kind) {
                Some(field) => Label::Field(field, number),
                None => Label::Cpu(number),
            },
        }
    }

    /// Hands on what a field of a group says.
    pub fn value(&self, field: &Field, number: u64, take: impl FnOnce(&Value<'_>)) {
        let mut body = [0; MAX_RECORD_SIZE];
        if let Some(bytes) = body.get_mut(field.member.offset..field.member.offset + field.size()) {
            bytes.copy_from_slice(&number.to_le_bytes()[..field.size()]);
        }
        take(&self.who.decoder.value(field, &body, self.who.names));
    }
}

/// The function of a frame, or its address where it has no name.
pub fn function(frame: &Frame) -> String {
    frame.symbol.clone().unwrap_or_else(|| format!("{:#x}", frame.address))
}
