//! Process ids of this pid namespace and the kernel's own, which events carry and programs compare.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::fd::AsRawFd;

use aya::Ebpf;

use super::ask::ask;
use super::processes;
use crate::Error;
use crate::event::ProcessEntry;
use crate::kernel::{Btf, Privileges, SystemFiles};

/// How process ids are translated.
#[derive(Clone, Copy, Debug)]
pub enum Ids {
    /// This is the first pid namespace: they are the kernel's own.
    Own,
    /// By the folder in /proc, whose inode knows the process. The arguments of the program `identify` after the
    /// first.
    Translated([u64; 6]),
}

impl Ids {
    /// Those of this process's namespace.
    ///
    /// # Errors
    /// A prerequisite when it is not the first and there is no way to translate.
    pub fn find(btf: &Btf) -> Result<Self, Error> {
        let seen = fs::read_link("/proc/self").ok();
        let seen = seen.as_deref().and_then(|link| link.to_str()?.parse::<u32>().ok());
        if seen != Some(std::process::id()) {
            return Err(Error::prerequisite(
                "/proc shows a different pid namespace from this process's own",
                "mount this namespace's /proc: unshare --mount-proc, or mount -t proc proc /proc",
            ));
        }
        match Privileges::read(&SystemFiles::live()).first_pid_namespace {
            Some(true) => Ok(Self::Own),
            Some(false) => path(btf)
                .map(Self::Translated)
                .ok_or_else(|| untranslatable("the kernel's types lack a field")),
            None => Err(untranslatable("/proc/self/ns is not readable")),
        }
    }

    /// The kernel's own number of the process or thread with that folder in /proc.
    ///
    /// # Errors
    /// A prerequisite when the kernel lets nobody read it.
    pub fn number(&self, ebpf: &mut Ebpf, id: u32, folder: &File) -> Result<u32, Error> {
        let Self::Translated(path) = self else { return Ok(id) };
        let mut arguments = [0; 7];
        arguments[0] = u64::from(folder.as_raw_fd().unsigned_abs());
        arguments[1..].copy_from_slice(path);
        match ask(ebpf, "identify", &arguments) {
            Ok(0) => Err(untranslatable("the kernel's memory cannot be read (lockdown)")),
            Ok(number) => Ok(number),
            Err(reason) => Err(untranslatable(&reason)),
        }
    }

    /// This process's own.
    ///
    /// # Errors
    /// As [`Ids::number`].
    pub fn own(&self, ebpf: &mut Ebpf) -> Result<u32, Error> {
        let folder = File::open("/proc/self").map_err(|error| untranslatable(&error.to_string()))?;
        self.number(ebpf, std::process::id(), &folder)
    }

    /// Every thread that lives, with the kernel's numbers. A parent outside the namespace is 0, as /proc has it.
    pub fn living(&self, ebpf: &mut Ebpf) -> Vec<ProcessEntry> {
        let mut entries = processes::living();
        if matches!(self, Self::Own) {
            return entries;
        }
        let mut numbers = BTreeMap::new();
        for entry in &entries {
            let folder = File::open(format!("/proc/{}/task/{}", entry.pid, entry.tid));
            if let Some(number) = folder.ok().and_then(|folder| self.number(ebpf, entry.tid, &folder).ok()) {
                numbers.insert(entry.tid, number);
            }
        }
        entries.retain_mut(|entry| {
            let (Some(pid), Some(tid)) = (numbers.get(&entry.pid), numbers.get(&entry.tid)) else {
                return false;
            };
            let parent = numbers.get(&entry.parent).copied().unwrap_or(0);
            (entry.pid, entry.tid, entry.parent) = (*pid, *tid, parent);
            true
        });
        entries
    }
}

fn untranslatable(reason: &str) -> Error {
    Error::prerequisite(
        format!("this is not the first pid namespace, and process ids cannot be translated: {reason}"),
        "run in the host's pid namespace (docker run --pid=host)",
    )
}

/// From the running task to the number behind one of its descriptors.
fn path(btf: &Btf) -> Option<[u64; 6]> {
    let offset = |name, member| Some(u64::from(btf.offset_of(name, member)?.offset));
    Some([
        offset("task_struct", "files")?,
        offset("files_struct", "fdt")?,
        offset("fdtable", "fd")?,
        offset("file", "f_inode")?,
        offset("proc_inode", "pid")?.wrapping_sub(offset("proc_inode", "vfs_inode")?),
        offset("pid", "numbers")? + offset("upid", "nr")?,
    ])
}
