//! What a built kernel depends on, and the key of its place in the cache.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::build::Recipe;
use crate::architecture::Architecture;
use crate::prerequisite::Missing;
use crate::{process, workspace};

/// The archive that Debian's package `linux-source-6.12` installs.
pub const ARCHIVE: &str = "/usr/src/linux-source-6.12.tar.xz";
const PACKAGE: &str = "linux-source-6.12";

/// Everything that decides what the kernel is.
pub struct Inputs {
    /// Version of Debian's source package.
    pub source_version: String,
    /// The options on top of `make tinyconfig`.
    pub config: PathBuf,
    /// Patches, in the order of their names.
    pub patches: Vec<PathBuf>,
    /// Hash of all inputs, the compiler's version among them.
    pub key: String,
}

impl Inputs {
    /// Reads the inputs of a kernel that is built here.
    pub fn read(recipe: &Recipe) -> Result<Self> {
        let folder = workspace::root().join("tests/kernels");
        let config = folder.join(format!("{}.config", recipe.config));
        let patches = patches(&folder.join("patches"))?;
        let source_version =
            process::output(Command::new("dpkg-query").args(["-W", "-f=${Version}", PACKAGE]))
                .filter(|version| !version.is_empty() && Path::new(ARCHIVE).exists())
                .ok_or_else(|| {
                    Missing::new(format!("Debian's package {PACKAGE} is not installed"), "cargo xtask setup")
                })?;
        let compiler = compiler_for(recipe.architecture)?;

        let mut hash = Hash::new();
        hash.add(source_version.as_bytes());
        hash.add(compiler.as_bytes());
        if !recipe.option.is_empty() {
            hash.add(recipe.option.as_bytes());
        }
        for file in std::iter::once(&config).chain(&patches) {
            hash.add(&fs::read(file).with_context(|| file.display().to_string())?);
        }
        Ok(Self { source_version, config, patches, key: hash.name() })
    }
}

/// Version of gcc.
pub fn compiler() -> Result<String> {
    version_of("gcc")
}

/// Version of the compiler for an architecture; of another one with its name.
fn compiler_for(architecture: Architecture) -> Result<String> {
    if architecture.is_native() {
        return compiler();
    }
    let program = architecture.compiler();
    Ok(format!("{program} {}", version_of(&program)?))
}

fn version_of(compiler: &str) -> Result<String> {
    process::output(Command::new(compiler).args(["-dumpfullversion"]))
        .ok_or_else(|| Missing::new(format!("{compiler} is not installed"), "cargo xtask setup").into())
}

fn patches(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut list = Vec::new();
    if folder.is_dir() {
        for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "patch") {
                list.push(path);
            }
        }
    }
    list.sort();
    Ok(list)
}

/// FNV-1a, 64 bits: names a place in a cache, guards against nothing.
pub struct Hash(u64);

impl Hash {
    /// The hash of nothing.
    pub fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    /// Adds one input; its length keeps neighbours apart.
    pub fn add(&mut self, bytes: &[u8]) {
        for byte in (bytes.len() as u64).to_le_bytes().iter().chain(bytes) {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    /// The hash as part of a file name.
    pub fn name(&self) -> String {
        format!("{:016x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(inputs: &[&str]) -> u64 {
        let mut hash = Hash::new();
        inputs.iter().for_each(|input| hash.add(input.as_bytes()));
        hash.0
    }

    #[test]
    fn every_input_counts_and_so_does_where_it_ends() {
        assert_eq!(hash(&["a", "b"]), hash(&["a", "b"]));
        assert_ne!(hash(&["a", "b"]), hash(&["ab", ""]));
        assert_ne!(hash(&["a", "b"]), hash(&["a", "c"]));
    }

    #[test]
    fn only_patches_are_patches_and_they_are_ordered() {
        let folder = tempfile::tempdir().expect("temporary folder");
        for name in ["2.patch", "1.patch", "README"] {
            fs::write(folder.path().join(name), "x").expect("written");
        }
        let names: Vec<_> = patches(folder.path())
            .expect("read")
            .into_iter()
            .map(|path| path.file_name().map(Into::<std::ffi::OsString>::into))
            .collect();
        assert_eq!(names, [Some("1.patch".into()), Some("2.patch".into())]);
        assert!(patches(&folder.path().join("none")).expect("no folder, no patch").is_empty());
    }
}
