//! Symbols of a kernel, from `/proc/kallsyms`.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::name_index::NameIndex;

/// Where a kernel shows its symbols.
pub const RUNNING_KERNEL_SYMBOLS: &str = "/proc/kallsyms";

/// Farthest an address may lie above the symbol that it is counted to, in bytes. Without a limit the last
/// symbol before a hole (the end of a module, of the kernel) would own the whole hole.
const MAX_DISTANCE: u64 = 1 << 20;

/// Most text that names may take; a kernel with every module loaded has some ten MiB.
const MAX_NAME_BYTES: usize = 1 << 28;

/// Why a symbol file cannot be used.
#[derive(Debug, Error)]
pub enum SymbolsError {
    /// It cannot be read.
    #[error("cannot read symbols from {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// A line is not of the form `address type name [module]`.
    #[error("line {line} of {} is no symbol", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
    },
    /// More than any kernel has.
    #[error("{} has more symbols than any kernel", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
}

/// A symbol that an address belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Symbol<'symbols> {
    /// Its name.
    pub name: &'symbols str,
    /// The module that it is in; `None` for the kernel itself.
    pub module: Option<&'symbols str>,
    /// Bytes from its beginning.
    pub offset: u64,
}

/// The symbols of one kernel, sorted by address: 24 bytes and the name for each.
#[derive(Clone, Debug)]
pub struct Symbols {
    entries: Vec<Entry>,
    /// Every name, each ended by a newline.
    names: String,
    /// By the part of the name before the first dot, so that a function and its variants are together.
    index: NameIndex,
    modules: Vec<String>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    address: u64,
    /// Where its name begins in `names`.
    name: u32,
    /// Index in `modules` + 1; 0 for the kernel itself.
    module: u16,
    /// Which of several symbols at one address is shown: global text first, then text, then the rest.
    rank: u8,
}

impl Symbols {
    /// No symbols: what a kernel without CONFIG_KALLSYMS shows.
    pub fn none() -> Self {
        Self::index(Vec::new(), String::new(), Vec::new())
    }

    /// Reads a file in the form of `/proc/kallsyms`.
    pub fn load(path: &Path) -> Result<Self, SymbolsError> {
        let failed = |source| SymbolsError::Read { path: path.to_owned(), source };
        Self::read(BufReader::with_capacity(1 << 16, File::open(path).map_err(failed)?), path)
    }

