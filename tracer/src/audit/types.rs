//! Which swap type means what on the kernel that is looked at, also on one without BTF.

use std::fmt::Write;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::{Error as NameError, StrDeserializer};

use crate::kernel::{
    Btf, Configuration, KernelEvidence, Paging, RUNNING_KERNEL_BTF, RUNNING_KERNEL_SYMBOLS, SwapKind,
    SwapType, SwapTypes, Symbols, SystemFiles, page_size, version,
};

/// Where the facts come from instead of the running kernel's own files.
#[derive(Clone, Debug, Default)]
pub struct TypeSources {
    /// BTF.
    pub btf: Option<PathBuf>,
    /// Symbols in the form of `/proc/kallsyms`.
    pub kallsyms: Option<PathBuf>,
    /// The kernel's configuration, packed or not.
    pub config: Option<PathBuf>,
    /// The whole table, in the form that [`TypeTable::text`] writes; it is taken as it is.
    pub table: Option<PathBuf>,
}

/// The special swap types of a kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeTable {
    /// `uname -r`.
    pub release: String,
    /// Every special type, by number.
    pub types: Vec<SwapType>,
    /// How they were found, for people.
    pub source: String,
    /// What was assumed or speaks against them, for people.
    pub doubt: Option<String>,
    /// Masks the page frame number in an offset.
    pub pfn_mask: u64,
    /// Bytes of a page.
    pub page_size: u64,
}

/// No table could be made.
#[derive(Debug, thiserror::Error)]
pub enum TypesError {
    /// A file that was asked for is of no use.
    #[error("cannot use {}: {reason}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A line of a table is none.
    #[error("{}, line {line}: `{text}` is not a swap type and its name", .path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What it says.
        text: String,
    },
    /// Nothing tells what the kernel consists of.
    #[error("neither BTF nor symbols nor the configuration of this kernel are readable")]
    NoEvidence,
}

impl TypeTable {
    /// The table of the kernel whose files these are.
    ///
    /// # Errors
    /// A file named in `sources` that is of no use, or a kernel that shows nothing of what it consists of.
    pub fn find(system: &SystemFiles, sources: &TypeSources) -> Result<Self, TypesError> {
        let configuration = match &sources.config {
            Some(path) => Some(Configuration::load(path).map_err(|error| unusable(path, &error))?),
            None => Configuration::find(system),
        };
        let release = system.release();
        let page_size = page_size();
        let evidence = Evidence {
            btf: load_btf(system, sources.btf.as_deref())?,
            symbols: load_symbols(system, sources.kallsyms.as_deref())?,
            configuration: configuration.as_ref(),
            version: version(&release),
        };
        let exclusive_bit = evidence.has_enumerator("PG_anon_exclusive");
        let paging = Paging::of_running_kernel(system, configuration.as_ref(), exclusive_bit, page_size);
        let pfn_mask = paging.map_or(u64::MAX, |paging| paging.entry_format(None).pfn_mask);
        let (types, source, doubt) = match &sources.table {
            Some(path) => (read_table(path)?, format!("as given in {}", path.display()), None),
            None => evidence.table()?,
        };
        Ok(Self { release, types, source, doubt, pfn_mask, page_size })
    }

    /// The special kind with that number; `None` for pages in swap.
    pub fn kind(&self, number: u32) -> Option<SwapKind> {
        self.types.iter().find(|entry| entry.number == number).map(|entry| entry.kind)
    }

    /// The table as text, a type a line, with where it comes from in comments.
    pub fn text(&self) -> String {
        let mut text = format!("# linux {}\n# {}\n", self.release, self.source);
        if let Some(doubt) = &self.doubt {
            let _ = writeln!(text, "# in doubt: {doubt}");
        }
        for entry in &self.types {
            let _ = writeln!(text, "{} {}", entry.number, entry.kind.name());
        }
        text
    }
}

fn unusable(path: &Path, error: &dyn std::fmt::Display) -> TypesError {
    TypesError::File { path: path.to_owned(), reason: error.to_string() }
}

