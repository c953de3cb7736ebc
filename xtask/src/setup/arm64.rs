//! What programs for 64-bit Arm are built with and run on, from Debian's packages for it: unpacked into the cache, not
//! installed.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::architecture::Architecture;
use crate::archive::Suite;
use crate::{cache, process};

/// The target of Rust.
pub const TARGET: &str = "aarch64-unknown-linux-gnu";
/// Debian's compiler: the standard library for another architecture comes in packages of the same version.
const COMPILER: &str = "/usr/bin/rustc";
/// Where that compiler's libraries are.
const LIBRARIES: &str = "/usr/lib/rustlib";
/// Targets of this machine's own: for build scripts, and for the eBPF object.
const OTHER_TARGETS: [&str; 2] = ["x86_64-unknown-linux-gnu", "bpfel-unknown-none"];

/// The folder, by the version of the compiler.
fn folder() -> PathBuf {
    let version = process::output(Command::new(COMPILER).arg("--version")).unwrap_or_default();
    let version = version.split_whitespace().nth(1).unwrap_or("unknown");
    cache::tools().join(format!("arm64-rust-{version}"))
}

/// A static busybox.
pub fn busybox() -> PathBuf {
    folder().join("root/bin/busybox")
}

/// The compiler, with the standard library for 64-bit Arm beside its own.
pub fn rustc() -> PathBuf {
    folder().join("rustc")
}

/// Fetches what is missing.
pub fn ensure() -> Result<()> {
    let folder = folder();
    if folder.join("rustc").is_file() {
        return Ok(());
    }
    let suite = Suite::stable(Architecture::Arm64)?;
    fs::create_dir_all(cache::tools())?;
    let scratch = tempfile::Builder::new().prefix(".arm64-").tempdir_in(cache::tools())?;
    let root = scratch.path().join("root");
    suite.unpack(&packages(&suite)?, &root)?;
    sysroot(scratch.path(), &folder)?;
    match fs::rename(scratch.path(), &folder) {
        Err(error) if !folder.exists() => Err(error).with_context(|| folder.display().to_string()),
        _ => Ok(()),
    }
}

/// The standard library of the compiler's version, and busybox.
fn packages(suite: &Suite) -> Result<Vec<String>> {
    const LIBRARY: &str = "libstd-rust-web-dev";
    let installed = process::output(Command::new("dpkg-query").args(["-W", "-f=${Version}", "rustc-web"]));
    let installed = installed.context("Debian's package rustc-web is not installed")?;
    let names = [LIBRARY.to_owned()];
    let package = suite.packages(&names)?.remove(LIBRARY).unwrap_or_default();
    if package.version != installed {
        bail!("{LIBRARY} for arm64 is of version {}, rustc-web here of {installed}", package.version);
    }
    let shared = package.depends.into_iter().filter(|name| name.starts_with("libstd-rust-web-"));
    Ok(shared.chain([LIBRARY.to_owned(), "busybox-static".to_owned()]).collect())
}

/// A folder of libraries for the compiler, and the compiler that uses it, as they will be in `place`.
fn sysroot(scratch: &Path, place: &Path) -> Result<()> {
    let libraries = scratch.join("sysroot/lib/rustlib");
    fs::create_dir_all(&libraries)?;
    symlink(place.join("root/usr/lib/rustlib").join(TARGET), libraries.join(TARGET))?;
    for target in OTHER_TARGETS {
        symlink(Path::new(LIBRARIES).join(target), libraries.join(target))?;
    }
    let program = scratch.join("rustc");
    let sysroot = place.join("sysroot");
    fs::write(&program, format!("#!/bin/sh\nexec {COMPILER} --sysroot {} \"$@\"\n", sysroot.display()))?;
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
    Ok(())
}
