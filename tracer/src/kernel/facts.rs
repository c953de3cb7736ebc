//! Everything that is found out about the running kernel before a program is loaded.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use tracer_common::globals::{EntryFormat, Globals, Layout, MemoryMap, WalkFormat};

use super::arch::Paging;
use super::btf::RUNNING_KERNEL_BTF;
use super::layout::{MissingField, hide, resolve_layout};
use super::preemption::preempts;
use super::swap_types::{KernelEvidence, SwapTypes};
use super::symbols::RUNNING_KERNEL_SYMBOLS;
use super::{Btf, BtfError, Configuration, Description, NameSet, Symbols, SystemFiles};
use crate::Error;

/// Where to take facts from instead of the running kernel's own files.
#[derive(Clone, Debug, Default)]
pub struct FactsOptions {
    /// BTF of the running kernel, for one built without it.
    pub btf: Option<PathBuf>,
    /// Symbols in the form of `/proc/kallsyms`, for one that hides them.
    pub kallsyms: Option<PathBuf>,
    /// Read the kernel's lists of functions, for who plans without attaching. They cost more than all the rest, since
    /// the kernel looks up the name of every function that it can trace; who attaches is told by the kernel itself.
    pub function_lists: bool,
    /// Functions, tracepoints (without category) and fields (their names in [`Layout`]) that are taken to be missing,
    /// to try out what that means.
    pub hidden: Vec<String>,
}

/// What the rest of the program needs to know of a kernel.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Its types.
    pub btf: Btf,
    /// They come from a file that was named, not from the kernel itself.
    pub btf_is_given: bool,
    /// Its symbols; their addresses may be hidden.
    pub symbols: Symbols,
    /// Where the fields are that the programs read.
    pub layout: Layout,
    /// Fields that it does not have.
    pub missing: Vec<MissingField>,
    /// How its swap entries look, as the programs take it.
    pub entry: EntryFormat,
    /// Where the `struct page` of a page frame is, or what is missing to find that out.
    pub memory_map: Result<MemoryMap, String>,
    /// How the page tables of processes are walked, or what is missing for that.
    pub walk: Result<WalkFormat, String>,
    /// Functions and tracepoints that are taken to be missing.
    pub hidden: Vec<String>,
    /// What a reader of its events must know; goes into the trace file.
    pub description: Description,
    /// It takes tasks off their CPU in the middle of its own code.
    pub preempts: bool,
    /// The configuration it was built with, where that is readable.
    pub configuration: Option<Configuration>,
    /// Functions that ftrace can trace, and therefore fentry; `None` where they were not asked for, or tracefs is not
    /// readable.
    pub traceable: Option<NameSet>,
    /// Functions that no kprobe may be put on; `None` where they were not asked for, or debugfs is not readable.
    pub kprobe_blacklist: Option<NameSet>,
}

impl Facts {
    /// Facts of the running kernel.
    ///
    /// # Errors
    ///
    /// A prerequisite (exit code 4) when the kernel has no BTF, a failure (exit code 2) when a file given
    /// in the options cannot be used.
    pub fn of_running_kernel(options: &FactsOptions) -> Result<Self, Error> {
        Self::of_system(&SystemFiles::live(), options)
    }

    /// Whether types in a file are those of this kernel, as far as its symbols tell: each function of BTF is one of
    /// them, and another version or configuration has others.
    pub fn are_types_of_running_kernel(btf: &Btf) -> bool {
        load_symbols(&SystemFiles::live(), None).is_ok_and(|symbols| fits(btf.function_names(), &symbols))
    }

