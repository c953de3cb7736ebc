//! One boot of a guest for all sessions of a kernel that can share it.

use std::fs;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use xtask::guest::{Disk, Guest, complaints};
use xtask::workspace;

use crate::kernels::Kernel;
use crate::recording::Session;
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
    /// Checks of a kernel that keeps its rules.
    Verdicts,
    /// Checks with a small pool of bounce buffers, and memory that can go offline.
    LittleRoom,
    /// Checks of a kernel with one planted bug after the other.
    Mutants,
}

impl Configuration {
    /// What runs in the guest, one after the other, each in a folder of its own.
    pub const fn runs(self) -> &'static [&'static str] {
        match self {
            Self::Recordings => &["auto"],
            Self::KprobeRecordings => &["kprobe"],
            Self::Lockdown => &["lockdown"],
            Self::Verdicts => &["healthy"],
            Self::LittleRoom => &["little-room"],
            Self::Mutants => &["mutants"],
        }
    }

    /// The name of its folder, and what `RMAPSCOPE_KERNELS` calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Recordings => "recordings",
            Self::KprobeRecordings => "kprobe-recordings",
            Self::Lockdown => "lockdown",
            Self::Verdicts => "verdicts",
            Self::LittleRoom => "little-room",
            Self::Mutants => "mutants",
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
        }
    }

    /// The command for a run of one of the scripts on that kernel, with its output in `out`.
    fn command(self, scripts: &Path, run: &str, kernel: &Kernel, out: &Path) -> String {
        let programs = programs();
        let (scripts, programs, out) = (scripts.display(), programs.display(), out.display());
        match self {
            Self::Recordings | Self::KprobeRecordings | Self::Lockdown => {
                format!("bash {scripts}/sessions.sh {programs} {out} {run}\n")
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
    done: OnceLock<Result<(), String>>,
}

impl Boot {
    /// Nothing happens yet.
    pub const fn new(kernel: &'static Kernel, configuration: Configuration) -> Self {
        Self { kernel, configuration, done: OnceLock::new() }
    }

    /// The kernel.
    pub const fn kernel(&self) -> &'static Kernel {
        self.kernel
    }

    /// Boots the guest and waits for its end; the first call does, the others get the same answer.
    pub fn ensure_done(&self) -> Result<(), String> {
        self.done.get_or_init(|| self.run().map_err(|error| format!("{error:#}"))).clone()
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
        let programs = programs();
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
            match self.configuration {
                Configuration::Mutants => fs::write(out.join("mutants"), mutants::list())?,
                Configuration::Verdicts => fs::write(out.join("selftests"), selftests::list(self.kernel))?,
                _ => {}
            }
            command.push_str(&self.configuration.command(&scripts, run, self.kernel, &out));
        }
        let image = self.kernel.image.as_ref().context("RMAPSCOPE_KERNELS is not set")?;
        let guest = self.configuration.guest(Guest::new(image).memory("1G").rwdir(&folder));
        let outcome = guest.run(&command)?;
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

fn programs() -> PathBuf {
    std::env::var_os("RMAPSCOPE_PROGRAMS").map_or_else(|| workspace::Profile::Test.folder(), PathBuf::from)
}
