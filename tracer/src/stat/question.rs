//! What is counted, what is summed up, and what tells groups apart: the same for the programs and for a file.

use tracer_common::counting::{Absent, Counting, FIXED, Group, Measure, Number, Operation, fixed};
use tracer_common::event::{Field, Kind, Type};
use tracer_common::globals::Globals;

use super::key::GroupKey;
use crate::event::{Event, Names, Weighing, duration_field, weighing};

/// What events are grouped by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// Nothing more than what they are.
    Event,
    /// Process.
    Process,
    /// Thread.
    Thread,
    /// Name of the thread.
    Name,
    /// CPU.
    Cpu,
    /// Kernel stack.
    Stack,
    /// What a field of that name says.
    Field(&'static str),
}

/// What of them is summed up, with a histogram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    /// Time in the function, nanoseconds.
    Latency,
    /// Bytes that the event is about.
    Bytes,
    /// Pages that it is about.
    Pages,
    /// A field that is a number.
    Field(&'static str),
}

impl By {
    const ALL: [Self; 6] = [Self::Event, Self::Process, Self::Thread, Self::Name, Self::Cpu, Self::Stack];

    /// The grouping of that name: one of its own, a column of `script`, or a field of an event.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "pid" => return Some(Self::Process),
            "tid" => return Some(Self::Thread),
            "comm" => return Some(Self::Name),
            _ => {}
        }
        let own = Self::ALL.into_iter().find(|by| by.name() == name);
        own.or_else(|| {
            fields()
                .find(|field| field.name == name && field.size() <= 8)
                .map(|field| Self::Field(field.name))
        })
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::Process => "process",
            Self::Thread => "thread",
            Self::Name => "name",
            Self::Cpu => "cpu",
            Self::Stack => "stack",
            Self::Field(name) => name,
        }
    }

    /// Every name.
    pub fn names() -> impl Iterator<Item = &'static str> {
        distinct(
            Self::ALL
                .into_iter()
                .map(Self::name)
                .chain(fields().filter(|field| field.size() <= 8).map(|field| field.name)),
        )
    }

    /// The field that tells groups of that kind apart, where one does.
    pub fn field(self, kind: Kind) -> Option<&'static Field> {
        let Self::Field(name) = self else { return None };
        kind.fields().iter().find(|field| field.name == name)
    }
}

impl Of {
    const ALL: [Self; 3] = [Self::Latency, Self::Bytes, Self::Pages];

    /// The value of that name: one of its own, or a field that is a number.
    pub fn from_name(name: &str) -> Option<Self> {
        let own = Self::ALL.into_iter().find(|of| of.name() == name);
        own.or_else(|| {
            fields().find(|field| field.name == name && is_number(field)).map(|field| Self::Field(field.name))
        })
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Latency => "latency",
            Self::Bytes => "bytes",
            Self::Pages => "pages",
            Self::Field(name) => name,
        }
    }

    /// Every name.
    pub fn names() -> impl Iterator<Item = &'static str> {
        distinct(
            Self::ALL
                .into_iter()
                .map(Self::name)
                .chain(fields().filter(|field| is_number(field)).map(|field| field.name)),
        )
    }

    /// Whether it is nanoseconds.
    pub fn is_time(self) -> bool {
        match self {
            Self::Latency => true,
            Self::Bytes | Self::Pages => false,
            Self::Field(name) => fields().any(|field| field.name == name && field.ty == Type::Duration),
        }
    }

    /// Whether any of these events has it.
    pub fn is_of_any(self, kinds: &[Kind]) -> bool {
        kinds.iter().any(|kind| self.measure(*kind, 1) != Measure::NONE)
    }

    /// How an event of that kind has it.
    fn measure(self, kind: Kind, page_size: u64) -> Measure {
        let page_bits = page_size.max(1).ilog2() as u8;
        match self {
            Self::Latency => duration_field(kind).map_or(Measure::NONE, of_field),
            Self::Field(name) => {
                let field = kind.fields().iter().find(|field| field.name == name && is_number(field));
                field.map_or(Measure::NONE, of_field)
            }
            Self::Pages => pages(kind, page_bits, 0),
            Self::Bytes => match weighing(kind) {
                Weighing::Bytes(bytes) => first(Operation::First, bytes.place()),
                _ => pages(kind, page_bits, page_bits),
            },
        }
    }
}

