//! This source tree, and what is built from it for guests.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::process;

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

/// How `rmapscope` and `rmapscope-workload` are built for guests, which see this machine's libraries too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// The profile of the unit tests, so that tests and guests share one build.
    Test,
    /// As users build it: for everything that is measured.
    Release,
}

impl Profile {
    /// Where its programs are.
    pub fn folder(self) -> PathBuf {
        target().join(match self {
            Self::Test => "debug",
            Self::Release => "release",
        })
    }
}

/// cargo, as the one that runs us.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// Builds `rmapscope` and `rmapscope-workload` and returns their folder.
pub fn build_programs(profile: Profile) -> Result<PathBuf> {
    let mut command = cargo();
    command.args(["build", "--quiet", "-p", "rmapscope", "-p", "rmapscope-tests", "--bins"]);
    if profile == Profile::Release {
        command.arg("--release");
    }
    process::run("building the programs for guests", &mut command)?;
    let folder = profile.folder();
    let program = folder.join("rmapscope");
    program.try_exists()?.then_some(folder).with_context(|| format!("{} was not built", program.display()))
}
