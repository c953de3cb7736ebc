//! `cargo xtask vm`: one command in a guest.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use clap::{Args, ValueEnum};

use crate::architecture::Architecture;
use crate::guest::{Accelerator, Disk, Guest};
use crate::setup::{self, Group};
use crate::{kernel, workspace};

/// Options of `vm`.
#[derive(Args, Debug)]
pub struct Options {
    /// Kernel to boot: 6.1, 6.12, 6.12-hmm, 6.12-restricted-arm64, 6.12-16k-arm64, 6.12-64k-arm64, a newer one of
    /// Debian's (6.18, 7.3, 7.3-rt, latest, 6.12-arm64, latest-arm64, …), or the path of an image; default: 6.12-hmm,
    /// with --arch arm64 6.12-restricted-arm64
    #[arg(long)]
    kernel: Option<String>,
    /// Architecture of the guest, if no kernel determines it
    #[arg(long, conflicts_with = "kernel")]
    arch: Option<Architecture>,
    /// Added to the kernel's command line (may be given more than once)
    #[arg(long, value_name = "ARGS", allow_hyphen_values = true)]
    append: Vec<String>,
    /// Number of CPUs
    #[arg(long, default_value_t = 2)]
    cpus: u32,
    /// Memory, with M or G
    #[arg(long, default_value = "1G", value_name = "SIZE")]
    memory: String,
    /// NUMA nodes to split memory and CPUs over
    #[arg(long, default_value_t = 1, value_name = "NODES")]
    numa: u32,
    /// Count instructions: one CPU, a reproducible clock, slow
    #[arg(long)]
    icount: bool,
    /// Use hardware virtualization; without it the CPU is emulated, which works everywhere
    #[arg(long, conflicts_with = "icount")]
    kvm: bool,
    /// Attach an empty disk that does DMA
    #[arg(long, value_name = "KIND")]
    disk: Option<DiskKind>,
    /// Give the disk a restricted DMA pool of this size (only arm64)
    #[arg(long, value_name = "SIZE")]
    restricted_pool: Option<String>,
    /// The processor, as QEMU calls it (only arm64)
    #[arg(long, value_name = "NAME")]
    cpu: Option<String>,
    /// Enable swap of this size on zram
    #[arg(long, value_name = "SIZE")]
    swap: Option<String>,
    /// Seconds for the whole run, boot included
    #[arg(long, default_value_t = 300, value_name = "SECONDS")]
    timeout: u64,
    /// A folder that is writable in the guest (may be given more than once)
    #[arg(long, value_name = "DIR")]
    rwdir: Vec<PathBuf>,
    /// Do not build rmapscope first; use the existing build
    #[arg(long)]
    no_build: bool,
    /// Print the kernel's console on standard error when the command ends
    #[arg(long)]
    console: bool,
    /// The command and its arguments; a single argument is a shell command line
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum DiskKind {
    Nvme,
    Virtio,
}

/// Runs the command and returns its status.
pub fn run(options: &Options) -> Result<u8> {
    let name = options.kernel.as_deref().unwrap_or(match options.arch {
        Some(Architecture::Arm64) => kernel::RESTRICTED,
        Some(Architecture::Amd64) | None => kernel::HMM,
    });
    let architecture = Architecture::of_kernel(name);
    setup::ensure(match architecture {
        Architecture::Amd64 => &[Group::Toolchain, Group::Guest],
        Architecture::Arm64 => &[Group::Toolchain, Group::Arm64],
    })?;
    let image = kernel::ensure(name)?;
    let profile = workspace::Profile::Test;
    let binaries = if options.no_build {
        workspace::programs_for(architecture, profile)
    } else {
        workspace::build_programs_for(architecture, profile)?
    };
    let outcome = guest(options, image).path(binaries).live(true).run(&shell_line(&options.command))?;
    if options.console {
        eprint!("{}", outcome.console);
    }
    Ok(outcome.status)
}

fn guest(options: &Options, image: PathBuf) -> Guest {
    let accelerator = match (options.icount, options.kvm) {
        (true, _) => Accelerator::InstructionCount,
        (_, true) => Accelerator::Kvm,
        _ => Accelerator::Tcg,
    };
    let mut guest = Guest::new(image)
        .accelerator(accelerator)
        .cpus(options.cpus)
        .memory(&options.memory)
        .numa_nodes(options.numa)
        .timeout(Duration::from_secs(options.timeout));
    for append in &options.append {
        guest = guest.append(append);
    }
    for folder in &options.rwdir {
        guest = guest.rwdir(std::path::absolute(folder).unwrap_or_else(|_| folder.clone()));
    }
    guest = match options.disk {
        Some(DiskKind::Nvme) => guest.disk(Disk::Nvme),
        Some(DiskKind::Virtio) => guest.disk(Disk::Virtio),
        None => guest,
    };
    if let Some(size) = &options.restricted_pool {
        guest = guest.restricted_pool(size);
    }
    if let Some(name) = &options.cpu {
        guest = guest.cpu(name);
    }
    match &options.swap {
        Some(size) => guest.swap(size),
        None => guest,
    }
}

fn shell_line(command: &[String]) -> String {
    match command {
        [line] => line.clone(),
        words => words.iter().map(|word| crate::guest::quote(word)).collect::<Vec<_>>().join(" "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stay_words_and_a_line_stays_a_line() {
        assert_eq!(shell_line(&["echo a; exit 3".into()]), "echo a; exit 3");
        assert_eq!(shell_line(&["echo".into(), "a b".into()]), "echo 'a b'");
    }
}