fn fields() -> impl Iterator<Item = &'static Field> {
    Kind::ALL.iter().flat_map(|kind| kind.fields())
}

fn distinct(names: impl Iterator<Item = &'static str>) -> impl Iterator<Item = &'static str> {
    let mut seen = std::collections::HashSet::new();
    names.filter(move |name| seen.insert(*name))
}

/// Whether sums of a field mean something.
fn is_number(field: &Field) -> bool {
    absent(field.ty).is_some()
}

/// Which number of that type is none; `None` for types that are no quantities.
const fn absent(ty: Type) -> Option<Absent> {
    match ty {
        Type::Count | Type::Bytes | Type::Order => Some(Absent::Unknown),
        Type::OptionalCount => Some(Absent::Uncounted),
        Type::Duration => Some(Absent::Zero),
        Type::References => Some(Absent::Negative),
        _ => None,
    }
}

fn number(field: &Field) -> Number {
    Number { offset: field.member.offset as u8, size: field.member.size as u8 }
}

fn of_field(field: &'static Field) -> Measure {
    let absent = absent(field.ty).unwrap_or_default();
    Measure { absent: absent as u8, ..first(Operation::First, number(field)) }
}

fn first(operation: Operation, number: Number) -> Measure {
    Measure { operation: operation as u8, first: number, ..Measure::NONE }
}

/// Pages, of so many bits, shifted to the left once more.
fn pages(kind: Kind, page_bits: u8, left: u8) -> Measure {
    let measure = match weighing(kind) {
        Weighing::Nothing | Weighing::Bytes(_) => return Measure::NONE,
        Weighing::Page => first(Operation::One, Number::default()),
        Weighing::Pages(pages, more) => {
            let operation = if more.is_there() { Operation::Sum } else { Operation::First };
            Measure { second: more.place(), ..first(operation, pages.place()) }
        }
        Weighing::Order(order) => first(Operation::Power, order.place()),
        Weighing::Range(start, end) => {
            let difference = first(Operation::Difference, start.place());
            return in_bytes(Measure { second: end.place(), ..difference }, page_bits, left);
        }
        Weighing::Length(length) => {
            return in_bytes(first(Operation::First, length.place()), page_bits, left);
        }
    };
    Measure { left, ..measure }
}

/// What is in bytes: whole pages of it.
fn in_bytes(measure: Measure, page_bits: u8, left: u8) -> Measure {
    Measure { right: page_bits, left, ..measure }
}

/// What is to be counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    /// What tells groups apart.
    pub by: By,
    /// What is summed up; nothing but counts for `None`.
    pub of: Option<Of>,
}

impl Question {
    /// What is measured of each kind, by its fixed slot.
    pub fn measures(self, page_size: u64) -> [Measure; FIXED] {
        let mut measures = [Measure::NONE; FIXED];
        for kind in Kind::ALL {
            let measure = self.of.map_or(Measure::NONE, |of| of.measure(*kind, page_size));
            let group = self.by.field(*kind).map(number).unwrap_or_default();
            measures[fixed(*kind as u16)] = Measure { group, ..measure };
        }
        measures
    }

    /// Whether time has to be measured for it.
    pub fn needs_latency(self) -> bool {
        self.of.is_some_and(Of::is_time)
    }

    /// Whether a call is counted where it begins, at the points at which [that is the same](tracer_common::point::Point::counted_at_entry).
    pub fn is_early(self) -> bool {
        self.of.is_none() && !matches!(self.by, By::Field(_))
    }