fn load_btf(system: &SystemFiles, given: Option<&Path>) -> Result<Option<Btf>, TypesError> {
    match given {
        Some(path) => Btf::load(path).map(Some).map_err(|error| unusable(path, &error)),
        None => Ok(Btf::load(&system.path(RUNNING_KERNEL_BTF)).ok()),
    }
}

fn load_symbols(system: &SystemFiles, given: Option<&Path>) -> Result<Symbols, TypesError> {
    match given {
        Some(path) => Symbols::load(path).map_err(|error| unusable(path, &error)),
        None => Ok(Symbols::load(&system.path(RUNNING_KERNEL_SYMBOLS)).unwrap_or_else(|_| Symbols::none())),
    }
}

/// A table in the form of [`TypeTable::text`].
fn read_table(path: &Path) -> Result<Vec<SwapType>, TypesError> {
    let text = std::fs::read_to_string(path).map_err(|error: io::Error| unusable(path, &error))?;
    let mut types = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let content = line.split('#').next().unwrap_or_default().trim();
        if content.is_empty() {
            continue;
        }
        let entry = parse_type(content).filter(|entry| {
            entry.number < 32 && types.iter().all(|other: &SwapType| other.number != entry.number)
        });
        types.push(entry.ok_or_else(|| TypesError::Line {
            path: path.to_owned(),
            line: index + 1,
            text: content.to_owned(),
        })?);
    }
    Ok(types)
}

fn parse_type(text: &str) -> Option<SwapType> {
    let (number, name) = text.split_once(char::is_whitespace)?;
    Some(SwapType { number: number.parse().ok()?, kind: parse_kind(name.trim())? })
}

/// A kind by its name.
pub(super) fn parse_kind(name: &str) -> Option<SwapKind> {
    let name: StrDeserializer<'_, NameError> = name.into_deserializer();
    SwapKind::deserialize(name).ok()
}

/// What a kernel consists of, by the best evidence that there is: its types and symbols, else its
/// configuration and its release.
struct Evidence<'kernel> {
    btf: Option<Btf>,
    symbols: Symbols,
    configuration: Option<&'kernel Configuration>,
    version: Option<(u32, u32)>,
}

impl Evidence<'_> {
    /// Types, how they were found, and what is in doubt.
    fn table(&self) -> Result<(Vec<SwapType>, String, Option<String>), TypesError> {
        let has_functions = self.btf.is_some() || !self.symbols.is_empty();
        if !has_functions && self.configuration.is_none() {
            return Err(TypesError::NoEvidence);
        }
        let types = SwapTypes::derive(self, self.configuration);
        if self.btf.is_some() {
            return Ok((types.table, types.source, types.doubt));
        }
        // A vendor's backport is not seen in the release.
        let doubt = "no BTF: the release decides whether migration entries know exclusive pages (5.19), and whether \
                     markers are unconditional (6.2)";
        let doubt = types.doubt.map_or_else(|| doubt.to_owned(), |other| format!("{doubt}; {other}"));
        let source = if has_functions {
            types.source.replace("functions and types", "symbols and release")
        } else {
            let source = types.source.replace("functions and types", "configuration and release");
            source.split(';').next().unwrap_or_default().to_owned()
        };
        Ok((types.table, source, Some(doubt)))
    }

    fn is_since(&self, version: (u32, u32)) -> bool {
        self.version.is_some_and(|release| release >= version)
    }
}

