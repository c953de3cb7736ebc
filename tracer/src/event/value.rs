//! A field decoded: what every formatter writes in its own notation.

use std::borrow::Cow;
use std::fmt;

use tracer_common::event::{
    BITS_UNKNOWN, Field, MAPPING_ERROR, RESULT_UNKNOWN, RefusalReason, RefusalStep, Type, UNCOUNTED, UNKNOWN,
};

use super::entry::{Entry, EntryDecoder};
use super::flags::{
    DMA_ATTRIBUTES, DMA_DIRECTIONS, FAULT_REQUESTS, FlagNames, MIGRATE_SOURCES, POOL_FLAGS, PageFlagNames,
    VM_FLAGS, ValueNames,
};
use super::names::{Names, text_of};
use crate::kernel::{Description, NamedValue};

/// One value, borrowed from the record and the tables.
#[derive(Clone)]
pub enum Value<'a> {
    /// This kernel did not give it.
    Unknown,
    /// It was not measured, or there is none in this event.
    Absent,
    /// A number, written in decimal.
    Number(u64),
    /// A number that may be negative.
    Signed(i64),
    /// A number, written in hexadecimal.
    Hex(u64),
    /// 0 or more, or -errno.
    Result(i64),
    /// Yes or no.
    Truth(bool),
    /// One of the kernel's or our own names; needs no escaping.
    Word(&'a str),
    /// What a process or a driver chose as its name; needs escaping.
    Text(Cow<'a, str>),
    /// A flag word.
    Flags(&'a FlagNames, u64),
    /// A page-table entry.
    Entry(Entry),
}

impl fmt::Debug for Value<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => formatter.write_str("?"),
            Self::Absent => formatter.write_str("-"),
            Self::Number(number) => write!(formatter, "{number}"),
            Self::Signed(number) | Self::Result(number) => write!(formatter, "{number}"),
            Self::Hex(number) => write!(formatter, "{number:#x}"),
            Self::Truth(truth) => write!(formatter, "{truth}"),
            Self::Word(word) => formatter.write_str(word),
            Self::Text(text) => write!(formatter, "{text:?}"),
            Self::Flags(names, value) => {
                let (names, rest) = names.split(*value);
                formatter.debug_list().entries(names).entry(&rest).finish()
            }
            Self::Entry(entry) => entry.fmt(formatter),
        }
    }
}

/// Turns the numbers of one kernel's events into values.
#[derive(Clone, Debug)]
pub struct Decoder {
    /// `vmemmap_base` and the size of `struct page`.
    memory_map: Option<(u64, u64)>,
    entries: Option<EntryDecoder>,
    page_flags: PageFlagNames,
    vm_flags: FlagNames,
    dma_attributes: FlagNames,
    pool_flags: FlagNames,
    migrate_sources: FlagNames,
    fault_requests: FlagNames,
    ttu_flags: Option<FlagNames>,
    fault_flags: Option<FlagNames>,
    fault_results: Option<FlagNames>,
    directions: ValueNames,
    migrate_modes: ValueNames,
    migrate_reasons: ValueNames,
}

impl Decoder {
    /// For events of the kernel described.
    pub fn new(description: &Description) -> Self {
        let table = |name: &str| description.enums.get(name).filter(|table| !table.is_empty());
        let masks = |name| table(name).map(|table| FlagNames::from_masks(table));
        let values = |name| table(name).map(|table: &Vec<NamedValue>| ValueNames::new(table));
        Self {
            memory_map: description
                .vmemmap_base
                .zip(description.struct_page_size)
                .filter(|(_, size)| *size != 0),
            entries: EntryDecoder::new(description),
            page_flags: PageFlagNames::new(&description.page_flags),
            vm_flags: FlagNames::from_bits(&VM_FLAGS),
            dma_attributes: FlagNames::from_bits(&DMA_ATTRIBUTES),
            pool_flags: FlagNames::from_bits(&POOL_FLAGS),
            migrate_sources: FlagNames::from_bits(&MIGRATE_SOURCES),
            fault_requests: FlagNames::from_bits(&FAULT_REQUESTS),
            // Without the kernel's own table: bit 0x20 has opposite meanings in 5.15 and 6.1.
            ttu_flags: masks("ttu_flags"),
            fault_flags: masks("fault_flag"),
            fault_results: masks("vm_fault_reason"),
            directions: values("dma_data_direction").unwrap_or_else(|| ValueNames::fixed(&DMA_DIRECTIONS)),
            migrate_modes: values("migrate_mode").unwrap_or_default(),
            migrate_reasons: values("migrate_reason").unwrap_or_default(),
        }
    }

    /// The pfn of a `struct page` address; `None` when the memory map's place is not known or the address
    /// is no page of it.
    pub fn pfn(&self, page: u64) -> Option<u64> {
        let (base, size) = self.memory_map?;
        let distance = page.checked_sub(base)?;
        distance.is_multiple_of(size).then(|| distance / size)
    }

    /// A raw page-table entry taken apart; `None` when it could not be read or such entries are not known.
    pub fn entry(&self, raw: u64) -> Option<Entry> {
        self.entries.as_ref()?.decode(raw)
    }