    /// Facts of the kernel whose files these are.
    ///
    /// # Errors
    ///
    /// As [`Facts::of_running_kernel`].
    pub fn of_system(system: &SystemFiles, options: &FactsOptions) -> Result<Self, Error> {
        let btf = load_btf(system, options.btf.as_deref())?;
        let symbols = load_symbols(system, options.kallsyms.as_deref())?;
        let configuration = Configuration::find(system);
        let (mut layout, mut missing) = resolve_layout(&btf);
        missing.extend(hide(&mut layout, &options.hidden));
        let evidence = Evidence { btf: &btf, symbols: &symbols };
        let swap_types = SwapTypes::derive(&evidence, configuration.as_ref());
        let page_size = page_size();
        let paging = Paging::of_running_kernel(
            system,
            configuration.as_ref(),
            evidence.has_enumerator("PG_anon_exclusive"),
            page_size,
        );
        let format = paging.map(|paging| paging.entry_format(configuration.as_ref()));
        let bits = [("head_bit", "PG_head"), ("locked_bit", "PG_locked")].map(|(name, path)| {
            let bit = btf.enumerator(path).and_then(|bit| u32::try_from(bit).ok());
            if bit.is_none() {
                missing.push(MissingField { name, path });
            }
            bit
        });
        let unknown = EntryFormat { page_shift: page_size.trailing_zeros(), ..Globals::EMPTY.entry };
        let mut entry =
            format.map_or(unknown, |format| format.for_programs(swap_types.exclusive(), bits, page_size));
        (entry.migration_first, entry.migration_last) =
            swap_types.migration().map_or((1, 0), RangeInclusive::into_inner);
        // 6.12 include/linux/page-flags.h, folio_test_swapcache, PAGE_FLAGS_PRIVATE.
        let mask = |flags: [&str; 2]| {
            let bits =
                flags.iter().map(|flag| btf.enumerator(flag).and_then(|bit| 1u64.checked_shl(bit as u32)));
            bits.collect::<Option<Vec<_>>>().map_or(0, |bits| bits.iter().sum())
        };
        entry.swap_cache = mask(["PG_swapbacked", "PG_swapcache"]);
        entry.private = mask(["PG_private", "PG_private_2"]);
        let memory_map = super::memory_map::find(&symbols, &btf, page_size);
        let walk = paging
            .ok_or_else(|| "the layout of this kernel's page-table entries is unknown".to_owned())
            .and_then(|paging| paging.walk_format(&symbols));
        Ok(Self {
            preempts: preempts(system, &symbols, configuration.as_ref()),
            memory_map,
            walk,
            hidden: options.hidden.clone(),
            description: Description::of_kernel(system, &btf, &layout, swap_types, format, page_size),
            btf,
            btf_is_given: options.btf.is_some(),
            symbols,
            layout,
            missing,
            entry,
            configuration,
            traceable: options.function_lists.then(|| traceable_functions(system)).flatten(),
            kprobe_blacklist: options.function_lists.then(|| kprobe_blacklist(system)).flatten(),
        })
    }

    /// Whether programs can loop with `bpf_loop` (5.17 on).
    pub fn has_loops(&self) -> bool {
        self.btf.enumerator("BPF_FUNC_loop").is_some()
    }
}

/// Functions of BTF of which one may be missing among the symbols: some tools name a function by its source where
/// the compiler left only changed copies.
const FUNCTIONS_FOR_ONE_MISSING: usize = 1000;

/// Whether these functions are those of the kernel with these symbols; a part of its functions is not enough.
fn fits<'names>(functions: impl Iterator<Item = &'names str>, symbols: &Symbols) -> bool {
    let (mut all, mut missing) = (0, 0);
    for name in functions {
        all += 1;
        if !symbols.exists(name) && symbols.variants(name).is_empty() {
            missing += 1;
        }
    }
    all >= FUNCTIONS_FOR_ONE_MISSING && missing <= all / FUNCTIONS_FOR_ONE_MISSING
}

/// A kernel as its types and symbols show it.
struct Evidence<'kernel> {
    btf: &'kernel Btf,
    symbols: &'kernel Symbols,
}

impl KernelEvidence for Evidence<'_> {
    fn has_function(&self, name: &str) -> bool {
        self.btf.function(name).is_some() || self.symbols.exists(name)
    }

    fn has_enumerator(&self, name: &str) -> bool {
        self.btf.enumerator(name).is_some()
    }

    fn has_member(&self, structure: &str, member: &str) -> bool {
        self.btf.offset_of(structure, member).is_some()
    }
}

fn load_btf(system: &SystemFiles, given: Option<&Path>) -> Result<Btf, Error> {
    match given {
        Some(path) => Btf::load(path).map_err(|error| {
            Error::failure(error.to_string(), "use --btf FILE with the BTF of the running kernel")
        }),
        None if !system.path("/sys/kernel").exists() => Err(Error::prerequisite(
            "/sys is not mounted here: the kernel's BTF cannot be read",
            "mount -t sysfs sysfs /sys, or use --btf FILE with this kernel's BTF",
        )),
        None => Btf::load(&system.path(RUNNING_KERNEL_BTF)).map_err(Error::from),
    }
}

impl From<BtfError> for Error {
    fn from(error: BtfError) -> Self {
        let missing =
            matches!(&error, BtfError::Read { source, .. } if source.kind() == std::io::ErrorKind::NotFound);
        let cause = if missing {
            format!("this kernel has no BTF, or it is hidden here: {RUNNING_KERNEL_BTF} does not exist")
        } else {
            error.to_string()
        };
        Self::prerequisite(
            cause,
            "boot a kernel built with CONFIG_DEBUG_INFO_BTF=y, or use --btf FILE with this kernel's BTF",
        )
    }
}

