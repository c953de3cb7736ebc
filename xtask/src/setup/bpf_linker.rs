//! bpf-linker, built for the LLVM of Debian's rustc.

use std::process::Command;

use anyhow::Result;

use super::cargo_tool::CargoTool;
use crate::{cache, process};

const VERSION: &str = "0.13.0";
const LLVM: &str = "/usr/lib/llvm-22";
const TOOL: CargoTool = CargoTool {
    name: "bpf-linker",
    version: VERSION,
    options: &["--no-default-features", "--features", "llvm-22"],
};

/// Whether one on PATH or in the cache runs.
pub fn works() -> bool {
    let runs = |program: &mut Command| process::output(program.arg("--version")).is_some();
    runs(&mut Command::new(cache::tools().join("bin/bpf-linker"))) || runs(&mut Command::new("bpf-linker"))
}

/// What to type.
pub fn command_line() -> String {
    format!("LLVM_PREFIX={LLVM} LLVM_SYS_221_PREFIX={LLVM} {}", TOOL.command_line())
}

/// Builds it into the cache; about half a minute on two cores: LLVM, which does nearly all of the work, is a library of
/// its own.
pub fn install() -> Result<()> {
    let mut command = TOOL.install();
    command.env("LLVM_PREFIX", LLVM).env("LLVM_SYS_221_PREFIX", LLVM);
    process::run(&format!("building bpf-linker {VERSION} (about half a minute)"), &mut command)
}
