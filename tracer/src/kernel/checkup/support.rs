//! What this kernel can do.

use std::path::PathBuf;

use super::Check;
use crate::Error;
use crate::kernel::{
    Btf, Configuration, RUNNING_KERNEL_BTF, RUNNING_KERNEL_SYMBOLS, Switch, SwitchState, Symbols,
    SystemFiles, memory_map, page_size, resolve_layout,
};

pub(super) fn checks(system: &SystemFiles, given: Option<PathBuf>) -> Vec<Check> {
    let path = given.unwrap_or_else(|| system.path(RUNNING_KERNEL_BTF));
    let mut checks = Vec::new();
    match Btf::load(&path) {
        Ok(btf) => {
            checks.push(Check::ok("BTF", format!("{} types in {}", btf.len(), path.display())));
            checks.push(fields(&btf));
            checks.push(ring_buffer(&btf));
            let has_fentry = btf.function("register_ftrace_direct").is_some();
            checks.push(fentry(has_fentry));
            checks.push(kprobes(system, has_fentry));
            checks.push(device_exclusive(&btf));
            checks.push(pages(system, &btf));
        }
        Err(error) => {
            let error = Error::from(error);
            checks.push(Check::problem(
                "BTF",
                error.cause,
                "no field of a kernel structure could be found",
                error.remedy,
            ));
            checks.push(kprobes(system, true));
        }
    }
    checks.extend(Switch::ALL.into_iter().map(|switch| self::switch(system, switch)));
    checks.push(bounce_buffers(system));
    checks.push(configuration(system));
    checks
}

fn fields(btf: &Btf) -> Check {
    let name = "fields";
    let (_, missing) = resolve_layout(btf);
    if missing.is_empty() {
        return Check::ok(name, "every field that an event can show is in this kernel");
    }
    let paths: Vec<&str> = missing.iter().map(|field| field.path).collect();
    Check::note(
        name,
        format!("not in this kernel: {}", paths.join(", ")),
        "values from these fields are unknown; this is normal for other versions or configurations",
        "",
    )
}

fn ring_buffer(btf: &Btf) -> Check {
    let name = "ring buffer";
    match btf.size_of("bpf_ringbuf") {
        Some(_) => Check::ok(name, "BPF ring buffers are available"),
        None => Check::problem(
            name,
            "this kernel has no BPF ring buffer",
            "events cannot be passed to user space",
            "boot Linux 5.8 or newer; the oldest supported version is 5.15",
        ),
    }
}

/// fentry on kernel functions needs ftrace with direct calls (64-bit Arm has it since 6.4).
fn fentry(is_there: bool) -> Check {
    let name = "fentry";
    if is_there {
        return Check::ok(name, "available: ftrace can call programs directly");
    }
    Check::note(
        name,
        "ftrace cannot call programs directly",
        "every probe becomes a kprobe, at more than twice the overhead, and under \
         lockdown=confidentiality nothing can attach",
        "boot a kernel with CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS=y",
    )
}

fn kprobes(system: &SystemFiles, has_fentry: bool) -> Check {
    let name = "kprobes";
    let finding = "this kernel has no kprobe event source";
    let remedy = "boot a kernel with CONFIG_KPROBE_EVENTS=y";
    match system.number("/sys/bus/event_source/devices/kprobe/type") {
        Some(_) => Check::ok(name, "available, through perf events"),
        None if has_fentry => {
            Check::note(name, finding, "functions that fentry cannot reach are not seen", remedy)
        }
        None => Check::problem(name, finding, "without fentry, no function can be watched at all", remedy),
    }
}

/// What keeps probes from firing that can be attached all the same.
fn switch(system: &SystemFiles, switch: Switch) -> Check {
    let (name, trampolines) = match switch {
        Switch::Ftrace => ("ftrace switch", true),
        Switch::Kprobes => ("kprobe switch", false),
    };
    let (meaning, unreadable) = if trampolines {
        ("fentry, and kprobes at function entry, would never fire, so sessions attach none", "")
    } else {
        (
            "kprobes would never fire, so sessions attach none: functions that fentry cannot reach are not seen",
            "run as root with debugfs mounted: mount -t debugfs none /sys/kernel/debug",
        )
    };
    match switch.state(system) {
        SwitchState::On => Check::ok(name, format!("{} is 1", switch.name())),
        SwitchState::Off if trampolines => {
            Check::problem(name, format!("{} is 0", switch.name()), meaning, switch.remedy())
        }
        SwitchState::Off => Check::note(name, format!("{} is 0", switch.name()), meaning, switch.remedy()),
        SwitchState::Broken => Check::problem(
            name,
            "the kernel has shut down ftrace after an internal error",
            "nothing that uses ftrace can be attached",
            "check the kernel log, and reboot",
        ),
        SwitchState::Unknown => Check::note(
            name,
            format!("unknown: {} is not readable", switch.name()),
            "if probes do not fire, the self-test of a session notices, but cannot say why",
            unreadable,
        ),
    }
}

