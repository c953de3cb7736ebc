//! One boot of a guest for all sessions of a kernel that can share it.

use std::fs;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, anyhow, bail, ensure};
use xtask::architecture::Architecture;
use xtask::guest::{Disk, Guest, GuestError, complaints};
use xtask::workspace;

use crate::kernels::Kernel;
use crate::recording::Session;
use crate::runs;
use crate::wanted::Wanted;
use crate::{mutants, selftests};

/// How the guest is booted, and what it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Configuration {
    /// Two NUMA nodes, bounce buffers for an NVMe disk; every recording, by the ways to attach that cost least.
    Recordings,
    /// The same with kprobes alone.
    KprobeRecordings,
    /// `lockdown=confidentiality`.
    Lockdown,
    /// Eight CPUs, for recordings of events that come from all of them at once.
    ManyCpus,
    /// Checks of a kernel that keeps its rules.
    Verdicts,
    /// Checks with a small pool of bounce buffers, and memory that can go offline.
    LittleRoom,
    /// Checks of a kernel with one planted bug after the other.
    Mutants,
    /// 64-bit Arm, with a restricted pool for the disk.
    RestrictedPool,
    /// The same with pages of more than 4 KiB.
    LargePages,
    /// A stock kernel of 64-bit Arm, which has no restricted pools: the disk bounces in the pool of all devices.
    StockArm64,
}

impl Configuration {
    /// What runs in the guest, one after the other, each in a folder of its own.
    pub const fn runs(self) -> &'static [&'static str] {
        match self {
            Self::Recordings => &[runs::AUTO],
            Self::KprobeRecordings => &[runs::KPROBE],
            Self::Lockdown => &[runs::LOCKDOWN],
            Self::ManyCpus => &[runs::MANY_CPUS],
            Self::Verdicts => &[runs::HEALTHY],
            Self::LittleRoom => &[runs::LITTLE_ROOM],
            Self::Mutants => &[runs::MUTANTS],
            Self::RestrictedPool => &[runs::RESTRICTED],
            Self::LargePages => &[runs::LARGE_PAGES],
            Self::StockArm64 => &[runs::STOCK_ARM64],
        }
    }

    /// The name of its folder, and what `RMAPSCOPE_KERNELS` calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Recordings => "recordings",
            Self::KprobeRecordings => "kprobe-recordings",
            Self::Lockdown => "lockdown",
            Self::ManyCpus => "many-cpus",
            Self::Verdicts => "verdicts",
            Self::LittleRoom => "little-room",
            Self::Mutants => "mutants",
            Self::RestrictedPool => "restricted-pool",
            Self::LargePages => "large-pages",
            Self::StockArm64 => "stock-arm64",
        }
    }

    fn guest(self, guest: Guest) -> Guest {
        // An emulated CPU stands still while its host is busy, which the kernel would take for a fault.
        let guest = guest.append("rcupdate.rcu_cpu_stall_timeout=120").append("watchdog_thresh=60");
        // Emulated nodes: QEMU's put the CPUs of one package on different nodes, which the kernel warns of.
        let with_disk = |guest: Guest| guest.append("numa=fake=2").append("swiotlb=force").disk(Disk::Nvme);
        match self {
            Self::Recordings | Self::KprobeRecordings => with_disk(guest.cpus(2)).timeout(minutes(40)),
            Self::Lockdown => guest.cpus(2).append("lockdown=confidentiality").timeout(minutes(5)),
            Self::ManyCpus => guest.cpus(8).timeout(minutes(10)),
            // The selftest `migration` wants three CPUs.
            Self::Verdicts => {
                with_disk(guest.cpus(3)).timeout(minutes(40) + Duration::from_secs(2 * stress_seconds()))
            }
            Self::LittleRoom => guest
                .cpus(2)
                .append("swiotlb=512,force")
                .append("movablecore=512M")
                .disk(Disk::Nvme)
                .timeout(minutes(5)),
            Self::Mutants => with_disk(guest.cpus(2))
                .append(format!("rmapscope.mutant={}", mutants::all()[0].name))
                .timeout(minutes(40)),
            Self::RestrictedPool | Self::LargePages => {
                let guest = guest.cpus(2).numa_nodes(2).disk(Disk::Nvme).timeout(minutes(10));
                let size = restricted_pool(self.runs()[0]) >> 20;
                // The usual one has no pages of 16 KiB.
                let guest = if self == Self::LargePages { guest.cpu("neoverse-n1") } else { guest };
                guest.restricted_pool(format!("{size}M"))
            }
            Self::StockArm64 => {
                let guest = guest.cpus(2).numa_nodes(2).disk(Disk::Nvme).timeout(minutes(10));
                guest.append("swiotlb=force").cpu("neoverse-n1")
            }
        }
    }

    /// The command for a run of one of the scripts on that kernel, with its output in `out`.
    fn command(self, scripts: &Path, run: &str, kernel: &Kernel, out: &Path) -> String {
        let programs = guest_programs(kernel);
        let (scripts, programs, out) = (scripts.display(), programs.display(), out.display());
        match self {
            Self::Recordings | Self::KprobeRecordings | Self::Lockdown | Self::ManyCpus => {
                format!("bash {scripts}/sessions.sh {programs} {out} {run}\n")
            }
            Self::RestrictedPool | Self::LargePages | Self::StockArm64 => {
                format!("sh {scripts}/arm64.sh {programs} {out} {run}\n")
            }
            Self::Verdicts | Self::LittleRoom | Self::Mutants => {
                let selftests = kernel.selftests.clone().unwrap_or_default();
                format!(
                    "bash {scripts}/verdicts.sh {programs} {out} {run} '{}' {}\n",
                    selftests.display(),
                    stress_seconds()
                )
            }
        }
    }
}

