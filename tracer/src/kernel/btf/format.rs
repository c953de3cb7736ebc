//! The bytes of BTF: header, type records, strings, and since 7.x a table of the kinds' lengths (7.3
//! include/uapi/linux/btf.h).

use std::ops::Range;

use super::BtfError;

const MAGIC: u16 = 0xeb9f;
const VERSION: u8 = 1;

/// Bytes of the header that version 1 defines.
const HEADER_BYTES: usize = 24;

/// Bytes of a header that tells where the table of lengths is, too.
const HEADER_WITH_LAYOUT: usize = 32;

/// Bytes of that table for each kind: of what follows the record, of each item, and flags.
const LAYOUT_BYTES: usize = 4;

/// Bytes of a record before its items: name, info, size or type.
const RECORD_BYTES: usize = 12;

/// Where the sections are in the file.
#[derive(Clone, Debug)]
pub(super) struct Header {
    pub(super) types: Range<usize>,
    pub(super) strings: Range<usize>,
    /// Lengths of the kinds, by number; empty where the writer gave none.
    pub(super) layout: Range<usize>,
}

impl Header {
    pub(super) fn parse(data: &[u8]) -> Result<Self, BtfError> {
        match data.get(..2) {
            Some(magic) if magic == MAGIC.to_le_bytes() => {}
            Some(magic) if magic == MAGIC.to_be_bytes() => return Err(BtfError::ForeignByteOrder),
            _ => return Err(BtfError::NotBtf),
        }
        let truncated = |what| BtfError::Truncated { what };
        if data.len() < HEADER_BYTES {
            return Err(truncated("the header"));
        }
        if data[2] != VERSION {
            return Err(BtfError::UnknownVersion { version: data[2] });
        }
        let header_length = word(data, 4) as usize;
        if header_length < HEADER_BYTES {
            return Err(truncated("the header"));
        }
        let section = |offset, length| {
            let start = header_length.checked_add(word(data, offset) as usize)?;
            let end = start.checked_add(word(data, length) as usize)?;
            (end <= data.len()).then_some(start..end)
        };
        let header = Self {
            types: section(8, 12).ok_or(truncated("the type section"))?,
            strings: section(16, 20).ok_or(truncated("the string section"))?,
            layout: if header_length >= HEADER_WITH_LAYOUT {
                section(24, 28).ok_or(truncated("the layout section"))?
            } else {
                0..0
            },
        };
        // The last string ends in NUL, the first is empty: every offset below the length is a string.
        let strings = &data[header.strings.clone()];
        if strings.first() != Some(&0) || strings.last() != Some(&0) {
            return Err(truncated("a string"));
        }
        Ok(header)
    }
}

/// The string at an offset, without its NUL.
pub(super) fn string(strings: &[u8], offset: u32) -> Option<&[u8]> {
    let rest = strings.get(offset as usize..)?;
    rest.split(|byte| *byte == 0).next().filter(|_| !rest.is_empty())
}

/// A 32-bit word; callers have checked that it is there.
fn word(bytes: &[u8], offset: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[offset..offset + 4]);
    u32::from_le_bytes(word)
}

/// BTF_KIND_*.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Int,
    Pointer,
    Array,
    Struct,
    Union,
    Enum,
    Forward,
    Typedef,
    Volatile,
    Const,
    Restrict,
    Function,
    Prototype,
    Variable,
    DataSection,
    Float,
    DeclarationTag,
    TypeTag,
    Enum64,
    /// One that came later; the layout section tells how long it is.
    Later,
}

impl Kind {
    fn from_number(number: u32) -> Option<Self> {
        const KINDS: [Kind; 19] = [
            Kind::Int,
            Kind::Pointer,
            Kind::Array,
            Kind::Struct,
            Kind::Union,
            Kind::Enum,
            Kind::Forward,
            Kind::Typedef,
            Kind::Volatile,
            Kind::Const,
            Kind::Restrict,
            Kind::Function,
            Kind::Prototype,
            Kind::Variable,
            Kind::DataSection,
            Kind::Float,
            Kind::DeclarationTag,
            Kind::TypeTag,
            Kind::Enum64,
        ];
        KINDS.get((number as usize).checked_sub(1)?).copied()
    }

    /// Its number: BTF_KIND_INT is 1, and none is left out.
    pub(super) const fn number(self) -> u32 {
        self as u32 + 1
    }

    /// Bytes of one item after the record, and whether their number is the record's.
    const fn items(self) -> (usize, bool) {
        match self {
            Self::Int | Self::Variable | Self::DeclarationTag => (4, false),
            Self::Array => (12, false),
            Self::Struct | Self::Union | Self::DataSection | Self::Enum64 => (12, true),
            Self::Enum | Self::Prototype => (8, true),
            _ => (0, false),
        }
    }

    /// Whether the type is another one under a name or with a qualifier.
    pub(super) const fn is_modifier(self) -> bool {
        matches!(self, Self::Typedef | Self::Volatile | Self::Const | Self::Restrict | Self::TypeTag)
    }

