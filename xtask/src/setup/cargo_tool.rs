//! Programs from crates.io, built into the cache.

use std::process::Command;

use crate::cache;

/// A program and how it is built.
pub struct CargoTool {
    /// Name of its crate.
    pub name: &'static str,
    /// The version to build.
    pub version: &'static str,
    /// What else cargo is told.
    pub options: &'static [&'static str],
}

impl CargoTool {
    fn arguments(&self) -> Vec<String> {
        let root = cache::tools().display().to_string();
        let first = ["install", self.name, "--version", self.version];
        // `--debug`: they run for seconds, and are built in a fraction of the time.
        let last = ["--locked", "--debug", "--root", &root];
        first.iter().chain(self.options).chain(&last).map(|argument| (*argument).to_owned()).collect()
    }

    /// What to type.
    pub fn command_line(&self) -> String {
        format!("cargo {}", self.arguments().join(" "))
    }

    /// The command that builds it.
    pub fn install(&self) -> Command {
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.args(self.arguments()).arg("--quiet").env("CARGO_PROFILE_DEV_DEBUG", "0");
        command
    }
}
