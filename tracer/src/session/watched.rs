//! Tells the programs which processes and threads to watch.

use std::fs::{self, File};
use std::io;

use aya::Ebpf;
use aya::programs::{Program, RawTracePointRunOptions, TestRun};
use tracer_common::globals::WATCH_THREAD;

use super::processes;
use crate::{Error, open_files};

/// A process or thread that is held on to: another one that gets its id is not taken for it.
struct Held {
    id: u32,
    folder: File,
}

impl Held {
    fn open(id: u32) -> io::Result<Self> {
        Ok(Self { id, folder: File::open(format!("/proc/{id}"))? })
    }

    /// A file of its folder in /proc; `None` when it is gone, also when another one has the id by now.
    fn text(&self, name: &str) -> Option<String> {
        use std::os::fd::AsRawFd;
        fs::read_to_string(format!("/proc/self/fd/{}/{name}", self.folder.as_raw_fd())).ok()
    }

    fn process(&self) -> Option<u32> {
        processes::field(&self.text("status")?, "Tgid:")
    }
}

/// Watches one process or thread.
///
/// # Errors
/// When it has ended, or the kernel does not run the program that takes it.
pub fn watch(ebpf: &mut Ebpf, what: u32, id: u32) -> Result<(), Error> {
    let kind = if what == WATCH_THREAD { "thread" } else { "process" };
    let gone = || Error::failure(format!("{kind} {id} has ended"), "name one that lives");
    let held = Held::open(id).map_err(|error| match open_files::is_why(&error) {
        true => Error::prerequisite(
            format!("cannot hold on to {kind} {id}: {error}"),
            open_files::remedy(&error, "name fewer tasks"),
        ),
        false => gone(),
    })?;
    let pid = held.process().ok_or_else(gone)?;
    let refused = |reason: String| {
        Error::prerequisite(
            format!("the programs cannot be told to watch {kind} {id}: {reason}"),
            "trace the whole system (-a), or by name (-n)",
        )
    };
    let Some(Program::RawTracePoint(program)) = ebpf.program_mut("watch") else {
        return Err(refused("the object has no program for it".to_owned()));
    };
    if program.fd().is_err() {
        program.load().map_err(|error| refused(error.to_string()))?;
    }
    let mut options = RawTracePointRunOptions::new();
    options.args[..3].copy_from_slice(&[what.into(), pid.into(), held.id.into()]);
    match program.test_run(options) {
        Ok(done) if done.return_value == 1 => {}
        Ok(_) => return Err(refused("there are too many; name fewer".to_owned())),
        Err(error) => return Err(refused(error.to_string())),
    }
    // It lived before and after, and forks are seen: nobody else has its id, now or later unseen.
    held.process().map(|_| ()).ok_or_else(gone)
}
