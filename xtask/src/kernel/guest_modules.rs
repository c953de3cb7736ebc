//! The modules that a guest loads whose root is an initramfs: such a root has no module tools that know what needs what.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::process;

/// What a guest needs that may be a module: its shares, ports, disks and swap, and the test driver.
const MODULES: [&str; 9] = [
    "virtio_mmio",
    "virtio_pci",
    "virtio_console",
    "9pnet_virtio",
    "9p",
    "virtio_blk",
    "nvme",
    "zram",
    "test_hmm",
];

/// The list of modules beside an image, in the order in which they are loaded.
const LIST: &str = "guest-modules";

/// Lists the modules of a release beside its image in `folder`, each after what it needs. depmod has been run.
pub fn list(root: &Path, folder: &Path, release: &str) -> Result<()> {
    let real = fs::canonicalize(folder).with_context(|| folder.display().to_string())?;
    let mut list = Vec::new();
    for module in MODULES {
        let mut show = Command::new("modprobe");
        show.arg("--dirname").arg(root).args(["--set-version", release, "--show-depends", module]);
        // What is built in, or is not there, has none.
        let shown = process::output(&mut show).unwrap_or_default();
        for line in shown.lines().filter_map(|line| line.strip_prefix("insmod ")) {
            let path = fs::canonicalize(line.trim()).with_context(|| line.to_owned())?;
            let path = path.strip_prefix(&real).with_context(|| path.display().to_string())?;
            let path = path.display().to_string();
            if !list.contains(&path) {
                list.push(path);
            }
        }
    }
    fs::write(folder.join(LIST), list.join("\n")).with_context(|| folder.display().to_string())
}

/// The modules that a guest of this image loads, in that order; none where all is built in.
pub fn of_image(image: &Path) -> Vec<PathBuf> {
    let Some(folder) = image.parent() else { return Vec::new() };
    let list = fs::read_to_string(folder.join(LIST)).unwrap_or_default();
    list.lines().map(|line| folder.join(line)).collect()
}
