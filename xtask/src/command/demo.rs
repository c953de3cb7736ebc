//! `cargo xtask demo`: the demonstration workload, recorded in a guest.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::architecture::Architecture;
use crate::guest::{Disk, Guest, quote};
use crate::setup::{self, Group};
use crate::workspace::Profile;
use crate::{kernel, process, workspace};

pub mod comparison;

/// Options of `demo`.
#[derive(Args, Debug)]
pub struct Options {
    /// Kernel to boot: 6.1, 6.12, 6.12-hmm, a newer one of Debian's (6.18, 7.3, 7.3-rt, latest-arm64, …) or the path of
    /// an image; default: the newest of Debian's
    #[arg(long)]
    kernel: Option<String>,
    /// Architecture of the guest, if no kernel determines it
    #[arg(long)]
    arch: Option<Architecture>,
    /// Seconds for the whole run, boot included
    #[arg(long, default_value_t = 300, value_name = "SECONDS")]
    timeout: u64,
}

/// Records and compares; exit code 1 when a count differs.
pub fn run(options: &Options) -> Result<u8> {
    let started = Instant::now();
    let foreign = options.arch.filter(|architecture| !architecture.is_native());
    let kernel = options.kernel.as_deref().or(foreign.map(|_| kernel::LATEST_ARM64));
    let (image, programs) = prepare(kernel)?;
    let folder = workspace::target().join("demo");
    eprintln!("xtask: recording the demo workload on {} (about a minute)", image.display());
    let demo = record(image, &folder, Duration::from_secs(options.timeout))?;
    let comparison = comparison::compare(&programs.join("rmapscope"), &demo.trace, &demo.facts)?;
    print!("{comparison}");
    let size = fs::metadata(&demo.trace).with_context(|| demo.trace.display().to_string())?.len();
    eprintln!("xtask: the trace file is {} ({size} bytes)", demo.trace.display());
    eprintln!("xtask: the demo took {}", process::duration(started.elapsed()));
    Ok(u8::from(!comparison.agrees()))
}

/// The kernel's image and the folder of the programs. On a fresh machine three things go on at once: crates
/// compile, the tools for eBPF and guests are installed, and the kernel is unpacked.
fn prepare(kernel: Option<&str>) -> Result<(PathBuf, PathBuf)> {
    let groups = [Group::Toolchain, Group::Guest, Group::Stock];
    let fresh = setup::missing(&[Group::Toolchain])?;
    thread::scope(|scope| {
        let ahead = (!fresh.is_empty()).then(|| scope.spawn(workspace::build_ahead));
        // Packages first: both the tools and the kernel want some, and dpkg takes one caller at a time.
        setup::packages(&groups)?;
        let image = scope.spawn(move || match kernel {
            Some(name) => kernel::ensure(name),
            None => kernel::ensure_latest(),
        });
        setup::ensure(&groups)?;
        if let Some(ahead) = ahead {
            let _ = ahead.join();
        }
        let programs = workspace::build_recorder()?;
        let image = image.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        Ok((image, programs))
    })
}

/// What a guest left behind.
pub struct Demo {
    /// The trace file.
    pub trace: PathBuf,
    /// What the workload stated, a line each.
    pub facts: PathBuf,
}

/// Records the workload in a guest with everything that it can use; `folder` is emptied first. The programs of this
/// machine have been built.
pub fn record(image: PathBuf, folder: &Path, timeout: Duration) -> Result<Demo> {
    let programs = match Architecture::of_image(&image) {
        architecture if architecture.is_native() => workspace::programs_for(architecture, Profile::Test),
        architecture => {
            setup::ensure(&[Group::Arm64])?;
            workspace::build_programs_for(architecture, Profile::Test)?
        }
    };
    let _ = fs::remove_dir_all(folder);
    fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    let demo = Demo { trace: folder.join("rmapscope.data"), facts: folder.join("facts.jsonl") };
    let record = format!(
        "rmapscope record --per-vma -o {} -- rmapscope-workload --facts {} demo",
        quote(&demo.trace.to_string_lossy()),
        quote(&demo.facts.to_string_lossy())
    );
    eprintln!("xtask: {record}");
    let outcome = Guest::new(image)
        .cpus(2)
        .memory("1G")
        .numa_nodes(2)
        .append("swiotlb=force")
        .disk(Disk::Nvme)
        .swap("256M")
        .rwdir(folder)
        .path(&programs)
        .timeout(timeout)
        .live(true)
        .run(&record)?;
    eprintln!("xtask: the guest ran for {}", process::duration(outcome.elapsed));
    for complaint in crate::guest::complaints(&outcome.console) {
        eprintln!("xtask: kernel message in the guest: {complaint}");
    }
    if outcome.status != 0 {
        bail!("the recording ended with status {}", outcome.status);
    }
    Ok(demo)
}
