//! `cargo xtask golden`: writes the expected output of tests anew, after a change that is meant to change it.

use std::process::Command;

use anyhow::Result;
use clap::Args;

use crate::setup::{self, Group};
use crate::{process, workspace};

/// Options of `golden`.
#[derive(Args, Debug)]
pub struct Options {
    /// Only for tests whose name contains this
    filter: Option<String>,
}

/// Where the files are.
const PLACES: [&str; 4] =
    ["docs", "tests/fixtures/page_history", "tracer/src/probe/golden", "tracer/tests/golden"];

/// Runs the tests that can write them, and shows which files are others than in the index.
pub fn run(options: &Options) -> Result<u8> {
    setup::ensure(&[Group::Toolchain])?;
    let mut cargo = workspace::cargo();
    cargo.args(["test", "--quiet", "-p", "rmapscope", "--lib", "--tests", "--no-fail-fast", "--"]);
    // Read by `tracer/tests/golden_common`.
    cargo.args(&options.filter).env("RMAPSCOPE_BLESS", "1").stdout(std::io::stderr());
    let written = process::run("writing golden files", &mut cargo);
    let mut git = Command::new("git");
    git.args(["status", "--short", "--"]).args(PLACES).current_dir(workspace::root());
    process::run("golden files that changed", &mut git)?;
    written.map(|()| 0)
}
