//! Builds some of the kernel's own selftests (`tools/testing/selftests/mm` of 6.12) for guests, statically, and
//! keeps them by the hash of what they are built from.
//!
//! They are compiled one by one, without the kernel's makefile, which writes into the source tree and wants
//! every library of every test.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::inputs::{Hash, Inputs};
use super::{progress, source};
use crate::cache;

/// The tests; each becomes a program of its name.
pub const NAMES: [&str; 5] = ["hmm-tests", "migration", "mlock2-tests", "cow", "ksm_tests"];

/// What every test is linked with besides its own file.
const COMMON: [&str; 2] = ["vm_util.c", "thp_settings.c"];

/// Seconds that each of the six tests of `migration` moves pages to and fro; 20 in the kernel's source.
const MIGRATION_SECONDS: u32 = 3;

/// gcc's options apart from paths. `_GNU_SOURCE` is what the selftests' makefile says; `local_config.h`, which
/// that makefile generates, would only say that there is a liburing.
const FLAGS: &[&str] = &[
    "-w",
    "-O2",
    "-static",
    "-no-pie",
    "-U_FORTIFY_SOURCE",
    "-D_GNU_SOURCE=",
    "-DLOCAL_CONFIG_HAVE_LIBURING",
];
const LIBRARIES: &[&str] = &["-luring", "-lnuma", "-lrt", "-lpthread", "-lm"];

/// The folder with the programs, built if they must be. A second run that comes meanwhile waits for the first.
pub fn ensure() -> Result<PathBuf> {
    let inputs = Inputs::read()?;
    let place = cache::folder().join(format!("selftests-{}", key(&inputs)));
    if place.exists() {
        return Ok(place);
    }
    let kernels = cache::kernels();
    fs::create_dir_all(&kernels).with_context(|| kernels.display().to_string())?;
    let lock = File::create(kernels.join("selftests.lock")).context("lock of the selftests")?;
    lock.lock().context("lock of the selftests")?;
    if !place.exists() {
        build(&inputs, &place)?;
    }
    Ok(place)
}

fn key(inputs: &Inputs) -> String {
    let mut hash = Hash::new();
    hash.add(inputs.source_version.as_bytes());
    hash.add(inputs.compiler.as_bytes());
    // How they are built.
    hash.add(include_bytes!("selftests.rs"));
    hash.name()
}

fn build(inputs: &Inputs, place: &Path) -> Result<()> {
    let tree = source::unpacked(inputs)?;
    let folder = tree.join("tools/testing/selftests/mm");
    let scratch = tempfile::Builder::new().prefix(".building-").tempdir_in(cache::folder())?;
    let log = scratch.path().join("log");
    fs::write(scratch.path().join("local_config.h"), "")?;
    let fresh = scratch.path().join("programs");
    fs::create_dir(&fresh)?;
    eprintln!("xtask: building the kernel's selftests: {}", NAMES.join(", "));
    for name in NAMES {
        let mut text =
            fs::read_to_string(folder.join(format!("{name}.c"))).with_context(|| format!("{name}.c"))?;
        if name == "migration" {
            text = with_seconds(&text, MIGRATION_SECONDS)?;
        }
        let main = scratch.path().join(format!("{name}.c"));
        fs::write(&main, text)?;
        let mut gcc = Command::new("gcc");
        gcc.args(FLAGS).arg("-I").arg(scratch.path()).arg("-I").arg(&tree);
        // Their own headers are named relative to their own folder.
        gcc.arg("-iquote").arg(&folder).arg("-isystem").arg(tree.join("tools/include/uapi")).arg(&main);
        gcc.args(COMMON.map(|file| folder.join(file))).arg("-o").arg(fresh.join(name)).args(LIBRARIES);
        progress::run(&format!("building {name}"), &mut gcc, &log)?;
    }
    fs::rename(&fresh, place).with_context(|| place.display().to_string())
}

/// The source of `migration` with another running time.
fn with_seconds(source: &str, seconds: u32) -> Result<String> {
    let mut found = false;
    let mut text = String::with_capacity(source.len());
    for line in source.lines() {
        if line.starts_with("#define RUNTIME") {
            found = true;
            text.push_str(&format!("#define RUNTIME ({seconds})"));
        } else {
            text.push_str(line);
        }
        text.push('\n');
    }
    ensure!(found, "migration.c does not define RUNTIME: its tests would run for an unknown time");
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_running_time_is_replaced() {
        let text = with_seconds("a\n#define RUNTIME\t\t(20)\nb", 3).expect("there is one");
        assert_eq!(text, "a\n#define RUNTIME (3)\nb\n");
        assert!(with_seconds("a\n", 3).is_err());
    }
}