    /// Whether the type contains what it refers to, without being a struct: chains of them must end.
    pub(super) const fn passes_through(self) -> bool {
        self.is_modifier() || matches!(self, Self::Array)
    }

    /// Whether the third word of the record is a size; otherwise it is a type id or nothing.
    pub(super) const fn has_size(self) -> bool {
        matches!(
            self,
            Self::Int
                | Self::Struct
                | Self::Union
                | Self::Enum
                | Self::DataSection
                | Self::Float
                | Self::Enum64
        )
    }

    /// Whether the third word of the record is a type id.
    const fn has_reference(self) -> bool {
        self.is_modifier()
            || matches!(self, Self::Pointer | Self::Function | Self::Variable | Self::DeclarationTag)
    }
}

/// One type.
#[derive(Clone, Copy)]
pub(super) struct Record<'btf> {
    bytes: &'btf [u8],
    kind: Kind,
}

impl<'btf> Record<'btf> {
    /// The record at an offset of the type section; `layout` has the lengths of kinds that are not known here.
    pub(super) fn at(types: &'btf [u8], layout: &[u8], start: usize) -> Result<Self, BtfError> {
        let truncated = BtfError::Truncated { what: "a type" };
        let Some(rest) = types.get(start..).filter(|rest| rest.len() >= RECORD_BYTES) else {
            return Err(truncated);
        };
        let info = word(rest, 4);
        // Up to 7.0 the kind had 5 bits and the number of items 16; those above were 0.
        let (number, items) = (info >> 24 & 0x7f, (info & 0xff_ffff) as usize);
        let (kind, own_bytes) = match Kind::from_number(number) {
            Some(kind) => {
                let (item_bytes, many) = kind.items();
                (kind, item_bytes * if many { items } else { 1 })
            }
            None => {
                match layout.get(number as usize * LAYOUT_BYTES..).filter(|rest| rest.len() >= LAYOUT_BYTES) {
                    Some(lengths) => (Kind::Later, usize::from(lengths[0]) + usize::from(lengths[1]) * items),
                    None => return Err(BtfError::UnknownKind { kind: number, offset: start }),
                }
            }
        };
        let length = RECORD_BYTES + own_bytes;
        rest.get(..length).map(|bytes| Self { bytes, kind }).ok_or(truncated)
    }

    pub(super) fn bytes(&self) -> &'btf [u8] {
        self.bytes
    }

    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    pub(super) fn name_offset(&self) -> u32 {
        word(self.bytes, 0)
    }

    /// The kind's flag: bit fields in a struct, signed values in an enum, a union in a forward.
    pub(super) fn flag(&self) -> bool {
        word(self.bytes, 4) >> 31 != 0
    }

    /// Bytes; only for kinds that have a size.
    pub(super) fn size(&self) -> u32 {
        word(self.bytes, 8)
    }

    /// The type referred to; only for kinds that have one.
    pub(super) fn reference(&self) -> u32 {
        word(self.bytes, 8)
    }

    pub(super) fn array_element(&self) -> u32 {
        word(self.bytes, RECORD_BYTES)
    }

    pub(super) fn array_length(&self) -> u32 {
        word(self.bytes, RECORD_BYTES + 8)
    }

    /// The items: members, enumerators, parameters, as their words. The third word is 0 where an item has
    /// only two.
    pub(super) fn items(&self) -> impl Iterator<Item = [u32; 3]> + use<'btf> {
        let (item_bytes, many) = self.kind.items();
        let tail = if many { &self.bytes[RECORD_BYTES..] } else { &[] };
        tail.chunks_exact(item_bytes.max(1))
            .map(|item| [word(item, 0), word(item, 4), if item.len() >= 12 { word(item, 8) } else { 0 }])
    }

    /// Every type id in the record.
    pub(super) fn references(&self) -> impl Iterator<Item = u32> + use<'btf> {
        let own = match self.kind {
            Kind::Array => [Some(self.array_element()), Some(word(self.bytes, RECORD_BYTES + 4))],
            kind if kind.has_reference() => [Some(self.reference()), None],
            // A prototype's result.
            Kind::Prototype => [Some(self.reference()), None],
            _ => [None, None],
        };
        let kind = self.kind;
        let items = self.items().filter_map(move |[first, second, _]| match kind {
            Kind::Struct | Kind::Union | Kind::Prototype => Some(second),
            Kind::DataSection => Some(first),
            _ => None,
        });
        own.into_iter().flatten().chain(items)
    }

    /// Every name offset of the items.
    pub(super) fn item_names(&self) -> impl Iterator<Item = u32> + use<'btf> {
        let named =
            matches!(self.kind, Kind::Struct | Kind::Union | Kind::Prototype | Kind::Enum | Kind::Enum64);
        self.items().filter(move |_| named).map(|[name, _, _]| name)
    }
}
