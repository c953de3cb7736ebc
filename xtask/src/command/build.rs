//! `cargo xtask build`: the program, and the static binaries for guests.

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
    /// Build the static binaries that run in any guest instead (always with optimizations)
    #[arg(long, conflicts_with = "release")]
    guest: bool,
}

/// Builds.
pub fn run(options: &Options) -> Result<u8> {
    setup::ensure(&[Group::Toolchain])?;
    if options.guest {
        let folder = workspace::build_guest_binaries()?;
        println!("{}", folder.join("rmapscope").display());
        return Ok(0);
    }
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