impl KernelEvidence for Evidence<'_> {
    fn has_function(&self, name: &str) -> bool {
        if let Some(btf) = &self.btf
            && btf.function(name).is_some()
        {
            return true;
        }
        if self.btf.is_some() || !self.symbols.is_empty() {
            return self.symbols.exists(name);
        }
        // The options under which mm/memory-failure.c, mm/migrate.c and mm/rmap.c define them.
        let option = |option| self.configuration.is_some_and(|configuration| configuration.is_set(option));
        match name {
            "memory_failure" => option("MEMORY_FAILURE"),
            "migrate_pages" => option("MIGRATION"),
            "make_device_exclusive_range" => {
                option("DEVICE_PRIVATE") && self.is_since((5, 14)) && !self.is_since((6, 15))
            }
            "make_device_exclusive" => option("DEVICE_PRIVATE") && self.is_since((6, 15)),
            _ => false,
        }
    }

    fn has_enumerator(&self, name: &str) -> bool {
        match &self.btf {
            Some(btf) => btf.enumerator(name).is_some(),
            None => name == "PG_anon_exclusive" && self.is_since((5, 19)),
        }
    }

    fn has_member(&self, structure: &str, member: &str) -> bool {
        match &self.btf {
            Some(btf) => btf.offset_of(structure, member).is_some(),
            None => (structure, member) == ("folio", "_entire_mapcount") && self.is_since((6, 2)),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::kernel::{DeviceExclusive, SwapFeatures};

    /// A table of kind 6.12, or of 5.15 when `first` (the number of hwpoison) is 25.
    pub fn table(first: u32, device_private: bool) -> TypeTable {
        let newer = first != 25;
        let types = SwapFeatures {
            memory_failure: true,
            migration: true,
            exclusive_migration: newer,
            device_private,
            device_exclusive: if device_private {
                DeviceExclusive::ReadAndWrite
            } else {
                DeviceExclusive::None
            },
            pte_marker: newer,
            swapin_error: false,
        };
        let types = types.table();
        TypeTable {
            release: "6.12.0".to_owned(),
            types,
            source: "test".to_owned(),
            doubt: None,
            pfn_mask: (1 << 34) - 1,
            page_size: 4096,
        }
    }

    #[test]
    fn a_kernel_without_btf_is_known_by_symbols_and_release() {
        let symbols = "0 T memory_failure\n0 T migrate_pages\n0 T make_device_exclusive_range\n";
        let release = ("proc/sys/kernel/osrelease", "6.12.0\n");
        let (_root, files) = SystemFiles::made_of(&[release, ("proc/kallsyms", symbols)]);
        let found = TypeTable::find(&files, &TypeSources::default()).unwrap();
        assert_eq!(found.types, table(23, true).types);
        assert!(found.source.starts_with("from the kernel's symbols and release: DEVICE_PRIVATE=y"));
        assert!(found.doubt.unwrap().contains("no BTF"));
    }

    #[test]
    fn a_configuration_alone_will_do() {
        let config = "#\nCONFIG_MEMORY_FAILURE=y\nCONFIG_MIGRATION=y\nCONFIG_DEVICE_PRIVATE=y\n";
        for (release, expected) in [("5.15.3", table(25, true)), ("6.12.0", table(23, true))] {
            let path = format!("boot/config-{release}");
            let (_root, files) =
                SystemFiles::made_of(&[("proc/sys/kernel/osrelease", release), (&path, config)]);
            let found = TypeTable::find(&files, &TypeSources::default()).unwrap();
            assert_eq!(found.types, expected.types, "{release}");
            assert!(found.source.starts_with("from the kernel's configuration and release"), "{found:?}");
            assert!(found.doubt.is_some());
        }
    }

    #[test]
    fn nothing_is_guessed_from_nothing() {
        let (_root, files) = SystemFiles::made_of(&[("proc/sys/kernel/osrelease", "6.12.0")]);
        assert!(matches!(TypeTable::find(&files, &TypeSources::default()), Err(TypesError::NoEvidence)));
    }

    #[test]
    fn a_table_is_read_as_it_is_written() {
        let (root, files) = SystemFiles::made_of(&[("table", &table(23, true).text())]);
        let sources = TypeSources { table: Some(root.path().join("table")), ..TypeSources::default() };
        let found = TypeTable::find(&files, &sources).unwrap();
        assert_eq!((found.types, found.doubt), (table(23, true).types, None));
        for wrong in ["31", "31 nonsense", "32 hwpoison", "x hwpoison", "30 hwpoison\n30 pte_marker"] {
            std::fs::write(root.path().join("table"), wrong).unwrap();
            let error = TypeTable::find(&files, &sources).unwrap_err();
            assert!(matches!(error, TypesError::Line { .. }), "{wrong}");
        }
    }
}