    /// What a field of a body says.
    pub fn value<'a>(&'a self, field: &Field, body: &'a [u8], names: &'a Names) -> Value<'a> {
        let number = field.number(body);
        if is_unknown(field, number) {
            return Value::Unknown;
        }
        match field.ty {
            Type::OptionalCount if number == u64::from(UNCOUNTED) => Value::Unknown,
            Type::Id | Type::Count | Type::OptionalCount | Type::Bytes | Type::Order => Value::Number(number),
            Type::Duration if number == 0 => Value::Absent,
            Type::Duration => Value::Number(number),
            Type::Comm | Type::DeviceName => Value::Text(text_of(field.bytes(body))),
            Type::Device if number == 0 => Value::Unknown,
            Type::Device => match names.device(number) {
                Some(name) => Value::Text(Cow::Borrowed(name)),
                None => Value::Hex(number),
            },
            Type::Object if number == 0 => Value::Unknown,
            Type::Object | Type::Hex => Value::Hex(number),
            Type::Mapping if number == MAPPING_ERROR => Value::Word("error"),
            Type::SlotOriginal if number == u64::MAX => Value::Word("free"),
            Type::Mapping | Type::SlotOriginal => Value::Hex(number),
            Type::OptionalPage if number == 0 => Value::Word("none"),
            Type::Page | Type::OptionalPage => self.pfn(number).map_or(Value::Unknown, Value::Hex),
            Type::PageFlags => match self.page_flags.names(number) {
                Some(names) => Value::Flags(names, number),
                None => Value::Unknown,
            },
            Type::VmFlags => Value::Flags(&self.vm_flags, number),
            Type::DmaAttributes => Value::Flags(&self.dma_attributes, number),
            Type::PoolFlags => Value::Flags(&self.pool_flags, number),
            Type::MigrateSource => Value::Flags(&self.migrate_sources, number),
            Type::FaultRequest => Value::Flags(&self.fault_requests, number),
            Type::RefusalStep => named(
                u32::try_from(number).ok().and_then(RefusalStep::from_number).map(RefusalStep::name),
                number,
            ),
            Type::RefusalReason if number == RefusalReason::Unknown as u64 => Value::Unknown,
            Type::RefusalReason => named(
                u32::try_from(number).ok().and_then(RefusalReason::from_number).map(RefusalReason::name),
                number,
            ),
            Type::TtuFlags => flags(self.ttu_flags.as_ref(), number),
            Type::FaultFlags => flags(self.fault_flags.as_ref(), number),
            Type::FaultResult => flags(self.fault_results.as_ref(), number),
            Type::Direction => word(&self.directions, number),
            Type::MigrateMode => word(&self.migrate_modes, number),
            Type::MigrateReason => word(&self.migrate_reasons, number),
            Type::References if number.cast_signed() == i64::from(RESULT_UNKNOWN) => Value::Unknown,
            Type::References => Value::Signed(number.cast_signed()),
            Type::Result => Value::Result(number.cast_signed()),
            Type::WalkResult => Value::Word(if number == 0 { "stop" } else { "continue" }),
            Type::MappingBits => Value::Word(match number & 3 {
                0 => "file",
                1 => "anon",
                2 => "movable",
                _ => "ksm",
            }),
            Type::Truth => Value::Truth(number != 0),
            Type::Entry => self.entry(number).map_or(Value::Unknown, Value::Entry),
            // wait(2): the status lies above the signal and the core-dump bit.
            Type::ExitStatus => Value::Number(number >> 8 & 0xff),
            Type::ExitSignal => Value::Number(number & 0x7f),
        }
    }

    /// The undecoded number of a field that has a [raw name](Field::raw).
    pub fn raw_value(field: &Field, body: &[u8]) -> Value<'static> {
        let number = field.number(body);
        if is_unknown(field, number) {
            return Value::Unknown;
        }
        match field.ty {
            Type::Result => Value::Signed(number.cast_signed()),
            Type::Direction
            | Type::MigrateMode
            | Type::MigrateReason
            | Type::RefusalStep
            | Type::RefusalReason
            | Type::WalkResult => Value::Number(number),
            _ => Value::Hex(number),
        }
    }
}

/// Whether a number says that the kernel did not tell it, as a value and undecoded.
fn is_unknown(field: &Field, number: u64) -> bool {
    match field.ty {
        Type::MappingBits | Type::PoolFlags | Type::MigrateSource if number == u64::from(BITS_UNKNOWN) => {
            true
        }
        Type::Result if number.cast_signed() == i64::from(RESULT_UNKNOWN) => true,
        _ => number == UNKNOWN && field.size() == 8,
    }
}

fn flags(names: Option<&FlagNames>, number: u64) -> Value<'_> {
    names.map_or(Value::Hex(number), |names| Value::Flags(names, number))
}

fn named(name: Option<&'static str>, number: u64) -> Value<'static> {
    name.map_or(Value::Number(number), Value::Word)
}

fn word(names: &ValueNames, number: u64) -> Value<'_> {
    names.name(number).map_or(Value::Number(number), Value::Word)
}
