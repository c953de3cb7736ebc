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
                "no field of a kernel structure can be found",
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
        "what comes from these fields is left out; that is normal for another version or configuration",
        "",
    )
}

fn ring_buffer(btf: &Btf) -> Check {
    let name = "ring buffer";
    match btf.size_of("bpf_ringbuf") {
        Some(_) => Check::ok(name, "BPF ring buffers are there"),
        None => Check::problem(
            name,
            "this kernel has no BPF ring buffer",
            "events cannot be brought to user space",
            "boot Linux 5.8 or newer; the lowest version that is supported is 5.15",
        ),
    }
}

/// fentry on kernel functions needs ftrace with direct calls (64-bit Arm has it since 6.4).
fn fentry(is_there: bool) -> Check {
    let name = "fentry";
    if is_there {
        return Check::ok(name, "there: ftrace can call programs directly");
    }
    Check::note(
        name,
        "ftrace cannot call programs directly",
        "every probe becomes a kprobe, at more than twice the cost, and under \
         lockdown=confidentiality nothing can attach",
        "boot a kernel with CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS=y",
    )
}

fn kprobes(system: &SystemFiles, has_fentry: bool) -> Check {
    let name = "kprobes";
    let finding = "this kernel has no kprobe event source";
    let remedy = "boot a kernel with CONFIG_KPROBE_EVENTS=y";
    match system.number("/sys/bus/event_source/devices/kprobe/type") {
        Some(_) => Check::ok(name, "there, through performance events"),
        None if has_fentry => Check::note(name, finding, "what fentry cannot reach is not seen", remedy),
        None => Check::problem(name, finding, "without fentry, too, no function can be watched", remedy),
    }
}

/// What keeps probes from firing that can be attached all the same.
fn switch(system: &SystemFiles, switch: Switch) -> Check {
    let (name, trampolines) = match switch {
        Switch::Ftrace => ("ftrace switch", true),
        Switch::Kprobes => ("kprobe switch", false),
    };
    let (meaning, unreadable) = if trampolines {
        ("fentry, and kprobes at the entry of a function, would never fire: a session attaches none", "")
    } else {
        (
            "kprobes would never fire, and a session attaches none: what fentry cannot reach is not seen",
            "look as root with debugfs mounted: mount -t debugfs none /sys/kernel/debug",
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
            "the kernel has shut ftrace down after an error of its own",
            "nothing that goes by ftrace can be attached",
            "look at the kernel's log, and boot again",
        ),
        SwitchState::Unknown => Check::note(
            name,
            format!("unknown: {} is not readable", switch.name()),
            "where probes do not fire, a session notices by its self-test, and cannot say why",
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
            "the family `exclusive` has no events here; all others are not concerned",
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
            "frames in entries, and the flags of their pages, are unknown; mappings without a bounce and pages that fork \
             takes away are not seen: the rules about them are inconclusive",
            "let root see the symbols (kernel.kptr_restrict=1 or 0), on a kernel with CONFIG_KALLSYMS_ALL=y and \
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
            "look as root with debugfs mounted: mount -t debugfs none /sys/kernel/debug",
        ),
    }
}

fn configuration(system: &SystemFiles) -> Check {
    let name = "configuration";
    match Configuration::find(system) {
        Some(configuration) => Check::ok(name, configuration.source),
        None => Check::note(
            name,
            "this kernel's configuration is not readable",
            "the numbers of swap entries come from functions and types alone; on Linux 5.19 to 6.1 one \
             option has to be assumed",
            format!("put it at /boot/config-{}", system.release()),
        ),
    }
}
