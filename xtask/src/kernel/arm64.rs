//! Debian 12's own kernel for 64-bit Arm: downloaded and unpacked into the cache, with the modules that guests load.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::inputs::Hash;
use crate::architecture::Architecture;
use crate::archive::Suite;
use crate::{cache, process};

/// The package that depends on the newest one of the series.
const PACKAGE: &str = "linux-image-6.12-arm64";

/// What a guest needs that may be a module: its shares, ports, disks and swap.
const MODULES: [&str; 8] =
    ["virtio_mmio", "virtio_pci", "virtio_console", "9pnet_virtio", "9p", "virtio_blk", "nvme", "zram"];

/// The list of modules beside an image, in the order in which they are loaded.
const LIST: &str = "guest-modules";

/// The image, downloaded if the archive has a newer one than the cache.
pub fn ensure() -> Result<PathBuf> {
    let suite = Suite::stable(Architecture::Arm64)?;
    let names = [PACKAGE.to_owned()];
    let depends = suite.packages(&names)?.remove(PACKAGE).unwrap_or_default().depends;
    let image = depends.into_iter().find(|name| name.starts_with("linux-image-"));
    let image = image.with_context(|| format!("{PACKAGE} depends on no image"))?;
    let release = image.trim_start_matches("linux-image-").to_owned();
    let package = suite.packages(std::slice::from_ref(&image))?.remove(&image).unwrap_or_default();
    let mut hash = Hash::new();
    hash.add(package.sha256.as_bytes());
    hash.add(include_bytes!("arm64.rs"));
    let stock = cache::kernels().join("stock");
    let place = stock.join(format!("{release}-{}", hash.name()));
    if !place.exists() {
        fs::create_dir_all(&stock)?;
        let scratch = tempfile::Builder::new().prefix(".unpacking-").tempdir_in(&stock)?;
        let root = scratch.path().join("kernel");
        suite.unpack(&[image], &root)?;
        let boot = root.join("boot");
        fs::rename(boot.join(format!("config-{release}")), boot.join("config"))?;
        fs::write(boot.join(LIST), modules(&root, &release)?)?;
        fs::rename(&root, &place).with_context(|| place.display().to_string())?;
    }
    Ok(place.join(format!("boot/vmlinuz-{release}")))
}

/// Paths of the modules below the root, each after what it needs.
fn modules(root: &Path, release: &str) -> Result<String> {
    let mut depmod = Command::new("depmod");
    process::run("listing the kernel's modules", depmod.arg("--basedir").arg(root).arg(release))?;
    let mut list = Vec::new();
    for module in MODULES {
        let mut show = Command::new("modprobe");
        show.arg("--dirname").arg(root).args(["--set-version", release, "--show-depends", module]);
        // What is built in has none.
        let shown = process::output(&mut show).unwrap_or_default();
        for line in shown.lines().filter_map(|line| line.strip_prefix("insmod ")) {
            let path = Path::new(line.trim()).strip_prefix(root).with_context(|| line.to_owned())?;
            let path = path.display().to_string();
            if !list.contains(&path) {
                list.push(path);
            }
        }
    }
    Ok(list.join("\n"))
}

/// The modules that a guest of this image loads, in that order; none where all is built in.
pub fn modules_of(image: &Path) -> Vec<PathBuf> {
    let Some(folder) = image.parent() else { return Vec::new() };
    let list = fs::read_to_string(folder.join(LIST)).unwrap_or_default();
    list.lines().map(|line| folder.join("..").join(line)).collect()
}
