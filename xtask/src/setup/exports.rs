//! Readers of exports for tests: a Python environment and a folder of Node.js packages, with pinned versions.
//!
//! Each lies in a folder named by the checksum of its list, so that a changed list makes a new one.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::{cache, process, workspace};

/// Written when an installation was done, so that an interrupted one is repeated.
const STAMP: &str = "installed";

/// The Python interpreter with everything of `tests/exports/requirements.txt`.
pub fn python() -> Result<PathBuf> {
    let list = list("requirements.txt");
    let folder = folder("venv-exports", &list)?;
    let python = folder.join("bin/python");
    if !folder.join(STAMP).is_file() {
        process::run(
            "creating a Python environment",
            Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder),
        )?;
        let mut pip = Command::new(&python);
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"]).arg(&list);
        process::run("installing Python's readers of exports", pip.stdout(std::io::stderr()))?;
        done(&folder)?;
    }
    Ok(python)
}

/// The `node_modules` with everything of `tests/exports/package.json`.
pub fn node() -> Result<PathBuf> {
    let list = list("package.json");
    let folder = folder("node-exports", &list)?;
    if !folder.join(STAMP).is_file() {
        std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        std::fs::copy(&list, folder.join("package.json")).with_context(|| folder.display().to_string())?;
        let mut npm = Command::new("npm");
        npm.args(["install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts"]).current_dir(&folder);
        process::run("installing Node.js' readers of exports", npm.stdout(std::io::stderr()))?;
        done(&folder)?;
    }
    Ok(folder.join("node_modules"))
}

fn list(name: &str) -> PathBuf {
    workspace::root().join("tests/exports").join(name)
}

fn folder(name: &str, list: &Path) -> Result<PathBuf> {
    let mut hasher = DefaultHasher::new();
    std::fs::read(list).with_context(|| list.display().to_string())?.hash(&mut hasher);
    Ok(cache::folder().join(format!("{name}-{:016x}", hasher.finish())))
}

fn done(folder: &Path) -> Result<()> {
    let stamp = folder.join(STAMP);
    std::fs::write(&stamp, "").with_context(|| stamp.display().to_string())
}
