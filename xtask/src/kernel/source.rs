//! The kernel's source tree: unpacked once for each version, copied by links where patches change it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::inputs::{ARCHIVE, Inputs};
use crate::{cache, process};

/// The unpacked source of Debian's package. Nothing writes to it: kernels are built outside (`O=`).
pub fn unpacked(inputs: &Inputs) -> Result<PathBuf> {
    let sources = cache::kernels().join("src");
    let tree = sources.join(format!("linux-6.12-{}", inputs.source_version.replace(['~', ':'], "-")));
    if tree.join("Makefile").exists() {
        return Ok(tree);
    }
    fs::create_dir_all(&sources).with_context(|| sources.display().to_string())?;
    let fresh = tempfile::Builder::new().prefix(".unpacking-").tempdir_in(&sources)?;
    process::run(
        "unpacking the kernel's source",
        Command::new("tar")
            .args(["--extract", "--strip-components=1", "--file", ARCHIVE, "--directory"])
            .arg(fresh.path()),
    )?;
    fs::rename(fresh.keep(), &tree).with_context(|| tree.display().to_string())?;
    Ok(tree)
}

/// The source to build: the unpacked one, or a copy in `folder` with the patches applied.
pub fn patched(inputs: &Inputs, folder: &Path) -> Result<PathBuf> {
    let tree = unpacked(inputs)?;
    if inputs.patches.is_empty() {
        return Ok(tree);
    }
    let copy = folder.join("source");
    process::run("copying the kernel's source", Command::new("cp").args(["-al"]).arg(&tree).arg(&copy))?;
    for patch in &inputs.patches {
        // patch(1) writes a new file and renames it, so the tree that shares its links stays as it was.
        let mut command = Command::new("patch");
        command.args(["--strip=1", "--forward", "--batch", "--input"]).arg(patch).current_dir(&copy);
        process::run(&format!("applying {}", patch.display()), &mut command)?;
    }
    Ok(copy)
}
