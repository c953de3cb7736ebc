//! Types of a kernel, from its BTF (Documentation/bpf/btf.rst).
//!
//! BTF comes from a file that anyone may have made. [`Btf::parse`] checks every length, name and type
//! reference once, so that the questions asked later have an answer or none, but no error.

mod attachable;
mod enums;
mod error;
mod format;
mod functions;
mod members;

use std::path::Path;

pub use error::BtfError;
pub use functions::{FunctionSignature, Parameter};
pub use members::Member;

use super::name_index::NameIndex;
use format::{Header, Kind, Record};

/// Where a kernel keeps its BTF.
pub const RUNNING_KERNEL_BTF: &str = "/sys/kernel/btf/vmlinux";

/// Most modifiers (const, typedef, array …) in a row; the kernel's own limit is 32 (6.12 kernel/bpf/btf.c,
/// MAX_RESOLVE_DEPTH).
const MAX_CHAIN: usize = 32;

/// Largest BTF that is read, in bytes; the kernel accepts none whose sections exceed 16 MiB each (6.12
/// include/uapi/linux/btf.h, BTF_MAX_NAME_OFFSET), and a distribution kernel has 4 to 8 MiB.
const MAX_BYTES: u64 = 64 << 20;

/// The types of one kernel.
#[derive(Clone, Debug)]
pub struct Btf {
    /// The whole file.
    data: Vec<u8>,
    /// Its parts.
    header: Header,
    /// Where each type's record begins in the type section; type 1 is at index 0 (type 0 is `void`).
    starts: Vec<u32>,
    /// Types by name; positions are those of `starts`.
    names: NameIndex,
    /// Positions of every ENUM and ENUM64: enumerators are looked up in all of them.
    enums: Vec<u32>,
}

impl Btf {
    /// Reads and checks a BTF file.
    pub fn load(path: &Path) -> Result<Self, BtfError> {
        let failed = |source| BtfError::Read { path: path.to_owned(), source };
        let length = std::fs::metadata(path).map_err(failed)?.len();
        if length > MAX_BYTES {
            return Err(BtfError::TooLarge { bytes: length });
        }
        Self::from_vec(std::fs::read(path).map_err(failed)?)
    }

    /// Reads the running kernel's own.
    pub fn of_running_kernel() -> Result<Self, BtfError> {
        Self::load(Path::new(RUNNING_KERNEL_BTF))
    }

    /// Checks BTF that is in memory.
    pub fn parse(data: &[u8]) -> Result<Self, BtfError> {
        Self::from_vec(data.to_vec())
    }

    fn from_vec(data: Vec<u8>) -> Result<Self, BtfError> {
        let header = Header::parse(&data)?;
        let (types, layout) = (&data[header.types.clone()], &data[header.layout.clone()]);
        let mut btf = Self {
            starts: Vec::with_capacity(types.len() / 24),
            names: NameIndex::with_capacity(types.len() / 24),
            enums: Vec::new(),
            header,
            data: Vec::new(),
        };
        let strings = &data[btf.header.strings.clone()];
        let mut start = 0;
        while start < types.len() {
            let record = Record::at(types, layout, start)?;
            let name = format::string(strings, record.name_offset())
                .ok_or(BtfError::BadName { type_id: btf.starts.len() as u32 + 1 })?;
            if matches!(record.kind(), Kind::Enum | Kind::Enum64) {
                btf.enums.push(btf.starts.len() as u32);
            }
            btf.starts.push(start as u32);
            btf.names.push(name);
            start += record.bytes().len();
        }
        btf.data = data;
        btf.check_references()?;
        Ok(btf)
    }

    /// Every type id and name in the records exists, and no chain of modifiers is endless.
    fn check_references(&self) -> Result<(), BtfError> {
        let count = self.starts.len() as u32;
        let strings = self.strings().len() as u32;
        for (position, start) in self.starts.iter().enumerate() {
            let type_id = position as u32 + 1;
            let record = self.record_at(*start);
            if record.references().any(|reference| reference > count) {
                return Err(BtfError::BadReference { type_id });
            }
            if record.item_names().any(|name| name >= strings) {
                return Err(BtfError::BadName { type_id });
            }
            if record.kind().passes_through() && !self.chain_ends(type_id) {
                return Err(BtfError::Cyclic { type_id });
            }
        }
        Ok(())
    }

    /// Whether a chain of modifiers and arrays comes to an end.
    fn chain_ends(&self, mut type_id: u32) -> bool {
        (0..MAX_CHAIN).any(|_| match self.record(type_id) {
            Some(record) if record.kind() == Kind::Array => {
                type_id = record.array_element();
                false
            }
            Some(record) if record.kind().is_modifier() => {
                type_id = record.reference();
                false
            }
            _ => true,
        })
    }

    /// Number of types, `void` not counted.
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// Whether there is no type but `void`.
    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    /// CRC-32 of the file and its length in bytes, as `crc32:length` in hex: tells two kernels apart.
    pub fn identity(&self) -> String {
        format!("{:08x}:{:x}", crc32fast::hash(&self.data), self.data.len())
    }

    /// Size in bytes of the struct, union, enum or typedef of that name; `None` when there is none.
    pub fn size_of(&self, name: &str) -> Option<u64> {
        let named = self.named(name).filter_map(|(type_id, _)| self.size(type_id));
        named.max()
    }

    fn strings(&self) -> &[u8] {
        &self.data[self.header.strings.clone()]
    }

    fn record_at(&self, start: u32) -> Record<'_> {
        let (types, layout) = (self.header.types.clone(), self.header.layout.clone());
        Record::at(&self.data[types], &self.data[layout], start as usize)
            .expect("parse has read every record that has a start")
    }

    /// The record of a type; `None` for `void`.
    fn record(&self, type_id: u32) -> Option<Record<'_>> {
        let position = type_id.checked_sub(1)?;
        self.starts.get(position as usize).map(|start| self.record_at(*start))
    }

    /// A name of the string section; empty for an anonymous thing.
    fn string(&self, offset: u32) -> &[u8] {
        format::string(self.strings(), offset).unwrap_or_default()
    }

    /// The types of that name, of whatever kind.
    fn named(&self, name: &str) -> impl Iterator<Item = (u32, Record<'_>)> {
        self.names.candidates(name.as_bytes()).filter_map(move |position| {
            let record = self.record_at(self.starts[position]);
            (!name.is_empty() && self.string(record.name_offset()) == name.as_bytes())
                .then_some((position as u32 + 1, record))
        })
    }

    /// The type behind typedefs and qualifiers (not behind arrays and pointers); `None` for `void`.
    fn resolve(&self, mut type_id: u32) -> Option<(u32, Record<'_>)> {
        for _ in 0..MAX_CHAIN {
            let record = self.record(type_id)?;
            if !record.kind().is_modifier() {
                return Some((type_id, record));
            }
            type_id = record.reference();
        }
        None
    }

    /// Size of a type in bytes.
    fn size(&self, mut type_id: u32) -> Option<u64> {
        let mut elements = 1_u64;
        for _ in 0..MAX_CHAIN {
            let (_, record) = self.resolve(type_id)?;
            match record.kind() {
                Kind::Array => {
                    elements = elements.checked_mul(u64::from(record.array_length()))?;
                    type_id = record.array_element();
                }
                // BTF is of the kernel's own word size, and only 64-bit kernels are traced.
                Kind::Pointer => return elements.checked_mul(8),
                kind if kind.has_size() => return elements.checked_mul(u64::from(record.size())),
                _ => return None,
            }
        }
        None
    }
}

#[cfg(test)]
mod tests;