    fn read(mut reader: impl BufRead, path: &Path) -> Result<Self, SymbolsError> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut names = String::new();
        let mut modules: Vec<String> = Vec::new();
        let mut line = String::new();
        let mut number = 0;
        loop {
            line.clear();
            let read = reader.read_line(&mut line);
            if read.map_err(|source| SymbolsError::Read { path: path.to_owned(), source })? == 0 {
                break;
            }
            number += 1;
            let symbol = Line::parse(&line)
                .ok_or_else(|| SymbolsError::Malformed { path: path.to_owned(), line: number })?;
            if names.len() + symbol.name.len() >= MAX_NAME_BYTES || modules.len() >= usize::from(u16::MAX) {
                return Err(SymbolsError::TooLarge { path: path.to_owned() });
            }
            // A module's symbols come together.
            let module = match symbol.module {
                None => 0,
                Some(name) => {
                    if modules.last().is_none_or(|last| last != name) {
                        modules.push(name.to_owned());
                    }
                    modules.len() as u16
                }
            };
            let rank = symbol.rank();
            entries.push(Entry { address: symbol.address, name: names.len() as u32, module, rank });
            names.push_str(symbol.name);
            names.push('\n');
        }
        names.shrink_to_fit();
        Ok(Self::index(entries, names, modules))
    }

    fn index(mut entries: Vec<Entry>, names: String, modules: Vec<String>) -> Self {
        entries.shrink_to_fit();
        // Nearly sorted already: the kernel's own symbols come in the order of their addresses.
        entries.sort_by_key(|entry| entry.address);
        let mut index = NameIndex::with_capacity(entries.len());
        for entry in &entries {
            index.push(stem(name_at(&names, entry.name)).as_bytes());
        }
        Self { entries, names, index, modules }
    }

    /// Number of symbols.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether the kernel hides the addresses from this user (kptr_restrict, no CAP_SYSLOG): all are 0.
    pub fn addresses_hidden(&self) -> bool {
        self.entries.last().is_none_or(|entry| entry.address == 0)
    }

    /// The address of a symbol; `None` when there is none of that very name or addresses are hidden. Of
    /// several symbols of one name it is one of them: ask [`Symbols::count`].
    pub fn address(&self, name: &str) -> Option<u64> {
        self.exact(name).map(|entry| entry.address).find(|address| *address != 0)
    }

    /// Whether there is a symbol of that very name.
    pub fn exists(&self, name: &str) -> bool {
        self.exact(name).next().is_some()
    }

    /// How many symbols have that very name. Since 6.6 the kernel refuses a kprobe by name on one that is
    /// there twice.
    pub fn count(&self, name: &str) -> usize {
        self.exact(name).count()
    }

    /// Names that the compiler gave to changed copies of a function: `.isra.0`, `.constprop.0`, `.part.0`.
    /// Outlined cold paths (`.cold`) are not copies and are left out.
    pub fn variants(&self, name: &str) -> Vec<&str> {
        let mut variants: Vec<&str> = self
            .index
            .candidates(stem(name).as_bytes())
            .map(|position| name_at(&self.names, self.entries[position].name))
            .filter(|found| found.strip_prefix(name).is_some_and(|rest| rest.starts_with('.')))
            .filter(|found| !found.split('.').any(|part| part == "cold"))
            .collect();
        variants.sort_unstable();
        variants.dedup();
        variants
    }

    /// The symbol that an address belongs to.
    pub fn lookup(&self, address: u64) -> Option<Symbol<'_>> {
        let end = self.entries.partition_point(|entry| entry.address <= address);
        let start = self.entries[..end].last().filter(|last| last.address != 0)?.address;
        if address - start > MAX_DISTANCE {
            return None;
        }
        let entry = self.entries[..end]
            .iter()
            .rev()
            .take_while(|entry| entry.address == start)
            .min_by_key(|entry| entry.rank)?;
        let module = usize::from(entry.module).checked_sub(1).map(|module| self.modules[module].as_str());
        Some(Symbol { name: name_at(&self.names, entry.name), module, offset: address - start })
    }

    fn exact(&self, name: &str) -> impl Iterator<Item = &Entry> {
        self.index
            .candidates(stem(name).as_bytes())
            .map(|position| &self.entries[position])
            .filter(move |entry| name_at(&self.names, entry.name) == name)
    }
}

/// The name that begins at an offset.
fn name_at(names: &str, start: u32) -> &str {
    names[start as usize..].split('\n').next().unwrap_or_default()
}

/// The part before the first dot; a leading dot is part of it.
fn stem(name: &str) -> &str {
    name.bytes().skip(1).position(|byte| byte == b'.').map_or(name, |dot| &name[..dot + 1])
}

/// One line of the file.
struct Line<'line> {
    address: u64,
    kind: u8,
    name: &'line str,
    module: Option<&'line str>,
}

impl<'line> Line<'line> {
    fn parse(line: &'line str) -> Option<Self> {
        let mut fields = line.split_ascii_whitespace();
        let address = u64::from_str_radix(fields.next()?, 16).ok()?;
        let &[kind] = fields.next()?.as_bytes() else { return None };
        let name = fields.next()?;
        let module = match fields.next() {
            None => None,
            Some(module) => Some(module.strip_prefix('[')?.strip_suffix(']')?),
        };
        fields.next().is_none().then_some(Self { address, kind, name, module })
    }

