//! `cargo xtask demo`: the demonstration workload, recorded in a guest.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::guest::{Disk, Guest, quote};
use crate::setup::{self, Group};
use crate::{kernel, process, workspace};

mod comparison;

/// Options of `demo`.
#[derive(Args, Debug)]
pub struct Options {
    /// Kernel to boot: 6.12-hmm, which has all features, or 6.1, 6.12, or the path of a bzImage
    #[arg(long, default_value = kernel::HMM)]
    kernel: String,
    /// Seconds for the whole run, boot included
    #[arg(long, default_value_t = 300, value_name = "SECONDS")]
    timeout: u64,
}

/// Records and compares; exit code 1 when a count differs.
pub fn run(options: &Options) -> Result<u8> {
    setup::ensure(&[Group::Toolchain, Group::Guest])?;
    let image = kernel::ensure(&options.kernel)?;
    let binaries = workspace::build_programs(workspace::Profile::Test)?;
    let folder = workspace::target().join("demo");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let trace = folder.join("rmapscope.data");
    let facts = folder.join("facts.jsonl");

    eprintln!("xtask: recording the demonstration workload on {} (about a minute)", image.display());
    let record = format!(
        "rmapscope record --per-vma -o {} -- rmapscope-workload --facts {} demo",
        quote(&trace.to_string_lossy()),
        quote(&facts.to_string_lossy())
    );
    eprintln!("xtask: {record}");
    let outcome = Guest::new(image)
        .cpus(2)
        .memory("1G")
        .numa_nodes(2)
        .append("swiotlb=force")
        .disk(Disk::Nvme)
        .swap("256M")
        .rwdir(&folder)
        .path(&binaries)
        .timeout(Duration::from_secs(options.timeout))
        .live(true)
        .run(&record)?;
    eprintln!("xtask: the guest ran for {}", process::duration(outcome.elapsed));
    for complaint in crate::guest::complaints(&outcome.console) {
        eprintln!("xtask: the guest's kernel complained: {complaint}");
    }
    if outcome.status != 0 {
        bail!("the recording ended with status {}", outcome.status);
    }
    report(&binaries.join("rmapscope"), &trace, &facts)
}

fn report(program: &Path, trace: &Path, facts: &Path) -> Result<u8> {
    let comparison = comparison::compare(program, trace, facts)?;
    print!("{comparison}");
    let size = fs::metadata(trace).with_context(|| trace.display().to_string())?.len();
    eprintln!("xtask: the trace file is {} ({size} bytes)", trace.display());
    Ok(u8::from(!comparison.agrees()))
}
