//! Builds the guest kernel `6.12-hmm` and keeps it by the hash of its inputs.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use super::inputs::Inputs;
use super::{HMM, progress, source};
use crate::cache;
use crate::process::duration;

/// What is kept of a build: the place in the build tree and the name in the cache.
const KEPT: [(&str, &str); 4] = [
    ("arch/x86/boot/bzImage", "bzImage"),
    (".config", "config"),
    ("System.map", "System.map"),
    ("vmlinux", "vmlinux"),
];
/// The image, if these inputs were built before.
pub fn built() -> Option<PathBuf> {
    let image = place(&Inputs::read().ok()?).join("bzImage");
    image.exists().then_some(image)
}

/// The image, built if it must be. A second run that comes meanwhile waits for the first.
pub fn ensure() -> Result<PathBuf> {
    let inputs = Inputs::read()?;
    let place = place(&inputs);
    let image = place.join("bzImage");
    if image.exists() {
        return Ok(image);
    }
    let kernels = cache::kernels();
    fs::create_dir_all(&kernels).with_context(|| kernels.display().to_string())?;
    let lock = File::create(kernels.join(format!("{HMM}.lock"))).context("lock of the kernel build")?;
    if lock.try_lock().is_err() {
        eprintln!("xtask: another run builds the kernel {HMM}; waiting for it");
        lock.lock().context("lock of the kernel build")?;
    }
    if !image.exists() {
        build(&inputs, &place)?;
    }
    Ok(image)
}

fn place(inputs: &Inputs) -> PathBuf {
    cache::kernels().join(format!("{HMM}-{}", inputs.key))
}

fn build(inputs: &Inputs, place: &Path) -> Result<()> {
    let started = Instant::now();
    let log = cache::kernels().join(format!("{HMM}-{}.log", inputs.key));
    let _ = fs::remove_file(&log);
    eprintln!(
        "xtask: building the kernel {HMM} (Debian {}), 7 minutes on two cores; log: {}",
        inputs.source_version,
        log.display()
    );
    let scratch = tempfile::Builder::new().prefix(".building-").tempdir_in(cache::kernels())?;
    let source = source::patched(inputs, scratch.path())?;
    let objects = scratch.path().join("objects");
    fs::create_dir(&objects).with_context(|| objects.display().to_string())?;
    configure(inputs, &source, &objects, &log)?;
    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    let mut make = make(&source, &objects);
    make.arg(format!("-j{jobs}")).arg("bzImage");
    progress::run("building the kernel", &mut make, &log)?;

    let fresh = scratch.path().join("kept");
    fs::create_dir(&fresh).with_context(|| fresh.display().to_string())?;
    for (from, to) in KEPT {
        fs::rename(objects.join(from), fresh.join(to)).with_context(|| format!("{from} was not built"))?;
    }
    fs::rename(&fresh, place).with_context(|| place.display().to_string())?;
    let _ = fs::remove_file(&log);
    eprintln!("xtask: the kernel {HMM} is built in {}: {}", duration(started.elapsed()), place.display());
    Ok(())
}

/// `make tinyconfig`, our options over it, and what they depend on; none of ours may get lost.
fn configure(inputs: &Inputs, source: &Path, objects: &Path, log: &Path) -> Result<()> {
    progress::run("configuring the kernel", make(source, objects).arg("tinyconfig"), log)?;
    let mut merge = Command::new(source.join("scripts/kconfig/merge_config.sh"));
    merge
        .arg("-m")
        .arg("-O")
        .arg(objects)
        .arg(objects.join(".config"))
        .arg(&inputs.config)
        .current_dir(source);
    progress::run("configuring the kernel", &mut merge, log)?;
    progress::run("configuring the kernel", make(source, objects).arg("olddefconfig"), log)?;

    let requested = fs::read_to_string(&inputs.config).context("the kernel's configuration")?;
    let configured = fs::read_to_string(objects.join(".config")).context("the kernel's configuration")?;
    let lost = lost_options(&requested, &configured);
    if !lost.is_empty() {
        bail!("{}: this kernel does not take {}", inputs.config.display(), lost.join(", "));
    }
    Ok(())
}

fn make(source: &Path, objects: &Path) -> Command {
    let mut make = Command::new("make");
    // The caller's make or cargo must not lend its job server or its flags.
    make.env_remove("MAKEFLAGS").env_remove("MFLAGS").env_remove("CARGO_MAKEFLAGS");
    make.arg("-C").arg(source).arg(format!("O={}", objects.display()));
    make
}

/// Lines of the requested configuration that the final one does not have.
fn lost_options<'a>(requested: &'a str, configured: &str) -> Vec<&'a str> {
    let has = |wanted: &str| configured.lines().any(|line| line == wanted);
    requested.lines().map(str::trim).filter(|line| line.starts_with("CONFIG_") && !has(line)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lost_options_are_named() {
        let configured = "CONFIG_SMP=y\n# CONFIG_NUMA is not set\nCONFIG_NR_CPUS=64\n";
        let requested = "# a comment\nCONFIG_SMP=y\nCONFIG_NUMA=y\nCONFIG_NR_CPUS=8\n";
        assert_eq!(lost_options(requested, configured), ["CONFIG_NUMA=y", "CONFIG_NR_CPUS=8"]);
    }
}
