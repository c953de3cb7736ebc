//! bpf-linker, built for the LLVM of Debian's rustc.

use std::process::Command;

use anyhow::Result;

use crate::{cache, process};

const VERSION: &str = "0.13.0";
const LLVM: &str = "/usr/lib/llvm-22";

/// Whether one on PATH or in the cache runs.
pub fn works() -> bool {
    let runs = |program: &mut Command| process::output(program.arg("--version")).is_some();
    runs(&mut Command::new(cache::tools().join("bin/bpf-linker"))) || runs(&mut Command::new("bpf-linker"))
}

fn arguments() -> Vec<String> {
    let mut arguments: Vec<String> = [
        "install",
        "bpf-linker",
        "--version",
        VERSION,
        "--no-default-features",
        "--features",
        "llvm-22",
        "--locked",
        // Without optimization: LLVM, which does nearly all of the work, is a library of its own, and this is built
        // in a third of the time.
        "--debug",
    ]
    .map(Into::into)
    .into();
    arguments.extend(["--root".into(), cache::tools().display().to_string()]);
    arguments
}

/// What to type.
pub fn command_line() -> String {
    format!("LLVM_PREFIX={LLVM} LLVM_SYS_221_PREFIX={LLVM} cargo {}", arguments().join(" "))
}

/// Builds it into the cache; about half a minute on two cores.
pub fn install() -> Result<()> {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .args(arguments())
        .arg("--quiet")
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        .env("LLVM_PREFIX", LLVM)
        .env("LLVM_SYS_221_PREFIX", LLVM);
    process::run(&format!("building bpf-linker {VERSION} (about half a minute)"), &mut command)
}
