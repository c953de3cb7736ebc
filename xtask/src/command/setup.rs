//! `cargo xtask setup`: what this machine needs.

use anyhow::Result;
use clap::Args;

use crate::kernel;
use crate::setup::{self, Group};

/// Options of `setup`.
#[derive(Args, Debug)]
pub struct Options {
    /// Only these groups (default: all); `kernel` also builds the kernel 6.12-hmm and its selftests
    #[arg(value_name = "GROUP")]
    groups: Vec<Group>,
    /// Print what is missing, install nothing
    #[arg(long)]
    dry_run: bool,
}

/// Installs what is missing.
pub fn run(options: &Options) -> Result<u8> {
    let groups = if options.groups.is_empty() { Group::ALL.to_vec() } else { options.groups.clone() };
    if options.dry_run {
        let missing = setup::missing(&groups)?;
        println!("{}", if missing.is_empty() { "nothing is missing".to_owned() } else { missing.remedy() });
        return Ok(if missing.is_empty() { 0 } else { 4 });
    }
    setup::ensure(&groups)?;
    if groups.contains(&Group::Kernel) {
        kernel::selftests::ensure(kernel::HMM, &kernel::ensure_hmm()?)?;
    }
    let names: Vec<&str> = groups.iter().map(|group| group.name()).collect();
    eprintln!("xtask: ready: {}", names.join(", "));
    Ok(0)
}
