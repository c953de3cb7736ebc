//! One boot of a guest that makes all recordings of a kernel.

use std::fs;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use xtask::guest::{Disk, Guest, complaints};
use xtask::workspace;

use crate::recording::Session;

/// How the guest is booted, and what it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Configuration {
    /// Two NUMA nodes, bounce buffers for an NVMe disk; every session with fentry and with kprobes.
    Everything,
    /// `lockdown=confidentiality`.
    Lockdown,
}

impl Configuration {
    /// The runs of `sessions.sh`.
    pub const fn methods(self) -> &'static [&'static str] {
        match self {
            Self::Everything => &["auto", "kprobe"],
            Self::Lockdown => &["lockdown"],
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Everything => "everything",
            Self::Lockdown => "lockdown",
        }
    }
}

/// A boot that happens when the first check needs it.
pub struct Boot {
    kernel: &'static str,
    image: PathBuf,
    configuration: Configuration,
    done: OnceLock<Result<(), String>>,
}

impl Boot {
    /// Nothing happens yet.
    pub const fn new(kernel: &'static str, image: PathBuf, configuration: Configuration) -> Self {
        Self { kernel, image, configuration, done: OnceLock::new() }
    }

    /// The name of the kernel.
    pub const fn kernel(&self) -> &'static str {
        self.kernel
    }

    /// Boots the guest and waits for its end; the first call does, the others get the same answer.
    pub fn ensure_done(&self) -> Result<(), String> {
        self.done.get_or_init(|| self.run().map_err(|error| format!("{error:#}"))).clone()
    }

    /// What a session left behind.
    pub fn session(&self, method: &str, name: &str) -> anyhow::Result<Session> {
        Session::open(self.folder().join(method).join(name), &programs().join("rmapscope"))
    }

    fn folder(&self) -> PathBuf {
        workspace::target().join("guest-tests").join(format!("{}-{}", self.kernel, self.configuration.name()))
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

        let script = workspace::root().join("tests/tests/guest/sessions.sh");
        let mut command = String::new();
        for method in self.configuration.methods() {
            let out = folder.join(method);
            fs::create_dir(&out)?;
            command.push_str(&format!(
                "bash {} {} {} {method}\n",
                script.display(),
                programs.display(),
                out.display()
            ));
        }
        let guest =
            Guest::new(&self.image).cpus(2).memory("1G").rwdir(&folder).timeout(Duration::from_secs(900));
        let guest = match self.configuration {
            // Emulated nodes: QEMU's put the CPUs of one package on different nodes, which the kernel warns of.
            Configuration::Everything => guest.append("numa=fake=2").append("swiotlb=force").disk(Disk::Nvme),
            Configuration::Lockdown => guest.append("lockdown=confidentiality"),
        };
        let outcome = guest.run(&command)?;
        let log = folder.join("output");
        fs::write(&log, [outcome.stdout.as_slice(), outcome.stderr.as_slice()].concat())?;
        fs::write(folder.join("console"), &outcome.console)?;
        let complaints = complaints(&outcome.console);
        if let Some(first) = complaints.first() {
            bail!("the kernel complained: {first} (see {})", folder.join("console").display());
        }
        for method in self.configuration.methods() {
            let finished = folder.join(method).join("finished");
            ensure!(finished.exists(), "the {method} sessions did not end, see {}", log.display());
        }
        Ok(())
    }
}

fn programs() -> PathBuf {
    std::env::var_os("RMAPSCOPE_PROGRAMS").map_or_else(workspace::guest_binaries, PathBuf::from)
}
