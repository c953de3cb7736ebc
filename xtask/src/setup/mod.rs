//! What this machine needs, in groups, so that a plain build needs only the toolchain.

pub mod arm64;
mod bpf_linker;
pub mod cargo_deny;
mod cargo_tool;
pub mod exports;
mod packages;
mod virtme;

use std::fmt::Write;
use std::thread;

use anyhow::Result;
use clap::ValueEnum;

use crate::emulator;
use crate::prerequisite::Missing as Prerequisite;

/// Things that are needed together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Group {
    /// Building rmapscope: a compiler for eBPF and its linker
    Toolchain,
    /// Booting guests: QEMU, virtme-ng
    Guest,
    /// Debian 12's own kernels 6.1 and 6.12, installed in /boot
    Installed,
    /// Debian's newer kernels, kept in the cache: unpacking them, building test_hmm for them
    Stock,
    /// Building the kernel 6.12-hmm
    Kernel,
    /// Building and booting for 64-bit Arm: compilers, QEMU
    Arm64,
    /// Opening HTML reports: Chromium
    Browser,
    /// Checking the licences and sources of dependencies: cargo-deny
    Licences,
    /// Measuring against other tracers
    Bench,
}

impl Group {
    /// All groups.
    pub const ALL: [Self; 9] = [
        Self::Toolchain,
        Self::Guest,
        Self::Installed,
        Self::Stock,
        Self::Kernel,
        Self::Arm64,
        Self::Browser,
        Self::Licences,
        Self::Bench,
    ];

    /// The name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Toolchain => "toolchain",
            Self::Guest => "guest",
            Self::Installed => "installed",
            Self::Stock => "stock",
            Self::Kernel => "kernel",
            Self::Arm64 => "arm64",
            Self::Browser => "browser",
            Self::Licences => "licences",
            Self::Bench => "bench",
        }
    }
}

/// What is not there.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Missing {
    /// Debian packages.
    pub packages: Vec<&'static str>,
    /// Whether bpf-linker has to be built.
    pub bpf_linker: bool,
    /// Whether cargo-deny has to be built.
    pub cargo_deny: bool,
    /// Whether virtme-ng has to be installed.
    pub virtme: bool,
}

impl Missing {
    /// Whether all is there.
    pub fn is_empty(&self) -> bool {
        self.packages.is_empty() && !self.bpf_linker && !self.cargo_deny && !self.virtme
    }

    /// The commands that install it.
    pub fn remedy(&self) -> String {
        let mut text = String::new();
        if !self.packages.is_empty() {
            let _ = write!(
                text,
                "\n  apt-get update\n  apt-get install --yes --no-install-recommends {}",
                self.packages.join(" ")
            );
        }
        if self.bpf_linker {
            let _ = write!(text, "\n  {}", bpf_linker::command_line());
        }
        if self.cargo_deny {
            let _ = write!(text, "\n  {}", cargo_deny::command_line());
        }
        if self.virtme {
            let _ = write!(text, "\n  {}", virtme::command_line());
        }
        text
    }
}

/// What these groups lack here.
pub fn missing(groups: &[Group]) -> Result<Missing> {
    let wants_toolchain = groups.contains(&Group::Toolchain);
    let bpf_linker = wants_toolchain && !bpf_linker::works();
    Ok(Missing {
        packages: packages::missing(groups, bpf_linker)?,
        bpf_linker,
        cargo_deny: groups.contains(&Group::Licences) && !cargo_deny::works(),
        virtme: groups.contains(&Group::Guest) && !virtme::installed(),
    })
}

/// Installs what these groups lack; where that is not possible, says exactly what it would need.
pub fn ensure(groups: &[Group]) -> Result<()> {
    packages(groups)?;
    let missing = missing(groups)?;
    // One waits for the network, the other for the compiler.
    thread::scope(|scope| {
        let virtme = scope.spawn(|| if missing.virtme { virtme::install() } else { Ok(()) });
        if missing.bpf_linker {
            bpf_linker::install()?;
        }
        if missing.cargo_deny {
            cargo_deny::install()?;
        }
        if groups.contains(&Group::Guest) {
            emulator();
        }
        if groups.contains(&Group::Arm64) {
            arm64::ensure()?;
        }
        virtme.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Guests boot with the machine's own QEMU too, only slower.
fn emulator() {
    if packages::are_of_debian_12()
        && emulator::is_wanted()
        && let Err(error) = emulator::fetch()
    {
        eprintln!(
            "xtask: Debian's newer QEMU is not available: {error:#}\n\
             xtask: guests run with one thread for all their CPUs, which is slower"
        );
    }
}

/// Installs the Debian packages among what these groups lack.
pub fn packages(groups: &[Group]) -> Result<()> {
    let missing = missing(groups)?;
    if !missing.packages.is_empty() {
        if let Some(obstacle) = packages::obstacle() {
            return Err(Prerequisite::new(
                format!(
                    "{} packages are missing and cannot be installed: {obstacle}",
                    missing.packages.len()
                ),
                format!("on Debian 12, as root:{}", missing.remedy()),
            )
            .into());
        }
        packages::install(&missing.packages)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_remedy_can_be_pasted() {
        let missing = Missing { packages: vec!["bc", "flex"], virtme: true, ..Missing::default() };
        let remedy = missing.remedy();
        assert!(remedy.contains("\n  apt-get install --yes --no-install-recommends bc flex\n"), "{remedy}");
        assert!(remedy.contains("virtme-ng==1.42"), "{remedy}");
        assert!(!remedy.contains("bpf-linker"), "{remedy}");
        assert_eq!(Missing::default().remedy(), "");
    }
}
