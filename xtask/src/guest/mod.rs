//! A guest: a kernel booted under QEMU for one command, by virtme-ng on this machine's own file system, or on a root of
//! its own where it is of another architecture.
//!
//! ```no_run
//! use xtask::guest::{Disk, Guest};
//! let kernel = xtask::kernel::ensure("7.3")?;
//! let outcome = Guest::new(kernel).cpus(2).append("swiotlb=force").disk(Disk::Nvme).run("uname -r")?;
//! assert_eq!(outcome.status, 0);
//! # Ok::<(), anyhow::Error>(())
//! ```

mod arguments;
mod arm64;
mod console;
mod cpio;
mod device_tree;
mod error;
mod reaper;
mod run;
mod script;
mod stream;

use std::path::PathBuf;
use std::time::Duration;

pub use console::{complaints, panic_line, tail};
pub use error::GuestError;
pub use script::quote;

/// How the guest's processor is run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Accelerator {
    /// Software emulation: works everywhere.
    #[default]
    Tcg,
    /// Hardware virtualization. A `/dev/kvm` that exists need not work (nested virtualization).
    Kvm,
    /// Software emulation of one CPU whose clock counts instructions, so that costs repeat exactly.
    InstructionCount,
}

/// A disk of its own, empty, gone after the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disk {
    /// An NVMe disk, `/dev/nvme0n1`; it does DMA.
    Nvme,
    /// A virtio disk, `/dev/vda`, that goes through the DMA API (`iommu_platform=on`).
    Virtio,
}

/// The slowest guest that booted, emulated on a busy machine, took half a minute.
const TO_BOOT: Duration = Duration::from_secs(240);

/// What a guest consists of; [`Guest::run`] boots it.
#[derive(Clone, Debug)]
pub struct Guest {
    kernel: PathBuf,
    vng: Option<PathBuf>,
    accelerator: Accelerator,
    cpus: u32,
    memory: String,
    numa_nodes: u32,
    append: Vec<String>,
    disk: Option<Disk>,
    disk_megabytes: u64,
    swap: Option<String>,
    rwdirs: Vec<PathBuf>,
    cpu: Option<String>,
    restricted_pool: Option<String>,
    path: Vec<PathBuf>,
    environment: Vec<(String, String)>,
    timeout: Duration,
    to_boot: Duration,
    live: bool,
}

/// What a command did in a guest that ended in order.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The command's exit status; 128 + n when signal n killed it.
    pub status: u8,
    /// What the command wrote to its standard output.
    pub stdout: Vec<u8>,
    /// What the command wrote to its standard error.
    pub stderr: Vec<u8>,
    /// The kernel's console from boot to power-off.
    pub console: String,
    /// Wall-clock time of the whole run, boot included.
    pub elapsed: Duration,
}

impl Guest {
    /// A guest of this kernel image (bzImage) with two emulated CPUs, 1 GiB and 300 s to finish.
    pub fn new(kernel: impl Into<PathBuf>) -> Self {
        Self {
            kernel: kernel.into(),
            vng: None,
            accelerator: Accelerator::default(),
            cpus: 2,
            memory: "1G".into(),
            numa_nodes: 1,
            append: Vec::new(),
            disk: None,
            disk_megabytes: 256,
            swap: None,
            rwdirs: Vec::new(),
            cpu: None,
            restricted_pool: None,
            path: Vec::new(),
            environment: Vec::new(),
            timeout: Duration::from_secs(300),
            to_boot: TO_BOOT,
            live: false,
        }
    }

    /// The `vng` program to use instead of the one that `cargo xtask setup` installed.
    pub fn vng(mut self, program: impl Into<PathBuf>) -> Self {
        self.vng = Some(program.into());
        self
    }

    /// How the processor is run. Counting instructions forces one CPU.
    pub fn accelerator(mut self, accelerator: Accelerator) -> Self {
        self.accelerator = accelerator;
        self
    }

    /// Number of CPUs.
    pub fn cpus(mut self, cpus: u32) -> Self {
        self.cpus = cpus;
        self
    }

    /// Memory, in QEMU's notation: a number and `M` or `G`.
    pub fn memory(mut self, memory: impl Into<String>) -> Self {
        self.memory = memory.into();
        self
    }

    /// Splits memory and CPUs over this many NUMA nodes.
    pub fn numa_nodes(mut self, nodes: u32) -> Self {
        self.numa_nodes = nodes;
        self
    }

    /// Adds to the kernel's command line.
    pub fn append(mut self, arguments: impl Into<String>) -> Self {
        self.append.push(arguments.into());
        self
    }

    /// Attaches an empty disk.
    pub fn disk(mut self, disk: Disk) -> Self {
        self.disk = Some(disk);
        self
    }

    /// Size of the disk in MiB (256 if not said).
    pub fn disk_megabytes(mut self, megabytes: u64) -> Self {
        self.disk_megabytes = megabytes;
        self
    }

    /// Swap on zram of this size (`256M`), switched on before the command runs.
    pub fn swap(mut self, size: impl Into<String>) -> Self {
        self.swap = Some(size.into());
        self
    }

    /// The processor of a guest of 64-bit Arm, as QEMU calls it (`cortex-a72` if not said).
    pub fn cpu(mut self, name: impl Into<String>) -> Self {
        self.cpu = Some(name.into());
        self
    }

    /// A restricted pool of this size (`4M`) for the devices on PCI, of which the disk is one. Only machines with a device
    /// tree have such pools: a guest of 64-bit Arm.
    pub fn restricted_pool(mut self, size: impl Into<String>) -> Self {
        self.restricted_pool = Some(size.into());
        self
    }

    /// A folder of this machine that the guest may write to; everything else it writes is lost.
    pub fn rwdir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.rwdirs.push(folder.into());
        self
    }

    /// A folder put in front of PATH.
    pub fn path(mut self, folder: impl Into<PathBuf>) -> Self {
        self.path.push(folder.into());
        self
    }

    /// An environment variable of the command.
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Time for the whole run, boot included (300 s if not said).
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Time to come to the command; one that takes longer is booted again, twice at most (240 s if not said).
    pub fn to_boot(mut self, time: Duration) -> Self {
        self.to_boot = time;
        self
    }

    /// Passes the command's output on to our own as it comes, besides keeping it.
    pub fn live(mut self, live: bool) -> Self {
        self.live = live;
        self
    }
}
