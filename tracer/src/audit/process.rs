//! Processes: who there is, and the entries of one of them.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::ops::Range;

use serde::Serialize;

use super::entry::{Entry, Kind};
use super::types::TypeTable;
use super::vma::{Vma, parse_flags, parse_maps};
use super::{pagemap, scan};
use crate::kernel::{ProcessStat, SystemFiles};

/// A task without an address space of its own (include/linux/sched.h, PF_KTHREAD).
const PF_KTHREAD: u64 = 0x0020_0000;

/// A process, told from a later one with the same id.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Process {
    /// Its id.
    pub pid: u32,
    /// When it was started, in clock ticks since boot.
    #[serde(skip)]
    pub start: u64,
    /// What it calls itself. Escape it.
    pub comm: String,
}

/// Why a process could not be looked at.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// There is none.
    #[error("there is no process {0}")]
    NoProcess(u32),
    /// It ended while it was looked at.
    #[error("process {0} ended while it was being read")]
    Vanished(u32),
    /// A kernel thread, or a zombie.
    #[error("process {0} has no address space: it is a kernel thread or has ended")]
    NoAddressSpace(u32),
    /// Not allowed.
    #[error("reading process {0} is not permitted")]
    Denied(u32),
    /// Anything else.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: String,
        /// Why.
        source: io::Error,
    },
}

/// The swap entries of a process as they stood.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Whose.
    pub process: Process,
    /// Its VMAs with entries other than those of pages in swap, by address.
    pub vmas: Vec<Vma>,
    /// The entries other than those of pages in swap, by address.
    pub entries: Vec<Entry>,
    /// How many entries of each kind, pages in swap included.
    pub counts: BTreeMap<Kind, u64>,
}

/// How entries are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Method {
    /// With PAGEMAP_SCAN where the kernel has it, else by reading.
    #[default]
    Auto,
    /// By reading the word of every page.
    Read,
}

/// The ids of all processes, in order.
///
/// # Errors
/// When `/proc` cannot be listed.
pub fn processes(system: &SystemFiles) -> Result<Vec<u32>, AuditError> {
    let folder = std::fs::read_dir(system.path("/proc"))
        .map_err(|source| AuditError::Read { path: "/proc".to_owned(), source })?;
    let mut pids: Vec<u32> =
        folder.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    pids.sort_unstable();
    Ok(pids)
}

impl Process {
    /// The process with that id.
    ///
    /// # Errors
    /// When there is none, when it may not be seen, or when it is a kernel thread.
    pub fn find(system: &SystemFiles, pid: u32) -> Result<Self, AuditError> {
        let path = format!("/proc/{pid}/stat");
        let stat = system.text(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => AuditError::NoProcess(pid),
            _ => classify(pid, path, error),
        })?;
        let stat = ProcessStat::parse(&stat);
        if stat.flags & PF_KTHREAD != 0 {
            return Err(AuditError::NoAddressSpace(pid));
        }
        let comm = system.text(format!("/proc/{pid}/comm")).unwrap_or_default();
        let comm = comm.strip_suffix('\n').unwrap_or(&comm).to_owned();
        Ok(Self { pid, start: stat.start, comm })
    }
}

impl Snapshot {
    /// Looks at a process; `with_flags` also reads the flags of VMAs with entries, which takes as long again.
    ///
    /// # Errors
    /// When there is no such process, when it ends meanwhile, has no memory, or may not be looked at.
    pub fn take(
        system: &SystemFiles,
        pid: u32,
        table: &TypeTable,
        method: Method,
        with_flags: bool,
    ) -> Result<Self, AuditError> {
        let process = Process::find(system, pid)?;
        let text = |name: &str| {
            let path = format!("/proc/{pid}/{name}");
            system.text(&path).map_err(|error| classify(pid, path, error))
        };
        let mut vmas = parse_maps(&text("maps")?);
        let path = format!("/proc/{pid}/pagemap");
        let file = File::open(system.path(&path)).map_err(|error| classify(pid, path.clone(), error))?;
        if vmas.is_empty() {
            return Err(AuditError::NoAddressSpace(pid));
        }
        let mut entries = Vec::new();
        let mut counts = BTreeMap::new();
        let mut buffer = Vec::new();
        for range in to_read(&file, &vmas, method) {
            pagemap::read(&file, range, table.page_size, &mut buffer, |address, word| {
                if let Some(entry) = Entry::new(address, word, table) {
                    *counts.entry(entry.flags.kind).or_default() += 1;
                    if entry.flags.kind != Kind::Swap {
                        entries.push(entry);
                    }
                }
            })
            .map_err(|error| classify(pid, path.clone(), error))?;
        }
        vmas.retain(|vma| {
            let next = entries.partition_point(|entry| entry.address < vma.start);
            entries.get(next).is_some_and(|entry| entry.address < vma.end)
        });
        if with_flags && !vmas.is_empty() {
            let mut flags = parse_flags(&text("smaps")?);
            for vma in &mut vmas {
                vma.flags = flags.remove(&vma.start);
            }
        }
        Ok(Self { process, vmas, entries, counts })
    }

