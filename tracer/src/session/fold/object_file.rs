//! Where the object file has functions, and what its loader fills in (ELF-64, little-endian).

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ops::Range;

use object::read::elf::ElfFile64;
use object::{LittleEndian, Object, ObjectSection, ObjectSymbol, SectionIndex, SymbolIndex, SymbolKind};

use super::instruction::{CALL, Instruction, LOAD_WIDE, SIZE};
use super::program::{Constants, Program};
use super::values::Value;

/// Bytes of a relocation (`Elf64_Rel`): where, then the symbol's number above the type.
const RELOCATION: usize = 16;

/// Bytes of a symbol (`Elf64_Sym`), and where its size is in it.
const SYMBOL: usize = 24;
const SYMBOL_SIZE: usize = 16;

/// The section of functions that others call. The loader takes it apart by their sizes, so they keep them.
const SHARED: &str = ".text";

/// Beyond every function, at an instruction's start.
const NOWHERE: u64 = u64::MAX - (SIZE as u64 - 1);

/// What is to be done to an object, by places in the file.
pub struct ObjectFile {
    /// Constants whose values are known.
    constants: Constants,
    /// Functions to be folded.
    pub functions: Vec<Function>,
    /// The sections of programs, each with the addresses at which those begin.
    pub sections: HashMap<String, Vec<u64>>,
}

/// A function in the file.
pub struct Function {
    /// Its section.
    pub section: String,
    /// Whether other functions call it.
    pub is_shared: bool,
    /// Its address in the section.
    pub address: u64,
    code: Range<usize>,
    /// Where the file says how long it is.
    size_at: usize,
    relocations: Vec<Relocation>,
}

/// What the loader fills in.
#[derive(Clone)]
struct Relocation {
    /// Address in the section.
    address: u64,
    /// Where the file says so.
    entry: usize,
    /// Where the symbol is in the section of the constants, if it is there.
    constant: Option<i64>,
}

impl ObjectFile {
    /// Finds the functions that `is_wanted` names, and those that others call. `None` where the file is not like those that
    /// the build makes.
    pub fn read(
        object: &[u8],
        constants: &[(&str, &[u8])],
        is_wanted: impl Fn(&str) -> bool,
    ) -> Option<Self> {
        let file = ElfFile64::<LittleEndian>::parse(object).ok()?;
        let mut home = None;
        let mut parts = Vec::new();
        for (name, bytes) in constants {
            let symbol = file.symbol_by_name(name)?;
            let section = symbol.section_index()?;
            if *home.get_or_insert(section) != section {
                return None;
            }
            parts.push((i64::try_from(symbol.address()).ok()?, bytes.to_vec()));
        }
        let symbols = usize::try_from(file.section_by_name(".symtab")?.file_range()?.0).ok()?;
        let mut relocations = HashMap::new();
        let mut sections: HashMap<String, Vec<u64>> = HashMap::new();
        let mut functions = Vec::new();
        for symbol in file.symbols().filter(|symbol| symbol.kind() == SymbolKind::Text && symbol.size() != 0)
        {
            let index = symbol.section_index()?;
            let section = file.section_by_index(index).ok()?;
            let name = section.name().ok()?;
            if name != SHARED {
                sections.entry(name.to_owned()).or_default().push(symbol.address());
                if !symbol.name().is_ok_and(&is_wanted) {
                    continue;
                }
            }
            let end = symbol.address() + symbol.size();
            let of_section: &Vec<Relocation> = match relocations.entry(index) {
                Entry::Occupied(entry) => entry.into_mut(),
                Entry::Vacant(entry) => entry.insert(relocations_of(&file, object, name, home)?),
            };
            let first = of_section.partition_point(|relocation| relocation.address < symbol.address());
            let last = of_section.partition_point(|relocation| relocation.address < end);
            let start =
                usize::try_from(section.file_range()?.0 + symbol.address() - section.address()).ok()?;
            functions.push(Function {
                section: name.to_owned(),
                is_shared: name == SHARED,
                address: symbol.address(),
                code: start..start + usize::try_from(symbol.size()).ok()?,
                size_at: symbols + symbol.index().0 * SYMBOL + SYMBOL_SIZE,
                relocations: of_section[first..last].to_vec(),
            });
        }
        sections.values_mut().for_each(|starts| starts.sort_unstable());
        Some(Self { constants: Constants { parts }, functions, sections })
    }