fn load_symbols(system: &SystemFiles, given: Option<&Path>) -> Result<Symbols, Error> {
    let path = given.map_or_else(|| system.path(RUNNING_KERNEL_SYMBOLS), Path::to_owned);
    match Symbols::load(&path) {
        Ok(symbols) => Ok(symbols),
        // A kernel without CONFIG_KALLSYMS: BTF still tells which functions there are.
        Err(_) if given.is_none() && !path.exists() => Ok(Symbols::none()),
        Err(error) => Err(Error::failure(
            error.to_string(),
            "use --kallsyms FILE with a copy of this kernel's /proc/kallsyms from the current boot",
        )),
    }
}

/// Functions that ftrace knows, one a line: `name`, or `name [module]`.
fn traceable_functions(system: &SystemFiles) -> Option<NameSet> {
    let folder = system.mount_point("tracefs")?;
    let text = system.text(folder.join("available_filter_functions")).ok()?;
    Some(NameSet::from_lines(text, |line| line.split_ascii_whitespace().next()))
}

/// Functions without kprobes, one a line: `0xFROM-0xTO` and the name.
fn kprobe_blacklist(system: &SystemFiles) -> Option<NameSet> {
    let folder = system.mount_point("debugfs")?;
    let text = system.text(folder.join("kprobes/blacklist")).ok()?;
    Some(NameSet::from_lines(text, |line| line.split_ascii_whitespace().nth(1)))
}

/// Bytes of a page.
pub(crate) fn page_size() -> u64 {
    // SAFETY: sysconf has no preconditions and changes nothing.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    u64::try_from(size).expect("the kernel tells every process the size of a page")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ExitCode;

    #[test]
    fn a_kernel_without_btf_is_told_from_a_wrong_file() {
        let root = tempfile::tempdir().unwrap();
        let system = SystemFiles::below(root.path());
        let error = Facts::of_system(&system, &FactsOptions::default()).unwrap_err();
        assert_eq!(error.code, ExitCode::Prerequisite);
        assert!(error.cause.starts_with("/sys is not mounted here"), "{}", error.cause);
        std::fs::create_dir_all(root.path().join("sys/kernel")).unwrap();
        let error = Facts::of_system(&system, &FactsOptions::default()).unwrap_err();
        assert_eq!(error.code, ExitCode::Prerequisite);
        assert_eq!(
            error.cause,
            "this kernel has no BTF, or it is hidden here: /sys/kernel/btf/vmlinux does not exist"
        );
        let file = root.path().join("file");
        std::fs::write(&file, "no BTF at all").unwrap();
        let options = FactsOptions { btf: Some(file), ..FactsOptions::default() };
        let error = Facts::of_system(&system, &options).unwrap_err();
        assert_eq!(error.code, ExitCode::Failure);
        assert_eq!(error.cause, "not a BTF file (its first two bytes are not 9f eb)");
    }

    #[test]
    fn types_and_symbols_of_one_kernel_fit() {
        let names: Vec<String> = (0..2000).map(|number| format!("function_{number}")).collect();
        let functions = |count: usize| names.iter().take(count).map(String::as_str);
        let symbols = |skip: usize| {
            let file = tempfile::NamedTempFile::new().unwrap();
            let lines = names.iter().skip(skip).map(|name| format!("0 t {name}\n"));
            std::fs::write(file.path(), lines.collect::<String>()).unwrap();
            Symbols::load(file.path()).unwrap()
        };
        assert!(fits(functions(2000), &symbols(0)) && fits(functions(2000), &symbols(2)));
        assert!(!fits(functions(2000), &symbols(3)));
        // A file that was cut down fits kernels that it is not of.
        assert!(!fits(functions(999), &symbols(0)));
    }

    #[test]
    fn function_lists_are_read_where_they_are_mounted() {
        let root = tempfile::tempdir().unwrap();
        for folder in ["proc/self", "t", "d/kprobes"] {
            std::fs::create_dir_all(root.path().join(folder)).unwrap();
        }
        let write = |path: &str, text: &str| std::fs::write(root.path().join(path), text).unwrap();
        write("proc/self/mounts", "x /t tracefs rw 0 0\nx /d debugfs rw 0 0\n");
        let system = SystemFiles::below(root.path());
        assert!(traceable_functions(&system).is_none() && kprobe_blacklist(&system).is_none());
        write("t/available_filter_functions", "try_to_unmap\ndmirror_fault [test_hmm]\n");
        write("d/kprobes/blacklist", "0xffff-0xfffff\tasm_exc_page_fault\n");
        let traceable = traceable_functions(&system).unwrap();
        assert!(traceable.contains("dmirror_fault") && !traceable.contains("[test_hmm]"));
        assert!(kprobe_blacklist(&system).unwrap().contains("asm_exc_page_fault"));
    }
}