    /// How many entries other than those of pages in swap.
    pub fn total(&self) -> u64 {
        self.entries.len() as u64
    }
}

/// The address ranges that must be read: within VMAs, and where the kernel says that swap entries are.
fn to_read(file: &File, vmas: &[Vma], method: Method) -> Vec<Range<u64>> {
    let vma_ranges = || vmas.iter().map(|vma| vma.start..vma.end);
    let (Some(first), Some(last)) = (vmas.first(), vmas.last()) else { return Vec::new() };
    let scanned = match method {
        Method::Auto => scan::swap_ranges(file, first.start..last.end),
        Method::Read => None,
    };
    let Some(scanned) = scanned else { return vma_ranges().collect() };
    // Both are sorted. A VMA that came after maps was read is left out: its entries would have no VMA.
    let mut rest = scanned.as_slice();
    let mut ranges = Vec::new();
    for vma in vma_ranges() {
        while let Some(range) = rest.first() {
            let (start, end) = (range.start.max(vma.start), range.end.min(vma.end));
            if start < end {
                ranges.push(start..end);
            }
            if range.end > vma.end {
                break;
            }
            rest = &rest[1..];
        }
    }
    ranges
}

/// What an error means that came from a file of a process which was there a moment ago.
fn classify(pid: u32, path: String, source: io::Error) -> AuditError {
    match (source.kind(), source.raw_os_error()) {
        (io::ErrorKind::PermissionDenied, _) => AuditError::Denied(pid),
        (io::ErrorKind::NotFound, _) => AuditError::Vanished(pid),
        // No address space (any more): 6.12 fs/proc/task_mmu.c, pagemap_open.
        (_, Some(libc::ESRCH)) => AuditError::NoAddressSpace(pid),
        _ => AuditError::Read { path, source },
    }
}

#[cfg(test)]
mod tests {
    use super::super::types::tests::table;
    use super::*;

    #[test]
    fn this_process_has_no_special_entries() {
        let system = SystemFiles::live();
        for method in [Method::Auto, Method::Read] {
            let snapshot =
                Snapshot::take(&system, std::process::id(), &table(27, false), method, true).unwrap();
            assert_eq!(snapshot.total(), 0);
            assert!(snapshot.vmas.is_empty());
        }
        let process = Process::find(&system, std::process::id()).unwrap();
        assert!(!process.comm.is_empty() && process.start > 0);
        assert!(processes(&system).unwrap().contains(&process.pid));
    }

    #[test]
    fn a_process_that_is_not_there_is_named() {
        let error = Snapshot::take(&SystemFiles::live(), 4_194_303, &table(27, false), Method::Auto, false)
            .unwrap_err();
        assert_eq!(error.to_string(), "there is no process 4194303");
    }

    #[test]
    fn names_may_look_like_anything() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("proc/7");
        std::fs::create_dir_all(&folder).unwrap();
        let stat = "7 (a) R 1) S 1 1 1 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 1 0 4711 0 0\n";
        std::fs::write(folder.join("stat"), stat).unwrap();
        std::fs::write(folder.join("comm"), "a) R 1\n").unwrap();
        let process = Process::find(&SystemFiles::below(root.path()), 7).unwrap();
        assert_eq!(process, Process { pid: 7, start: 4711, comm: "a) R 1".to_owned() });
        std::fs::write(folder.join("stat"), stat.replace("4194560", "2129984")).unwrap();
        let error = Process::find(&SystemFiles::below(root.path()), 7).unwrap_err();
        assert!(matches!(error, AuditError::NoAddressSpace(7)));
    }

    #[test]
    fn what_is_read_lies_in_vmas() {
        let vma =
            |start, end| Vma { start, end, permissions: String::new(), path: String::new(), flags: None };
        let file = tempfile::tempfile().unwrap();
        let vmas = [vma(0x1000, 0x3000), vma(0x5000, 0x6000)];
        // No pagemap, so no scan: everything.
        assert_eq!(to_read(&file, &vmas, Method::Auto), [0x1000..0x3000, 0x5000..0x6000]);
    }
}