    fn rank(&self) -> u8 {
        match self.kind {
            b'T' => 0,
            b't' | b'W' | b'w' => 1,
            _ => 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
0000000000000000 A fixed_percpu_data
ffffffff81000000 T _stext
ffffffff81000000 t aaa_local_alias
ffffffff81000100 T try_to_unmap
ffffffff81000200 t remap_page.part.0
ffffffff81000300 t dmirror_exclusive.constprop.0
ffffffff81000380 t dmirror_exclusive.constprop.0.cold
ffffffff81000400 t twice
ffffffff81000500 t twice
ffffffff82000000 D vmemmap_base
ffffffffc0000010 t dmirror_fault\t[test_hmm]
ffffffffc0002000 t other\t[nvme]
";

    fn symbols() -> Symbols {
        Symbols::read(TEXT.as_bytes(), Path::new("test")).unwrap()
    }

    #[test]
    fn names_are_exact_and_variants_apart() {
        let symbols = symbols();
        assert_eq!(symbols.len(), 12);
        assert_eq!(symbols.address("vmemmap_base"), Some(0xffff_ffff_8200_0000));
        assert!(symbols.exists("try_to_unmap") && !symbols.exists("try_to_unma"));
        assert!(!symbols.exists("remap_page") && symbols.exists("remap_page.part.0"));
        assert_eq!(symbols.variants("remap_page"), ["remap_page.part.0"]);
        assert_eq!(symbols.variants("dmirror_exclusive"), ["dmirror_exclusive.constprop.0"]);
        assert!(symbols.variants("try_to_unmap").is_empty());
        assert_eq!((symbols.count("twice"), symbols.count("nothing")), (2, 0));
        assert!(!symbols.addresses_hidden());
    }

    #[test]
    fn addresses_belong_to_the_symbol_below() {
        let symbols = symbols();
        let found = |address| symbols.lookup(address).map(|found| (found.name, found.module, found.offset));
        assert_eq!(found(0xffff_ffff_8100_0000), Some(("_stext", None, 0)));
        assert_eq!(found(0xffff_ffff_8100_01ff), Some(("try_to_unmap", None, 0xff)));
        assert_eq!(found(0xffff_ffff_c000_0030), Some(("dmirror_fault", Some("test_hmm"), 0x20)));
        assert_eq!(found(0xffff_ffff_c000_2000), Some(("other", Some("nvme"), 0)));
        assert_eq!(found(0xffff_ffff_8300_0000), None);
        assert_eq!(found(0x10), None);
        assert_eq!(found(u64::MAX), None);
    }

    #[test]
    fn hidden_addresses_are_noticed() {
        let hidden = "0000000000000000 T try_to_unmap\n0000000000000000 D vmemmap_base\n";
        let symbols = Symbols::read(hidden.as_bytes(), Path::new("test")).unwrap();
        assert!(symbols.addresses_hidden() && symbols.exists("try_to_unmap"));
        assert_eq!(symbols.address("vmemmap_base"), None);
        assert_eq!(symbols.lookup(0xffff_ffff_8100_0000), None);
        assert!(Symbols::none().addresses_hidden());
    }

    #[test]
    fn other_files_are_refused_with_the_line() {
        for (text, line) in [
            ("hello\n", 1),
            ("ffff T a\nzz T b\n", 2),
            ("ffff TT a\n", 1),
            ("ffff T\n", 1),
            ("ffff T a module\n", 1),
            ("\n", 1),
        ] {
            let error = Symbols::read(text.as_bytes(), Path::new("test")).unwrap_err();
            assert!(matches!(error, SymbolsError::Malformed { line: found, .. } if found == line), "{text}");
        }
        assert!(Symbols::read(&b"\xff\xfe"[..], Path::new("test")).is_err());
    }

    #[test]
    fn stems_end_at_the_first_inner_dot() {
        assert_eq!(
            (stem("a.part.0"), stem("a"), stem(".hidden.0"), stem(""), stem("é.1")),
            ("a", "a", ".hidden", "", "é")
        );
    }
}
