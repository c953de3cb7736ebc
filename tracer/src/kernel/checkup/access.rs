//! What this process may do.

use super::Check;
use crate::kernel::version;
use crate::kernel::{Capability, Configuration, Lockdown, Privileges, Symbols, SystemFiles};
use crate::open_files::MOST_OPEN;

pub(super) fn checks(system: &SystemFiles) -> Vec<Check> {
    let privileges = Privileges::read(system);
    vec![
        privilege(&privileges),
        user_namespace(&privileges),
        pid_namespace(&privileges),
        lockdown(system),
        bpf_system_call(system),
        perf_event_paranoid(system, &privileges),
        addresses(system),
        memory_lock(system, &privileges),
        open_files(system),
        tracefs(system),
    ]
}

fn privilege(privileges: &Privileges) -> Check {
    let name = "privilege";
    let uid = privileges.effective_uid.map_or("unknown".to_owned(), |uid| uid.to_string());
    let (held, lacking): (Vec<Capability>, Vec<Capability>) =
        Capability::ALL.into_iter().partition(|capability| privileges.has(*capability));
    let list = |capabilities: &[Capability]| {
        let names: Vec<&str> = capabilities.iter().map(|capability| capability.name()).collect();
        if names.is_empty() { "none".to_owned() } else { names.join(", ") }
    };
    let finding = format!("effective uid {uid}; holds {}; lacks {}", list(&held), list(&lacking));
    let admin = privileges.has(Capability::SysAdmin);
    let may_load = admin || privileges.has(Capability::Bpf) && privileges.has(Capability::Perfmon);
    if !may_load {
        return Check::problem(
            name,
            finding,
            "no program can be loaded; reading trace files needs no privilege",
            "run as root (sudo rmapscope ...), or once: \
             sudo setcap cap_bpf,cap_perfmon,cap_syslog+ep \"$(command -v rmapscope)\"",
        );
    }
    if !admin && !privileges.has(Capability::Syslog) {
        return Check::note(
            name,
            finding,
            "kernel addresses stay hidden: stacks have no names, page frame numbers are unknown",
            "run as root, or add cap_syslog to the file's capabilities",
        );
    }
    Check::ok(name, finding)
}

fn user_namespace(privileges: &Privileges) -> Check {
    let name = "user namespace";
    match privileges.first_user_namespace {
        Some(true) => Check::ok(name, "the first one"),
        Some(false) => Check::problem(
            name,
            "not the first one",
            "capabilities apply to this namespace only; the kernel refuses tracing programs",
            "run outside the container, or in one that shares the host's user namespace",
        ),
        None => Check::note(name, "unknown", "/proc/self/ns is not readable", ""),
    }
}

fn pid_namespace(privileges: &Privileges) -> Check {
    let name = "pid namespace";
    match privileges.first_pid_namespace {
        Some(true) => Check::ok(name, "the first one"),
        Some(false) => Check::note(
            name,
            "not the first one",
            "-p, -t and names are translated; events carry ids of the initial pid namespace, which differ from those \
             here",
            "run in the host's pid namespace (docker run --pid=host)",
        ),
        None => Check::note(name, "unknown", "/proc/self/ns is not readable", ""),
    }
}

fn lockdown(system: &SystemFiles) -> Check {
    let name = "lockdown";
    match Lockdown::read(system) {
        Lockdown::None => Check::ok(name, "none"),
        Lockdown::Integrity => Check::ok(name, "integrity: tracing is not restricted"),
        Lockdown::Confidentiality => Check::note(
            name,
            "confidentiality",
            "kprobes cannot attach and bpf_probe_read_kernel is refused; fentry with direct loads still works, so most \
             events remain. Unavailable: device names, exclusive_page records, entries behind raw pointers, and every \
             function that fentry cannot reach",
            "boot with lockdown=integrity, or without Secure Boot where that sets it",
        ),
        Lockdown::Unknown if has_no_lockdown(system) => {
            Check::ok(name, "none: this kernel was built without it")
        }
        Lockdown::Unknown => Check::note(
            name,
            "unknown: /sys/kernel/security/lockdown is not readable",
            "a refused kprobe or bpf_probe_read_kernel cannot be explained",
            "mount -t securityfs none /sys/kernel/security",
        ),
    }
}

/// Whether the configuration says that the kernel cannot be locked down.
fn has_no_lockdown(system: &SystemFiles) -> bool {
    Configuration::find(system).is_some_and(|configuration| !configuration.is_set("SECURITY_LOCKDOWN_LSM"))
}

fn bpf_system_call(system: &SystemFiles) -> Check {
    let name = "bpf system call";
    let Some(unprivileged) = system.number("/proc/sys/kernel/unprivileged_bpf_disabled") else {
        return Check::problem(
            name,
            "not in this kernel, or hidden: /proc/sys/kernel/unprivileged_bpf_disabled is not readable",
            "no program can be loaded",
            "boot a kernel with CONFIG_BPF_SYSCALL=y",
        );
    };
    // Privileged loads, the only kind that tracing programs have, are allowed with every value.
    let finding = format!("available (unprivileged_bpf_disabled={unprivileged} does not matter here)");
    if system.number("/proc/sys/net/core/bpf_jit_enable") == Some(0) {
        return Check::note(
            name,
            format!("{finding}; its compiler is off"),
            "fentry cannot attach without it; kprobes can, at more than twice the overhead",
            "sysctl net.core.bpf_jit_enable=1",
        );
    }
    Check::ok(name, finding)
}

