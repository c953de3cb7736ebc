//! cargo-deny, which holds dependencies to `deny.toml`.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use super::cargo_tool::CargoTool;
use crate::{cache, process};

const VERSION: &str = "0.20.2";
const TOOL: CargoTool = CargoTool { name: "cargo-deny", version: VERSION, options: &[] };

/// The program in the cache; one on PATH may be of any version.
pub fn program() -> PathBuf {
    cache::tools().join("bin/cargo-deny")
}

/// Whether this version is there.
pub fn works() -> bool {
    let version = process::output(Command::new(program()).arg("--version"));
    version.is_some_and(|version| version == format!("cargo-deny {VERSION}"))
}

/// What to type.
pub fn command_line() -> String {
    TOOL.command_line()
}

/// Builds it into the cache; about a minute on two cores.
pub fn install() -> Result<()> {
    process::run(&format!("building cargo-deny {VERSION} (about a minute)"), &mut TOOL.install())
}