    /// Tells the programs. Where nothing of a call's end is asked, `latency` with it, calls are counted where they
    /// begin.
    pub fn write(self, globals: &mut Globals, page_size: u64, latency: bool) {
        let is_in_header = !matches!(self.by, By::Field(_)) && matches!(self.of, None | Some(Of::Latency));
        let counting = if is_in_header {
            // Nobody asks for what programs find in page tables and lists of pages.
            globals.walk.loops = 0;
            Counting::Early
        } else {
            Counting::ByBody
        };
        globals.measures = self.measures(page_size);
        let options = &mut globals.options;
        options.counting = counting as u8;
        options.histograms = u8::from(self.of.is_some());
        options.count_at_entry = u8::from(self.is_early() && !latency);
        options.by = match self.by {
            By::Event => Group::Event,
            By::Process => Group::Process,
            By::Thread => Group::Thread,
            By::Cpu => Group::Cpu,
            By::Stack => Group::Stack,
            By::Name => Group::Name,
            By::Field(_) => Group::Member,
        } as u8;
    }

    /// The group of an event of a stream.
    pub fn group(self, event: &Event, names: &Names) -> GroupKey {
        let header = &event.header;
        match self.by {
            By::Event => GroupKey::All,
            By::Process => GroupKey::Number(header.pid.into()),
            By::Thread => GroupKey::Number(header.tid.into()),
            By::Cpu => GroupKey::Number(header.cpu.into()),
            By::Stack => GroupKey::Number(header.stack.cast_unsigned().into()),
            By::Name => GroupKey::of_name(names.comm(header)),
            By::Field(_) => match self.by.field(event.kind()) {
                Some(field) => GroupKey::Number(read(event.body.bytes(), number(field))),
                None => GroupKey::All,
            },
        }
    }
}

/// A number in the bytes of a body, without its sign; 0 where there is none.
pub(super) fn read(body: &[u8], number: Number) -> u64 {
    let bytes = body.get(usize::from(number.offset)..).unwrap_or_default();
    match number.size {
        8 => bytes.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes)),
        4 => bytes.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes).into()),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::synthetic::stream;
    use crate::event::{Item, Weights};

    #[test]
    fn names_are_found_again() {
        for name in By::names() {
            assert_eq!(By::from_name(name).map(By::name), Some(name));
        }
        for name in Of::names() {
            assert_eq!(Of::from_name(name).map(Of::name), Some(name));
        }
        assert_eq!((By::from_name("comm"), By::from_name("pid")), (Some(By::Name), Some(By::Process)));
        assert_eq!((By::from_name("time"), Of::from_name("flags"), Of::from_name("pfn")), (None, None, None));
        assert!(By::names().any(|name| name == "ttu_flags") && Of::names().any(|name| name == "mapcount"));
    }

    #[test]
    fn programs_look_for_no_more_than_is_asked() {
        let loops = |by, of| {
            let mut globals = Globals::EMPTY;
            globals.walk.loops = 1;
            Question { by, of }.write(&mut globals, 4096, false);
            globals.walk.loops
        };
        assert_eq!([loops(By::Process, None), loops(By::Stack, Some(Of::Latency))], [0, 0]);
        assert_eq!(loops(By::Process, Some(Of::Pages)), 1);
        let field = By::from_name("ttu_flags").expect("a field");
        assert_eq!(loops(field, None), 1);
    }

    #[test]
    fn values_are_those_of_reports() {
        let measures = |of| Question { by: By::Event, of: Some(of) }.measures(4096);
        let (latency, bytes, pages) = (measures(Of::Latency), measures(Of::Bytes), measures(Of::Pages));
        for item in stream() {
            let Item::Event(event) = item else { continue };
            let weights = Weights::of(&event, 4096);
            let value = |measures: &[Measure; FIXED]| {
                measures[fixed(event.kind() as u16)]
                    .value(|number| read(event.body.bytes(), number))
                    .unwrap_or(0)
            };
            let name = event.kind().name();
            assert_eq!(value(&latency), weights.time, "{name}");
            assert_eq!(value(&bytes), weights.bytes, "{name}");
            assert_eq!(value(&pages), weights.pages, "{name}");
        }
    }

    #[test]
    fn every_member_is_within_reach() {
        for kind in Kind::ALL {
            assert!(kind.body_size() <= usize::from(u8::MAX));
        }
    }
}
