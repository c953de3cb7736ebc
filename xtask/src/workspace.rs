//! This source tree, and what is built from it for guests.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::process;

/// The target of the static binaries; a target of its own keeps their flags away from the ordinary build.
const GUEST_TARGET: &str = "x86_64-unknown-linux-gnu";

/// The root of the workspace.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace")
}

/// cargo's target folder.
pub fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR").filter(|folder| !folder.is_empty()) {
        Some(folder) => root().join(folder),
        None => root().join("target"),
    }
}

/// Where the static `rmapscope` and `rmapscope-workload` for guests are.
pub fn guest_binaries() -> PathBuf {
    target().join(GUEST_TARGET).join("release")
}

/// cargo, as the one that runs us.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// Builds the static binaries for guests and returns their folder.
pub fn build_guest_binaries() -> Result<PathBuf> {
    let mut command = cargo();
    command
        .args(["build", "--quiet", "--release", "--target", GUEST_TARGET])
        .args(["-p", "rmapscope", "-p", "rmapscope-tests", "--bins"])
        .env("RUSTFLAGS", "-Ctarget-feature=+crt-static");
    process::run("building static binaries for guests", &mut command)?;
    let folder = guest_binaries();
    let program = folder.join("rmapscope");
    program.try_exists()?.then_some(folder).with_context(|| format!("{} was not built", program.display()))
}
