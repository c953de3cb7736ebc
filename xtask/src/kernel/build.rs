//! Builds the kernels that are ours, and keeps each by the hash of its inputs.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use super::inputs::Inputs;
use super::{HMM, PAGES_16K, PAGES_64K, RESTRICTED, progress, source};
use crate::architecture::Architecture;
use crate::cache;
use crate::process::duration;

/// A kernel that is built here from Debian's source: `make tinyconfig`, our options (`tests/kernels/CONFIG.config`) and our
/// patches.
pub struct Recipe {
    /// Its name.
    pub name: &'static str,
    /// The name of the file with its options.
    pub config: &'static str,
    /// A line of the configuration beside them; may be empty.
    pub option: &'static str,
    /// What it runs on.
    pub architecture: Architecture,
    /// The image in the build tree; make and the cache call it by its name alone.
    image: &'static str,
    /// What else is kept of a build: the place in the build tree and the name in the cache.
    kept: &'static [(&'static str, &'static str)],
    /// How long it takes on two idle cores.
    time: &'static str,
}

/// With `test_hmm`, for x86-64.
pub const TEST_HMM: Recipe = Recipe {
    name: HMM,
    config: HMM,
    option: "",
    architecture: Architecture::Amd64,
    image: "arch/x86/boot/bzImage",
    kept: &[(".config", "config"), ("System.map", "System.map"), ("vmlinux", "vmlinux")],
    time: "7 minutes",
};

/// With restricted DMA pools and `test_hmm`, for 64-bit Arm.
pub const RESTRICTED_POOLS: Recipe = Recipe {
    name: RESTRICTED,
    config: RESTRICTED,
    option: "",
    architecture: Architecture::Arm64,
    image: "arch/arm64/boot/Image",
    kept: &[(".config", "config"), ("System.map", "System.map")],
    time: "7 minutes",
};

/// The same with pages of 16 KiB.
pub const SIXTEEN_KIB: Recipe =
    Recipe { name: PAGES_16K, option: "CONFIG_ARM64_16K_PAGES=y", ..RESTRICTED_POOLS };

/// The same with pages of 64 KiB.
pub const SIXTY_FOUR_KIB: Recipe =
    Recipe { name: PAGES_64K, option: "CONFIG_ARM64_64K_PAGES=y", ..RESTRICTED_POOLS };

impl Recipe {
    /// The name of the image.
    fn image_name(&self) -> &'static str {
        self.image.rsplit('/').next().unwrap_or(self.image)
    }
}

/// The image, if these inputs were built before.
pub fn built(recipe: &Recipe) -> Option<PathBuf> {
    let image = place(recipe, &Inputs::read(recipe).ok()?).join(recipe.image_name());
    image.exists().then_some(image)
}

/// The image, built if it must be. A second run that comes meanwhile waits for the first.
pub fn ensure(recipe: &Recipe) -> Result<PathBuf> {
    let (name, inputs) = (recipe.name, Inputs::read(recipe)?);
    let place = place(recipe, &inputs);
    let image = place.join(recipe.image_name());
    if image.exists() {
        return Ok(image);
    }
    let kernels = cache::kernels();
    fs::create_dir_all(&kernels).with_context(|| kernels.display().to_string())?;
    let lock = File::create(kernels.join(format!("{name}.lock"))).context("lock of the kernel build")?;
    if lock.try_lock().is_err() {
        eprintln!("xtask: another run builds the kernel {name}; waiting for it");
        lock.lock().context("lock of the kernel build")?;
    }
    if !image.exists() {
        build(recipe, &inputs, &place)?;
    }
    Ok(image)
}

fn place(recipe: &Recipe, inputs: &Inputs) -> PathBuf {
    cache::kernels().join(format!("{}-{}", recipe.name, inputs.key))
}

fn build(recipe: &Recipe, inputs: &Inputs, place: &Path) -> Result<()> {
    let (name, started) = (recipe.name, Instant::now());
    let log = cache::kernels().join(format!("{name}-{}.log", inputs.key));
    let _ = fs::remove_file(&log);
    eprintln!(
        "xtask: building the kernel {name} (Debian {}), {} on two cores; log: {}",
        inputs.source_version,
        recipe.time,
        log.display()
    );
    let scratch = tempfile::Builder::new().prefix(".building-").tempdir_in(cache::kernels())?;
    let source = source::patched(inputs, scratch.path())?;
    let objects = scratch.path().join("objects");
    fs::create_dir(&objects).with_context(|| objects.display().to_string())?;
    configure(recipe, inputs, &source, &objects, &log)?;
    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    let mut make = make(recipe, &source, &objects);
    make.arg(format!("-j{jobs}")).arg(recipe.image_name());
    progress::run("building the kernel", &mut make, &log)?;

    let fresh = scratch.path().join("kept");
    fs::create_dir(&fresh).with_context(|| fresh.display().to_string())?;
    let image = (recipe.image, recipe.image_name());
    for (from, to) in recipe.kept.iter().copied().chain([image]) {
        fs::rename(objects.join(from), fresh.join(to)).with_context(|| format!("{from} was not built"))?;
    }
    fs::rename(&fresh, place).with_context(|| place.display().to_string())?;
    let _ = fs::remove_file(&log);
    eprintln!("xtask: the kernel {name} is built in {}: {}", duration(started.elapsed()), place.display());
    Ok(())
}

/// `make tinyconfig`, our options over it, and what they depend on; none of ours may get lost.
fn configure(recipe: &Recipe, inputs: &Inputs, source: &Path, objects: &Path, log: &Path) -> Result<()> {
    let make = || make(recipe, source, objects);
    progress::run("configuring the kernel", make().arg("tinyconfig"), log)?;
    let option = objects.join("option.config");
    fs::write(&option, recipe.option).with_context(|| option.display().to_string())?;
    let mut merge = Command::new(source.join("scripts/kconfig/merge_config.sh"));
    merge.env("ARCH", recipe.architecture.linux());
    merge
        .arg("-m")
        .arg("-O")
        .arg(objects)
        .arg(objects.join(".config"))
        .arg(&inputs.config)
        .arg(&option)
        .current_dir(source);
    progress::run("configuring the kernel", &mut merge, log)?;
    progress::run("configuring the kernel", make().arg("olddefconfig"), log)?;

    let requested = fs::read_to_string(&inputs.config).context("the kernel's configuration")? + recipe.option;
    let configured = fs::read_to_string(objects.join(".config")).context("the kernel's configuration")?;
    let lost = lost_options(&requested, &configured);
    if !lost.is_empty() {
        bail!("{}: this kernel does not take {}", inputs.config.display(), lost.join(", "));
    }
    Ok(())
}

fn make(recipe: &Recipe, source: &Path, objects: &Path) -> Command {
    let mut make = Command::new("make");
    // The caller's make or cargo must not lend its job server or its flags.
    make.env_remove("MAKEFLAGS").env_remove("MFLAGS").env_remove("CARGO_MAKEFLAGS");
    make.arg("-C").arg(source).arg(format!("O={}", objects.display()));
    make.arg(format!("ARCH={}", recipe.architecture.linux()));
    if !recipe.architecture.is_native() {
        make.arg(format!("CROSS_COMPILE={}", recipe.architecture.cross_prefix()));
    }
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