/// Bytes of the disk's restricted pool in the guest of a run. Coherent memory is taken from it by whole pages.
pub fn restricted_pool(run: &str) -> u64 {
    if run == runs::LARGE_PAGES { 2 << 20 } else { 1 << 20 }
}

const fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(60 * minutes)
}

/// How long the stress takes: `RMAPSCOPE_STRESS_SECONDS`, or a minute.
fn stress_seconds() -> u64 {
    std::env::var("RMAPSCOPE_STRESS_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(60)
}

/// Guests at a time. An emulated one keeps hardly more than one CPU busy.
const AT_ONCE: usize = 2;

/// Boots guests in this order ahead of the checks, which wait for them.
pub fn start(boots: Vec<Arc<Boot>>) {
    let queue = Arc::new(Mutex::new(boots.into_iter()));
    let cpus = thread::available_parallelism().map_or(1, NonZero::get);
    for _ in 0..AT_ONCE.min(cpus) {
        let queue = Arc::clone(&queue);
        thread::spawn(move || {
            loop {
                let next = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
                let Some(boot) = next else { break };
                // The checks say why it failed.
                let _ = boot.ensure_done();
            }
        });
    }
}

/// A boot that happens when somebody needs it.
pub struct Boot {
    kernel: &'static Kernel,
    configuration: Configuration,
    wanted: Wanted,
    done: OnceLock<Result<(), String>>,
    is_told: AtomicBool,
}

impl Boot {
    /// A boot for the sessions that are wanted. Nothing happens yet.
    pub const fn new(kernel: &'static Kernel, configuration: Configuration, wanted: Wanted) -> Self {
        Self { kernel, configuration, wanted, done: OnceLock::new(), is_told: AtomicBool::new(false) }
    }

    /// The kernel.
    pub const fn kernel(&self) -> &'static Kernel {
        self.kernel
    }

    /// Boots the guest and waits for its end; the first call does, the others get the same answer.
    pub fn ensure_done(&self) -> Result<(), String> {
        self.done.get_or_init(|| self.run().map_err(|error| format!("{error:#}"))).clone()
    }

    /// As [`Boot::ensure_done`]; after the first time, of a failure only its first line: all tests of this boot fail by it.
    pub fn judged(&self) -> Result<(), String> {
        self.ensure_done().map_err(|error| {
            let is_told = self.is_told.swap(true, Ordering::Relaxed);
            if is_told { error.lines().next().unwrap_or_default().to_owned() } else { error }
        })
    }

    /// What a session left behind.
    pub fn session(&self, run: &str, name: &str) -> anyhow::Result<Session> {
        Session::open(self.folder().join(run).join(name), &programs().join("rmapscope"))
    }

    fn folder(&self) -> PathBuf {
        workspace::target().join("guest-tests").join(format!(
            "{}-{}",
            self.kernel.name,
            self.configuration.name()
        ))
    }

    fn run(&self) -> anyhow::Result<()> {
        let programs = guest_programs(self.kernel);
        for program in ["rmapscope", "rmapscope-workload"] {
            let path = programs.join(program);
            ensure!(path.is_file(), "there is no {} (cargo xtask build)", path.display());
        }
        let folder = self.folder();
        if std::env::var_os("RMAPSCOPE_JUDGE_LAST").is_some() {
            ensure!(folder.exists(), "there is no earlier boot in {}", folder.display());
            return Ok(());
        }
        if folder.exists() {
            fs::remove_dir_all(&folder).with_context(|| format!("cannot empty {}", folder.display()))?;
        }
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;

        let scripts = copy_scripts(&folder)?;
        let mut command = String::new();
        for run in self.configuration.runs() {
            let out = folder.join(run);
            fs::create_dir(&out)?;
            fs::write(out.join("wanted"), self.wanted.list())?;
            match self.configuration {
                Configuration::Mutants => fs::write(out.join("mutants"), mutants::list(&self.wanted))?,
                Configuration::Verdicts => {
                    fs::write(out.join("selftests"), selftests::list(self.kernel, &self.wanted))?;
                }
                _ => {}
            }
            command.push_str(&self.configuration.command(&scripts, run, self.kernel, &out));
        }
        let image = self.kernel.image.as_ref().context("RMAPSCOPE_KERNELS is not set")?;
        let guest = self.configuration.guest(Guest::new(image).memory("1G").rwdir(&folder).path(&programs));
        let outcome = guest.run(&command).map_err(|error| in_session(error, &folder))?;
        self.tell(outcome.elapsed);
        let log = folder.join("output");
        fs::write(&log, [outcome.stdout.as_slice(), outcome.stderr.as_slice()].concat())?;
        fs::write(folder.join("console"), &outcome.console)?;
        let complaints = complaints(&outcome.console);
        // A planted bug may be seen by the kernel's own checks, too.
        if let Some(first) = complaints.first()
            && self.configuration != Configuration::Mutants
        {
            bail!("the kernel complained: {first} (see {})", folder.join("console").display());
        }
        for run in self.configuration.runs() {
            let finished = folder.join(run).join("finished");
            ensure!(finished.exists(), "the {run} sessions did not end, see {}", log.display());
        }
        Ok(())
    }
}

