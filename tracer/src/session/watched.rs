//! Tells the programs which processes and threads to watch.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;

use aya::Ebpf;
use tracer_common::globals::{WATCH_PROCESS, WATCH_THREAD};

use super::ask::ask;
use super::namespaces::Ids;
use super::processes;
use crate::{Error, open_files};

/// A process or thread that is held on to: another one that gets its id is not taken for it.
struct Held {
    folder: File,
}

impl Held {
    fn open(id: u32) -> io::Result<Self> {
        Ok(Self { folder: File::open(format!("/proc/{id}"))? })
    }

    /// Its process's id; `None` when it is gone, also when another one has the id by now.
    fn process(&self) -> Option<u32> {
        let status = fs::read_to_string(format!("/proc/self/fd/{}/status", self.folder.as_raw_fd())).ok()?;
        processes::field(&status, "Tgid:")
    }
}

/// Watches one process or thread.
///
/// # Errors
/// When it has ended, its id cannot be translated, or the kernel does not run the program that takes it.
pub fn watch(ebpf: &mut Ebpf, ids: &Ids, what: u32, id: u32) -> Result<(), Error> {
    let kind = if what == WATCH_THREAD { "thread" } else { "process" };
    let gone = || Error::failure(format!("{kind} {id} has ended"), "name one that is running");
    let hold = |id| {
        Held::open(id).map_err(|error| match open_files::is_why(&error) {
            true => Error::prerequisite(
                format!("cannot open {kind} {id}: {error}"),
                open_files::remedy(&error, "name fewer tasks"),
            ),
            false => gone(),
        })
    };
    let held = hold(id)?;
    let process = held.process().ok_or_else(gone)?;
    let leader = hold(process)?;
    let pid = ids.number(ebpf, process, &leader.folder)?;
    let tid = ids.number(ebpf, id, &held.folder)?;
    let refused = |reason: &str| {
        Error::prerequisite(
            format!("cannot make the programs watch {kind} {id}: {reason}"),
            "trace the whole system (-a), or by name (-n)",
        )
    };
    match ask(ebpf, "watch", &[what.into(), pid.into(), tid.into()]) {
        Ok(1) => {}
        Ok(_) if what == WATCH_PROCESS => return Err(refused("its id is beyond the kernel's limit")),
        Ok(_) => return Err(refused("there are too many; name fewer")),
        Err(reason) => return Err(refused(&reason)),
    }
    // It lived before and after, and forks are seen: nobody else has its id, now or later unseen.
    held.process().map(|_| ()).ok_or_else(gone)
}
