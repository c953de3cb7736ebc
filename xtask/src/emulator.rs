//! The QEMU that boots guests.
//!
//! Debian 12's QEMU 7.2 loses a race when one CPU of a guest writes code that another one runs: an instruction
//! that was a breakpoint for a moment can stay one for that CPU, which then runs into it for ever. Kernels write
//! such breakpoints whenever a tracepoint that is being hit is switched (6.1 `arch/x86/kernel/alternative.c`,
//! `text_poke_bp_batch()`), so a guest that is traced stalls now and then. Switching `task_rename` on and off
//! while another CPU renames itself stalled 7.2.22 within 12 s, three times of three; 10.0.2 did so 7319 times
//! in 120 s without. With one thread for all CPUs 7.2 has no such race, and is slower.
//!
//! Instructions are counted with one CPU in one thread, and with the machine's own QEMU: under `-icount sleep=off`
//! 10.0.2 used two minutes without a line from the kernel, where 7.2.22 boots.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use anyhow::{Context, Result, ensure};

use crate::archive::Suite;
use crate::{cache, process};

const PROGRAM: &str = "qemu-system-x86_64";
/// The first series that is known to be free of the race.
const SAFE: u32 = 10;
/// The emulator and the firmware that it loads. Its libraries are those of Debian 12's own QEMU.
const PACKAGES: [&str; 3] = ["qemu-system-x86", "qemu-system-data", "seabios"];

/// A QEMU for x86-64.
#[derive(Clone, Debug)]
pub struct Emulator {
    /// Its program.
    pub program: PathBuf,
    /// The first number of its version.
    pub major: u32,
}

impl Emulator {
    fn at(program: PathBuf) -> Option<Self> {
        let said = process::output(Command::new(&program).arg("--version"))?;
        Some(Self { major: major(&said)?, program })
    }

    /// Where to look for modules, which are of the machine's own build and fit no other: the one in the cache has none.
    pub fn modules(&self) -> Option<PathBuf> {
        (self.program == fetched()).then(|| folder().join("modules"))
    }

    /// Whether several CPUs can be emulated at once.
    pub fn translates_safely(&self) -> bool {
        self.major >= SAFE
    }
}

/// The one in the cache, else the machine's; none where there is neither.
pub fn find() -> Option<&'static Emulator> {
    static FOUND: LazyLock<Option<Emulator>> = LazyLock::new(look);
    FOUND.as_ref()
}

/// The one that counts instructions.
pub fn for_counting() -> Option<&'static Emulator> {
    static FOUND: LazyLock<Option<Emulator>> = LazyLock::new(of_machine);
    FOUND.as_ref()
}

fn look() -> Option<Emulator> {
    Emulator::at(fetched()).or_else(of_machine)
}

fn of_machine() -> Option<Emulator> {
    Emulator::at(process::find(PROGRAM)?)
}

fn folder() -> PathBuf {
    cache::tools().join("qemu")
}

fn fetched() -> PathBuf {
    folder().join("usr/bin").join(PROGRAM)
}

/// Whether a better one than what is here should be fetched.
pub fn is_wanted() -> bool {
    look().is_none_or(|emulator| !emulator.translates_safely())
}

/// Fetches Debian's newer QEMU into the cache.
pub fn fetch() -> Result<()> {
    let suite = Suite::backports()?;
    fs::create_dir_all(cache::tools())?;
    let scratch = tempfile::Builder::new().prefix(".qemu-").tempdir_in(cache::tools())?;
    suite.unpack(&PACKAGES.map(str::to_owned), scratch.path())?;
    let program = scratch.path().join("usr/bin").join(PROGRAM);
    let emulator = Emulator::at(program).context("the QEMU of bookworm-backports does not run here")?;
    ensure!(emulator.translates_safely(), "bookworm-backports has no QEMU of series {SAFE} or later");
    put(scratch.path(), &folder())
}

/// Another xtask may have been faster.
fn put(scratch: &Path, place: &Path) -> Result<()> {
    match fs::rename(scratch, place) {
        Err(error) if !place.exists() => Err(error).with_context(|| place.display().to_string()),
        _ => Ok(()),
    }
}

/// `QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18+b3)`
fn major(said: &str) -> Option<u32> {
    said.split_once("version ")?.1.split_once('.')?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        assert_eq!(major("QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18+b3)\n"), Some(7));
        assert_eq!(major("QEMU emulator version 10.0.2 (Debian 1:10.0.2+ds-2+deb13u1~bpo12+1)\n"), Some(10));
        assert_eq!(major("no such thing"), None);
    }
}
