//! This source tree, and what is built from it for guests.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::architecture::Architecture;
use crate::process;
use crate::setup::arm64;

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
        target().join(self.name())
    }

    /// What cargo calls it.
    const fn name(self) -> &'static str {
        match self {
            Self::Test => "debug",
            Self::Release => "release",
        }
    }
}

/// cargo, as the one that runs us.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// cargo's arguments for the two programs.
const PROGRAMS: [&str; 7] = ["build", "--quiet", "-p", "rmapscope", "-p", "rmapscope-tests", "--bins"];
/// `rmapscope` that records, prints and judges, without what sums up and converts: builds in half the time.
const RECORDER: &str = "--no-default-features";

/// Where the two programs for guests of that architecture are.
pub fn programs_for(architecture: Architecture, profile: Profile) -> PathBuf {
    if architecture.is_native() {
        return profile.folder();
    }
    target().join(architecture.debian()).join(arm64::TARGET).join(profile.name())
}

/// Builds the two programs for guests of that architecture.
pub fn build_programs_for(architecture: Architecture, profile: Profile) -> Result<PathBuf> {
    if architecture.is_native() {
        return build_programs(profile);
    }
    let target = target().join(architecture.debian());
    let mut command = cargo();
    // What they record is read on this machine.
    command.args(PROGRAMS).args([RECORDER, "--target", arm64::TARGET]);
    if profile == Profile::Release {
        command.arg("--release");
    }
    for_another(architecture, &mut command).env("CARGO_TARGET_DIR", &target);
    build(programs_for(architecture, profile), &mut command)
}

/// Lets cargo build for another architecture.
fn for_another(architecture: Architecture, command: &mut Command) -> &mut Command {
    let linker = architecture.compiler();
    // Guests of another architecture have none of this machine's libraries.
    command
        .env("RUSTC", arm64::rustc())
        .env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", &linker)
        .env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUSTFLAGS", STATIC)
        .env("CC_aarch64_unknown_linux_gnu", &linker)
}

/// The C library goes into the program.
const STATIC: &str = "-Ctarget-feature=+crt-static";

/// Builds the whole `rmapscope` as it is released, linked statically, and returns its path.
pub fn build_static(architecture: Architecture) -> Result<PathBuf> {
    let target = target().join("static");
    let triple = architecture.target();
    let mut command = cargo();
    command.args(["build", "--quiet", "--locked", "--release", "-p", "rmapscope", "--bin", "rmapscope"]);
    command.args(["--target", &triple]).env("CARGO_TARGET_DIR", &target);
    if architecture.is_native() {
        let flags = format!("CARGO_TARGET_{}_RUSTFLAGS", triple.to_uppercase().replace('-', "_"));
        command.env(flags, STATIC);
    } else {
        for_another(architecture, &mut command);
    }
    process::run(&format!("building rmapscope for {}", architecture.debian()), &mut command)?;
    Ok(target.join(triple).join("release/rmapscope"))
}

/// Builds `rmapscope` and `rmapscope-workload` and returns their folder.
pub fn build_programs(profile: Profile) -> Result<PathBuf> {
    let mut command = cargo();
    command.args(PROGRAMS);
    if profile == Profile::Release {
        command.arg("--release");
    }
    build(profile.folder(), &mut command)
}

/// Builds `rmapscope`, as far as recording and judging need it, and `rmapscope-workload`; returns their folder.
pub fn build_recorder() -> Result<PathBuf> {
    build(Profile::Test.folder(), cargo().args(PROGRAMS).arg(RECORDER))
}

/// Compiles what the recorder needs but for the eBPF object, while the tools for that are still being installed.
pub fn build_ahead() {
    let mut command = cargo();
    command.args(PROGRAMS).args([RECORDER, "--keep-going"]);
    // It ends with the complaint that the tools are missing; whatever else is wrong, the real build says.
    let _ = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
}

fn build(folder: PathBuf, command: &mut Command) -> Result<PathBuf> {
    process::run("building the programs for guests", command)?;
    let program = folder.join("rmapscope");
    program.try_exists()?.then_some(folder).with_context(|| format!("{} was not built", program.display()))
}
