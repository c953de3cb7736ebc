//! `cargo xtask build`: the program.

use anyhow::Result;
use clap::Args;

use crate::architecture::Architecture;
use crate::setup::{self, Group};
use crate::workspace::Profile;
use crate::{process, workspace};

/// Options of `build`.
#[derive(Args, Debug)]
pub struct Options {
    /// Build with optimizations
    #[arg(long)]
    release: bool,
    /// Build for this architecture; statically if it is not this machine's
    #[arg(long)]
    arch: Option<Architecture>,
}

/// Builds.
pub fn run(options: &Options) -> Result<u8> {
    setup::ensure(&[Group::Toolchain])?;
    if let Some(architecture) = options.arch.filter(|architecture| !architecture.is_native()) {
        setup::ensure(&[Group::Arm64])?;
        let profile = if options.release { Profile::Release } else { Profile::Test };
        println!("{}", workspace::build_programs_for(architecture, profile)?.join("rmapscope").display());
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
