//! `cargo xtask build`: the program.

use anyhow::Result;
use clap::Args;

use crate::setup::{self, Group};
use crate::{process, workspace};

/// Options of `build`.
#[derive(Args, Debug)]
pub struct Options {
    /// Build with optimizations
    #[arg(long)]
    release: bool,
}

/// Builds.
pub fn run(options: &Options) -> Result<u8> {
    setup::ensure(&[Group::Toolchain])?;
    let mut command = workspace::cargo();
    command.args(["build", "-p", "rmapscope"]);
    if options.release {
        command.arg("--release");
    }
    process::run("building rmapscope", &mut command)?;
    println!(
        "{}",
        workspace::target()
            .join(if options.release { "release" } else { "debug" })
            .join("rmapscope")
            .display()
    );
    Ok(0)
}
