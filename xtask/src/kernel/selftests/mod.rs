//! Some of the kernel's own selftests (`tools/testing/selftests/mm`) for guests: built statically from the source of
//! the kernel in the guest where that can be had, else from that of 6.12, and kept by the hash of what they are built
//! from.

mod build;
mod source;

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::inputs::{self, Hash};
use crate::cache;
use source::Source;

/// Those that run on any kernel; each becomes a program of its name.
const ANYWHERE: &[&str] = &["hmm-tests", "migration", "mlock2-tests", "cow", "ksm_tests"];

/// Those that run on the kernel whose source they are in. Not each source has all of them.
const AT_HOME: &[&str] = &[
    "madv_populate",
    "mkdirty",
    "mlock-random-test",
    "mremap_test",
    "soft-dirty",
    "rmap",
    "guard-regions",
    "merge",
    "process_madv",
];

/// Whether a program of that name is built where the source has it.
pub fn has(name: &str) -> bool {
    ANYWHERE.contains(&name) || AT_HOME.contains(&name)
}

/// The folder with the programs for the kernel of that name and image, built if they must be. A second run that
/// comes meanwhile waits for the first.
pub fn ensure(name: &str, image: &Path) -> Result<PathBuf> {
    let source = Source::of(name, image)?;
    let names: Vec<&str> = if source.is_own { [ANYWHERE, AT_HOME].concat() } else { ANYWHERE.to_vec() };
    let place = cache::folder().join(format!("selftests-{}", key(&source, &names)?));
    if place.exists() {
        return Ok(place);
    }
    let kernels = cache::kernels();
    fs::create_dir_all(&kernels).with_context(|| kernels.display().to_string())?;
    let lock = File::create(kernels.join("selftests.lock")).context("lock of the selftests")?;
    lock.lock().context("lock of the selftests")?;
    if !place.exists() {
        build::all(&source, &names, &place)?;
    }
    Ok(place)
}

fn key(source: &Source, names: &[&str]) -> Result<String> {
    let mut hash = Hash::new();
    hash.add(source.version.as_bytes());
    hash.add(inputs::compiler()?.as_bytes());
    for name in names {
        hash.add(name.as_bytes());
    }
    // How they are built, and from which files.
    hash.add(include_bytes!("build.rs"));
    hash.add(include_bytes!("source.rs"));
    Ok(hash.name())
}