    /// A function's code.
    pub fn program(&self, object: &[u8], function: &Function) -> Option<Program<'_>> {
        let code = object.get(function.code.clone())?.chunks_exact(SIZE);
        let code: Vec<_> = code.filter_map(|bytes| bytes.first_chunk()).map(Instruction::read).collect();
        let mut filled_in = vec![None; code.len()];
        for relocation in &function.relocations {
            let at = function.index(relocation);
            let constant = relocation.constant.map(|start| start + i64::from(code[at].imm));
            filled_in[at] = Some(constant.map_or(Value::Unknown, Value::Constant));
        }
        Some(Program { code, filled_in, constants: &self.constants })
    }
}

/// What the loader fills in of a section, by address. `home` is the section of the constants.
fn relocations_of(
    file: &ElfFile64<'_, LittleEndian>,
    object: &[u8],
    section: &str,
    home: Option<SectionIndex>,
) -> Option<Vec<Relocation>> {
    let Some(section) = file.section_by_name(&format!(".rel{section}")) else { return Some(Vec::new()) };
    let (start, size) = section.file_range()?;
    let word = |at: usize| object.get(at..)?.first_chunk().copied().map(u64::from_le_bytes);
    let entries = (usize::try_from(start).ok()?..usize::try_from(start + size).ok()?).step_by(RELOCATION);
    let relocation = |entry: usize| {
        let symbol = SymbolIndex(usize::try_from(word(entry + 8)? >> 32).ok()?);
        let symbol = file.symbol_by_index(symbol).ok()?;
        let constant = (symbol.section_index() == home).then_some(symbol.address().cast_signed());
        Some(Relocation { address: word(entry)?, entry, constant })
    };
    let mut relocations: Vec<_> = entries.map(relocation).collect::<Option<_>>()?;
    relocations.sort_by_key(|relocation| relocation.address);
    Some(relocations)
}

impl Function {
    /// The instruction that a relocation is about.
    fn index(&self, relocation: &Relocation) -> usize {
        (relocation.address - self.address) as usize / SIZE
    }

    /// Which instructions the loader fills in.
    pub fn relocated(&self) -> Vec<bool> {
        let mut relocated = vec![false; self.code.len() / SIZE];
        for relocation in &self.relocations {
            relocated[self.index(relocation)] = true;
        }
        relocated
    }

    /// Writes its new code, whose instructions may have [moved](super::compact), and what the loader is to fill in.
    pub fn write(&self, object: &mut [u8], program: &Program<'_>, map: Option<&[usize]>) {
        for (bytes, instruction) in object[self.code.clone()].chunks_exact_mut(SIZE).zip(&program.code) {
            bytes.copy_from_slice(&instruction.bytes());
        }
        let mut put = |at: usize, word: u64| object[at..at + 8].copy_from_slice(&word.to_le_bytes());
        if map.is_some() {
            put(self.size_at, (program.code.len() * SIZE) as u64);
        }
        for relocation in &self.relocations {
            let old = self.index(relocation);
            let at = map.map_or(old, |map| map[old]);
            // Where the next instruction that is left is another's.
            let is_gone = map.is_some_and(|map| map[old + 1] == at)
                || !program.code.get(at).is_some_and(|new| matches!(new.code, LOAD_WIDE | CALL));
            put(relocation.entry, if is_gone { NOWHERE } else { self.address + (at * SIZE) as u64 });
        }
    }
}