fn device_exclusive(btf: &Btf) -> Check {
    let name = "device-exclusive";
    // mm/rmap.c defines them only under CONFIG_DEVICE_PRIVATE.
    let function = ["make_device_exclusive_range", "make_device_exclusive"]
        .into_iter()
        .find(|function| btf.function(function).is_some());
    match function {
        Some(function) => Check::ok(name, format!("possible: {function} is in this kernel")),
        None => Check::note(
            name,
            "not possible on this kernel",
            "the family `exclusive` has no events here; other families are not affected",
            "boot a kernel with CONFIG_DEVICE_PRIVATE=y",
        ),
    }
}

/// What the program `calibrate` starts from.
fn pages(system: &SystemFiles, btf: &Btf) -> Check {
    let name = "pages";
    let symbols = Symbols::load(&system.path(RUNNING_KERNEL_SYMBOLS)).unwrap_or_else(|_| Symbols::none());
    match memory_map::find(&symbols, btf, page_size()) {
        Ok(_) => Check::ok(name, "the struct page of a page frame can be found"),
        Err(missing) => Check::note(
            name,
            format!("the struct page of a page frame cannot be found: {missing}"),
            "page frames in entries, and the flags of their pages, are unknown; direct mappings and pages taken by \
             fork are not seen: the rules about them are inconclusive",
            "allow root to see symbols (kernel.kptr_restrict=1 or 0), on a kernel with CONFIG_KALLSYMS_ALL=y and \
             CONFIG_SPARSEMEM_VMEMMAP=y",
        ),
    }
}

fn bounce_buffers(system: &SystemFiles) -> Check {
    let name = "bounce buffers";
    let parameter = system
        .line("/proc/cmdline")
        .and_then(|line| {
            line.split_ascii_whitespace().find(|word| word.starts_with("swiotlb=")).map(str::to_owned)
        })
        .map_or(String::new(), |word| format!(" (booted with {word})"));
    let folder = system.mount_point("debugfs").map(|debugfs| debugfs.join("swiotlb"));
    let count = |file: &str| system.number(folder.as_ref()?.join(file));
    // An empty pool has a folder without files (6.12 kernel/dma/swiotlb.c, swiotlb_create_debugfs_files).
    let is_empty = || {
        let folder = system.path(folder.as_ref()?);
        let has_slots = folder.join("io_tlb_nslabs").try_exists().ok()?;
        (folder.is_dir() && !has_slots).then_some(0)
    };
    match count("io_tlb_nslabs").or_else(is_empty) {
        Some(0) => Check::note(
            name,
            format!("the default pool is empty{parameter}"),
            "the family `swiotlb` has events only from devices with a pool of their own",
            "boot with swiotlb=force to make every mapping bounce",
        ),
        Some(slots) => {
            let used = count("io_tlb_used").map_or(String::new(), |used| format!(", {used} in use now"));
            Check::ok(name, format!("{slots} slots of 2048 bytes{used}{parameter}"))
        }
        None => Check::note(
            name,
            format!("unknown: debugfs shows no swiotlb{parameter}"),
            "the family `swiotlb` may have no events",
            "run as root with debugfs mounted: mount -t debugfs none /sys/kernel/debug",
        ),
    }
}

fn configuration(system: &SystemFiles) -> Check {
    let name = "configuration";
    match Configuration::find(system) {
        Some(configuration) => Check::ok(name, configuration.source),
        None => Check::note(
            name,
            "the kernel configuration is not readable",
            "swap types are derived from functions and types alone; on Linux 5.19 to 6.1 one option has to be assumed",
            format!("provide it as /boot/config-{}", system.release()),
        ),
    }
}