fn perf_event_paranoid(system: &SystemFiles, privileges: &Privileges) -> Check {
    let name = "perf_event_paranoid";
    let Some(value) = system.number("/proc/sys/kernel/perf_event_paranoid") else {
        return Check::problem(
            name,
            "not readable: this kernel has no perf events",
            "kprobes and tracepoints cannot attach",
            "boot a kernel with CONFIG_PERF_EVENTS=y",
        );
    };
    // Mainline lets CAP_PERFMON pass at every value; Debian's and Ubuntu's 3 and 4 ask for CAP_SYS_ADMIN.
    if value > 2 && !privileges.has(Capability::SysAdmin) {
        return Check::note(
            name,
            value.to_string(),
            "without CAP_SYS_ADMIN kprobes and tracepoints are refused; fentry is not affected",
            "run as root, or: sysctl kernel.perf_event_paranoid=2",
        );
    }
    Check::ok(name, value.to_string())
}

fn addresses(system: &SystemFiles) -> Check {
    let name = "kernel addresses";
    let restrict = system
        .number("/proc/sys/kernel/kptr_restrict")
        .map_or("kptr_restrict unknown".to_owned(), |value| format!("kptr_restrict={value}"));
    let lost = "stacks have no names and page frame numbers are unknown; probes attach by name all the same";
    match Symbols::load(&system.path("/proc/kallsyms")) {
        Ok(symbols) if symbols.addresses_hidden() => Check::note(
            name,
            format!("hidden ({restrict})"),
            lost,
            "run as root with kptr_restrict at most 1: sysctl kernel.kptr_restrict=1",
        ),
        Ok(symbols) => Check::ok(name, format!("visible ({restrict}), {} symbols", symbols.len())),
        Err(error) => Check::note(
            name,
            error.to_string(),
            lost,
            "boot a kernel with CONFIG_KALLSYMS=y and CONFIG_KALLSYMS_ALL=y",
        ),
    }
}

/// A limit of this process: the soft one, or the hard one (1), which it may raise that to.
fn limit(system: &SystemFiles, name: &str, position: usize) -> Option<String> {
    let limits = system.text("/proc/self/limits").ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_ascii_whitespace().nth(position).map(str::to_owned)
}

fn open_files(system: &SystemFiles) -> Check {
    let name = "open files";
    let limit = limit(system, "Max open files", 1);
    let finding = match &limit {
        Some(limit) => format!("limit {limit}"),
        None => "limit unknown".to_owned(),
    };
    let is_enough =
        |limit: String| limit.parse().map_or(limit == "unlimited", |limit: u64| limit >= MOST_OPEN);
    if limit.is_some_and(is_enough) {
        return Check::ok(name, finding);
    }
    Check::note(
        name,
        finding,
        "a session with every probe needs up to 500; without enough of them it is refused (status 4)",
        format!("ulimit -n {MOST_OPEN}, or a higher LimitNOFILE= where systemd starts it"),
    )
}

fn memory_lock(system: &SystemFiles, privileges: &Privileges) -> Check {
    let name = "locked memory";
    let limit = limit(system, "Max locked memory", 0);
    let limit = limit.as_deref();
    let finding = match limit {
        Some("unlimited") => "unlimited".to_owned(),
        Some(limit) => format!("limit {limit} bytes"),
        None => "limit unknown".to_owned(),
    };
    // 5.11 charges BPF memory to the cgroup instead (kernel/bpf/syscall.c, bpf_map_alloc).
    let is_charged = version(&system.release()).is_some_and(|version| version < (5, 11));
    if !is_charged {
        return Check::ok(name, format!("{finding}; not charged for BPF since Linux 5.11"));
    }
    if limit == Some("unlimited") || privileges.has(Capability::SysResource) {
        return Check::ok(name, format!("{finding}; is raised for the session where needed"));
    }
    Check::note(
        name,
        finding,
        "before Linux 5.11 maps and programs count as locked memory: creating them can fail with EPERM",
        "ulimit -l unlimited, or add cap_sys_resource",
    )
}

fn tracefs(system: &SystemFiles) -> Check {
    let name = "tracefs";
    let Some(folder) = system.mount_point("tracefs") else {
        return Check::note(
            name,
            "not mounted",
            "functions that fentry can reach are found by trying instead of from a list",
            "mount -t tracefs nodev /sys/kernel/tracing",
        );
    };
    let place = folder.display().to_string();
    match std::fs::File::open(system.path(folder.join("available_filter_functions"))) {
        Ok(_) => Check::ok(name, format!("readable at {place}")),
        Err(error) => Check::note(
            name,
            format!("at {place}, not readable: {error}"),
            "functions that fentry can reach are found by trying instead of from a list",
            "run as root; under lockdown=confidentiality it stays closed",
        ),
    }
}
