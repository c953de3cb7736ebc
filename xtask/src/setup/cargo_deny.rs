//! cargo-deny, which holds dependencies to `deny.toml`.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::{cache, process};

const VERSION: &str = "0.20.2";

/// The program in the cache; one on PATH may be of any version.
pub fn program() -> PathBuf {
    cache::tools().join("bin/cargo-deny")
}

/// Whether this version is there.
pub fn works() -> bool {
    let version = process::output(Command::new(program()).arg("--version"));
    version.is_some_and(|version| version == format!("cargo-deny {VERSION}"))
}

fn arguments() -> Vec<String> {
    let mut arguments: Vec<String> = [
        "install",
        "cargo-deny",
        "--version",
        VERSION,
        "--locked",
        // Without optimization: it runs for a second, and is built in a fraction of the time.
        "--debug",
    ]
    .map(Into::into)
    .into();
    arguments.extend(["--root".into(), cache::tools().display().to_string()]);
    arguments
}

/// What to type.
pub fn command_line() -> String {
    format!("cargo {}", arguments().join(" "))
}

/// Builds it into the cache; about a minute on two cores.
pub fn install() -> Result<()> {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments()).arg("--quiet").env("CARGO_PROFILE_DEV_DEBUG", "0");
    process::run(&format!("building cargo-deny {VERSION} (about a minute)"), &mut command)
}
