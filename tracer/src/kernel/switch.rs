//! Switches of the kernel that keep attached probes from firing, as a whole.

use std::io;
use std::path::PathBuf;

use super::SystemFiles;

/// A switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switch {
    /// `kernel.ftrace_enabled`, which 7.3 does not let anybody write: at 0 no function calls ftrace, and so no trampoline and no kprobe at the entry of a
    /// function where kprobes go by ftrace, which they do on x86 (6.12 kernel/trace/ftrace.c, ftrace_enable_sysctl;
    /// CONFIG_KPROBES_ON_FTRACE).
    Ftrace,
    /// `kprobes/enabled` in debugfs: at 0 every kprobe is disarmed, and new ones are not armed (6.12
    /// kernel/kprobes.c, disarm_all_kprobes).
    Kprobes,
}

impl Switch {
    /// Every one.
    pub const ALL: [Self; 2] = [Self::Ftrace, Self::Kprobes];

    /// What people call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ftrace => "kernel.ftrace_enabled",
            Self::Kprobes => "/sys/kernel/debug/kprobes/enabled",
        }
    }

    /// How it is turned on.
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::Ftrace => "sysctl kernel.ftrace_enabled=1",
            Self::Kprobes => "echo 1 > /sys/kernel/debug/kprobes/enabled",
        }
    }

    /// Whether it silences probes of that kind, trampolines or kprobes.
    pub const fn silences(self, kprobes: bool) -> bool {
        match self {
            // Kprobes go by ftrace where there is CONFIG_KPROBES_ON_FTRACE.
            Self::Ftrace => !kprobes || cfg!(target_arch = "x86_64"),
            Self::Kprobes => kprobes,
        }
    }

    /// Its file on the machine described; `None` where its file system is not mounted.
    pub fn path(self, system: &SystemFiles) -> Option<PathBuf> {
        match self {
            Self::Ftrace => Some(PathBuf::from("/proc/sys/kernel/ftrace_enabled")),
            Self::Kprobes => Some(system.mount_point("debugfs")?.join("kprobes/enabled")),
        }
    }

    /// Why it keeps probes from being attached, for the outcome of a point.
    pub fn objection(self) -> String {
        format!("{} is 0, and the probe would not fire", self.name())
    }

    /// The switch that the outcome of a point blames: a trace file has its [objection](Self::objection) in words only,
    /// among those to other candidates.
    pub fn blamed(reason: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|switch| reason.contains(switch.name()))
    }

    /// How it is now.
    pub fn state(self, system: &SystemFiles) -> SwitchState {
        self.path(system).map_or(SwitchState::Unknown, |path| SwitchState::of(system.text(path)))
    }

    /// What it does to attached probes now, for the reason that something is missing; `None` while it does nothing
    /// that is known.
    pub fn trouble(self, state: SwitchState) -> Option<String> {
        match state {
            SwitchState::Off => Some(format!("{} was 0", self.name())),
            SwitchState::Broken => Some(format!("the kernel had shut down what {} switches", self.name())),
            SwitchState::On | SwitchState::Unknown => None,
        }
    }
}

/// How a switch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SwitchState {
    /// As it should be.
    On,
    /// Off.
    Off,
    /// The kernel found an error in ftrace and uses it no more until it is booted again (6.12 kernel/trace/ftrace.c,
    /// ftrace_kill: reading the switch is ENODEV then).
    Broken,
    /// It cannot be read.
    Unknown,
}

impl SwitchState {
    /// From the text of its file.
    pub fn of(text: io::Result<String>) -> Self {
        match text.as_ref().map(|text| text.trim()) {
            Ok("0") => Self::Off,
            Ok("1") => Self::On,
            Err(error) if error.raw_os_error() == Some(libc::ENODEV) => Self::Broken,
            Ok(_) | Err(_) => Self::Unknown,
        }
    }
}