impl Boot {
    /// Says how long the guest took: what most of a run's time goes into.
    #[expect(clippy::print_stderr, reason = "progress of the slowest tests")]
    fn tell(&self, elapsed: Duration) {
        let (kernel, configuration) = (&self.kernel.name, self.configuration.name());
        eprintln!(
            "xtask: the guest with {kernel} for {configuration} took {}",
            xtask::process::duration(elapsed)
        );
    }
}

/// The failure with the session that it happened in, and the console where it can be read.
fn in_session(error: GuestError, folder: &Path) -> anyhow::Error {
    let Some(console) = error.console() else { return error.into() };
    let console_is_kept = fs::write(folder.join("console"), console).is_ok();
    let last = console.lines().rev().find_map(|line| line.split_once(SESSION_MARK));
    let session = last.map_or("before the first session", |(_, name)| name.trim()).to_owned();
    let kept =
        if console_is_kept { format!(", see {}", folder.join("console").display()) } else { String::new() };
    anyhow!(
        "{error}
(the last session that began: {session}{kept})"
    )
}

/// What the kernel's log says when a session begins (common.sh).
const SESSION_MARK: &str = "rmapscope session: ";

/// What runs in the guest stays as it was when the guest began: bash reads a script as it goes.
fn copy_scripts(folder: &Path) -> anyhow::Result<PathBuf> {
    let scripts = folder.join("scripts");
    fs::create_dir(&scripts)?;
    for entry in fs::read_dir(workspace::root().join("tests/tests/guest"))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "sh") {
            fs::copy(&path, scripts.join(path.file_name().unwrap_or_default()))
                .with_context(|| path.display().to_string())?;
        }
    }
    Ok(scripts)
}

/// What runs in a guest of that kernel. What it recorded is read on this machine.
fn guest_programs(kernel: &Kernel) -> PathBuf {
    match Architecture::of_kernel(&kernel.name) {
        architecture if architecture.is_native() => programs(),
        architecture => workspace::programs_for(architecture, workspace::Profile::Test),
    }
}

fn programs() -> PathBuf {
    std::env::var_os("RMAPSCOPE_PROGRAMS").map_or_else(|| workspace::Profile::Test.folder(), PathBuf::from)
}
