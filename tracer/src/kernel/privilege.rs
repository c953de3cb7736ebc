//! What this process may do, and what the kernel lets nobody do.

use super::SystemFiles;

/// Capabilities that matter here (include/uapi/linux/capability.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capability {
    /// Everything of old.
    SysAdmin = 21,
    /// Raise RLIMIT_MEMLOCK.
    SysResource = 24,
    /// See kernel addresses.
    Syslog = 34,
    /// Attach to kernel functions and read kernel memory (5.8 on).
    Perfmon = 38,
    /// Load BPF programs and make maps (5.8 on).
    Bpf = 39,
}

impl Capability {
    /// Every one, in the order in which they are asked for.
    pub const ALL: [Self; 5] = [Self::Bpf, Self::Perfmon, Self::SysAdmin, Self::Syslog, Self::SysResource];

    /// The kernel's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SysAdmin => "CAP_SYS_ADMIN",
            Self::SysResource => "CAP_SYS_RESOURCE",
            Self::Syslog => "CAP_SYSLOG",
            Self::Perfmon => "CAP_PERFMON",
            Self::Bpf => "CAP_BPF",
        }
    }
}

/// The inode of the first user namespace (6.12 include/linux/proc_ns.h, PROC_USER_INIT_INO).
const FIRST_USER_NAMESPACE: u64 = 0xefff_fffd;

/// The inode of the first pid namespace (PROC_PID_INIT_INO).
const FIRST_PID_NAMESPACE: u64 = 0xefff_fffc;

/// What this process may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Privileges {
    /// Effective user id; `None` when `/proc/self/status` cannot be read.
    pub effective_uid: Option<u32>,
    /// Effective capabilities, a bit each.
    pub effective_capabilities: u64,
    /// Whether the process is in the first user namespace; capabilities of another one do not count.
    pub first_user_namespace: Option<bool>,
    /// Whether the process is in the first pid namespace, whose process ids are the kernel's own.
    pub first_pid_namespace: Option<bool>,
}

impl Privileges {
    /// Those of this process.
    pub fn read(system: &SystemFiles) -> Self {
        let status = system.text("/proc/self/status").unwrap_or_default();
        let field = |name: &str, position: usize| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
            line.split_ascii_whitespace().nth(position)
        };
        Self {
            // real, effective, saved, file system
            effective_uid: field("Uid", 1).and_then(|uid| uid.parse().ok()),
            effective_capabilities: field("CapEff", 0)
                .and_then(|mask| u64::from_str_radix(mask, 16).ok())
                .unwrap_or(0),
            first_user_namespace: is_in_namespace(system, "user", FIRST_USER_NAMESPACE),
            first_pid_namespace: is_in_namespace(system, "pid", FIRST_PID_NAMESPACE),
        }
    }

    /// Whether a capability is effective, in whatever user namespace.
    pub const fn has(&self, capability: Capability) -> bool {
        self.effective_capabilities & 1 << capability as u32 != 0
    }

    /// Whether tracing programs can be loaded: CAP_BPF and CAP_PERFMON, either replaced by CAP_SYS_ADMIN,
    /// in the first user namespace.
    pub fn may_trace(&self) -> bool {
        let admin = self.has(Capability::SysAdmin);
        let allowed = admin || self.has(Capability::Bpf) && self.has(Capability::Perfmon);
        allowed && self.first_user_namespace != Some(false)
    }
}

/// Whether the process is in the namespace with that inode number, from a link like `pid:[4026531836]`.
fn is_in_namespace(system: &SystemFiles, kind: &str, inode: u64) -> Option<bool> {
    let folder = system.path("/proc/self/ns");
    match std::fs::read_link(folder.join(kind)) {
        Ok(link) => Some(link.to_str()? == format!("{kind}:[{inode}]")),
        // A kernel built without this kind of namespaces: there is but one.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && folder.is_dir() => Some(true),
        Err(_) => None,
    }
}

/// How far the kernel protects itself from its own root (Documentation/admin-guide: kernel_lockdown(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lockdown {
    /// Not at all.
    None,
    /// Against changes.
    Integrity,
    /// Against being read, too: no kprobes, no `bpf_probe_read_kernel` (6.12
    /// include/linux/security.h, LOCKDOWN_CONFIDENTIALITY_MAX).
    Confidentiality,
    /// The kernel has no lockdown or does not show it here.
    Unknown,
}

impl Lockdown {
    /// The kernel's state. For explanations only: that a thing is refused shows in trying it.
    pub fn read(system: &SystemFiles) -> Self {
        let chosen = system.line("/sys/kernel/security/lockdown").and_then(|line| {
            line.split_ascii_whitespace()
                .find_map(|word| word.strip_prefix('[')?.strip_suffix(']').map(str::to_owned))
        });
        match chosen.as_deref() {
            Some("none") => Self::None,
            Some("integrity") => Self::Integrity,
            Some("confidentiality") => Self::Confidentiality,
            _ => Self::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn system(status: &str, user_namespace: &str, lockdown: &str) -> (tempfile::TempDir, SystemFiles) {
        let root = tempfile::tempdir().unwrap();
        for folder in ["proc/self/ns", "sys/kernel/security"] {
            std::fs::create_dir_all(root.path().join(folder)).unwrap();
        }
        std::fs::write(root.path().join("proc/self/status"), status).unwrap();
        std::fs::write(root.path().join("sys/kernel/security/lockdown"), lockdown).unwrap();
        std::os::unix::fs::symlink(user_namespace, root.path().join("proc/self/ns/user")).unwrap();
        let system = SystemFiles::below(root.path());
        (root, system)
    }

    #[test]
    fn capabilities_count_in_the_first_user_namespace() {
        let status = "Name:\tx\nUid:\t1000\t0\t0\t0\nCapEff:\t000001ffffffffff\n";
        let (_root, files) = system(status, "user:[4026531837]", "");
        let privileges = Privileges::read(&files);
        assert_eq!(privileges.effective_uid, Some(0));
        assert!(Capability::ALL.iter().all(|capability| privileges.has(*capability)));
        assert!(privileges.may_trace());
        // There is no link for pid namespaces: a kernel without them.
        assert_eq!(privileges.first_pid_namespace, Some(true));
        let (_root, files) = system(status, "user:[4026532000]", "");
        assert!(!Privileges::read(&files).may_trace());
    }

    #[test]
    fn two_capabilities_do_instead_of_one() {
        let may_trace =
            |mask: u64| Privileges { effective_capabilities: mask, ..Privileges::default() }.may_trace();
        assert!(may_trace(1 << 39 | 1 << 38) && may_trace(1 << 21));
        assert!(!may_trace(1 << 39) && !may_trace(1 << 38) && !may_trace(0));
    }

    #[test]
    fn lockdown_is_the_word_in_brackets() {
        for (text, expected) in [
            ("[none] integrity confidentiality\n", Lockdown::None),
            ("none [integrity] confidentiality\n", Lockdown::Integrity),
            ("none integrity [confidentiality]\n", Lockdown::Confidentiality),
            ("", Lockdown::Unknown),
            ("[", Lockdown::Unknown),
        ] {
            let (_root, files) = system("", "user:[1]", text);
            assert_eq!(Lockdown::read(&files), expected, "{text}");
        }
    }
}
