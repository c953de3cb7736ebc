//! virtme-ng's arguments for a guest.

use std::path::{Path, PathBuf};

use super::script::{DEV_STDERR_PORT, STATUS_PORT, STDERR_PORT, quote};
use super::{Accelerator, Disk, Guest, GuestError};
use crate::emulator::Emulator;

/// How often QEMU connects to the socket for standard error: once for each port that carries it.
pub const STDERR_CONNECTIONS: usize = 2;

/// Files of one run, in a scratch folder of its own.
pub struct RunFiles<'a> {
    /// The scratch folder.
    pub folder: &'a Path,
}

impl RunFiles<'_> {
    /// Where QEMU leaves its pid.
    pub fn pid(&self) -> PathBuf {
        self.folder.join("qemu.pid")
    }

    /// The socket that takes the command's standard error.
    pub fn stderr(&self) -> PathBuf {
        self.folder.join("stderr")
    }

    /// The file that takes the command's status.
    pub fn status(&self) -> PathBuf {
        self.folder.join("status")
    }

    /// The script that the guest runs.
    pub fn script(&self) -> PathBuf {
        self.folder.join("run.sh")
    }

    /// The disk image.
    pub fn disk(&self) -> PathBuf {
        self.folder.join("disk.img")
    }

    /// The root of a guest that has not this machine's.
    pub fn initramfs(&self) -> PathBuf {
        self.folder.join("initramfs")
    }

    /// The device tree, where it is not the one that QEMU makes.
    pub fn device_tree(&self) -> PathBuf {
        self.folder.join("machine.dtb")
    }
}

/// Arguments of `vng`. virtme-ng puts them together into a shell command without quoting paths, so a path
/// with a space is refused.
pub fn arguments(guest: &Guest, files: &RunFiles, emulator: &Emulator) -> Result<Vec<String>, GuestError> {
    let cpus = cpus(guest)?;
    // --verbose makes virtme-ng show the kernel's console on its standard error, which we keep for
    // ourselves; the command's own standard error goes through a port of ours.
    // The virtiofsd of Debian 12's QEMU does not take virtme-ng's options, and each try costs seconds: 9p.
    let mut arguments: Vec<String> =
        ["--verbose", "--disable-microvm", "--force-9p", "--user", "root"].map(Into::into).into();
    if guest.accelerator != Accelerator::Kvm {
        arguments.push("--disable-kvm".into());
    }
    // In one word: a value may begin with a dash.
    let mut push = |name: &str, value: String| arguments.push(format!("{name}={value}"));
    push("--run", plain_path(&guest.kernel)?);
    push("--qemu", plain_path(&emulator.program)?);
    push("--cpus", cpus.to_string());
    push("--memory", guest.memory.clone());
    if guest.numa_nodes > 1 {
        for node in numa(&guest.memory, cpus, guest.numa_nodes)? {
            push("--numa", node);
        }
        // A socket for each CPU: the kernel warns about cores of one socket on different nodes
        // (6.12 arch/x86/kernel/smpboot.c, topology_sane()).
        push("--qemu-opts", format!("-smp {cpus},sockets={cpus},cores=1,threads=1"));
    }
    // An oops ends the run at once instead of leaving a guest that may hang, and so does a CPU that stands still.
    push("--append", "oops=panic".into());
    push("--append", "sysctl.kernel.panic_on_rcu_stall=1".into());
    for append in &guest.append {
        push("--append", append.clone());
    }
    for folder in &guest.rwdirs {
        push("--rwdir", plain_path(folder)?);
    }
    push("--qemu-opts", qemu_options(guest, files, emulator)?.join(" "));
    push("--exec", format!("bash {}", quote(&plain_path(&files.script())?)));
    Ok(arguments)
}

/// Several CPUs in one thread.
pub const ONE_THREAD: &str = "tcg,thread=single";

/// CPUs of the guest.
pub fn cpus(guest: &Guest) -> Result<u32, GuestError> {
    match guest.cpus {
        0 => Err(GuestError::Option("a guest needs at least one CPU".into())),
        _ if guest.accelerator == Accelerator::InstructionCount => Ok(1),
        cpus => Ok(cpus),
    }
}

fn qemu_options(guest: &Guest, files: &RunFiles, emulator: &Emulator) -> Result<Vec<String>, GuestError> {
    let mut options = vec!["-pidfile".into(), plain_path(&files.pid())?];
    options.extend(ports("virtio-serial-pci", files)?);
    match guest.accelerator {
        Accelerator::InstructionCount => {
            options.extend(["-icount", "shift=0,sleep=off", "-accel", ONE_THREAD].map(Into::into));
        }
        Accelerator::Tcg if !emulator.translates_safely() => {
            options.extend(["-accel", ONE_THREAD].map(Into::into));
        }
        Accelerator::Tcg | Accelerator::Kvm => {}
    }
    options.extend(scratch_disk(guest, files)?);
    Ok(options)
}

/// The ports of the command's standard error and status, on a controller of that kind.
pub fn ports(controller: &str, files: &RunFiles) -> Result<Vec<String>, GuestError> {
    let socket = plain_path(&files.stderr())?;
    let status = plain_path(&files.status())?;
    let mut options = vec!["-device".into(), format!("{controller},id=rmapscope")];
    for (index, (port, backend)) in [
        (STDERR_PORT, format!("socket,path={socket},server=off")),
        (DEV_STDERR_PORT, format!("socket,path={socket},server=off")),
        (STATUS_PORT, format!("file,path={status}")),
    ]
    .into_iter()
    .enumerate()
    {
        let (kind, rest) = backend.split_once(',').unwrap_or((&backend, ""));
        options.extend(["-chardev".into(), format!("{kind},id=rmapscope{index},{rest}")]);
        let port = format!("virtserialport,bus=rmapscope.0,name={port},chardev=rmapscope{index}");
        options.extend(["-device".into(), port]);
    }
    Ok(options)
}

/// The disk, where the guest has one.
pub fn scratch_disk(guest: &Guest, files: &RunFiles) -> Result<Vec<String>, GuestError> {
    let device = match guest.disk {
        None => return Ok(Vec::new()),
        Some(Disk::Nvme) => "nvme,drive=scratch,serial=rmapscope",
        Some(Disk::Virtio) => {
            "virtio-blk-pci,drive=scratch,serial=rmapscope,iommu_platform=on,disable-legacy=on"
        }
    };
    let drive = format!("file={},if=none,id=scratch,format=raw", plain_path(&files.disk())?);
    Ok(vec!["-drive".into(), drive, "-device".into(), device.into()])
}

/// A path as QEMU and virtme-ng take it.
pub fn plain_path(path: &Path) -> Result<String, GuestError> {
    let text = path.to_str().unwrap_or_default();
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./+@%=~:".contains(letter);
    if text.is_empty() || !text.chars().all(plain) {
        return Err(GuestError::Option(format!(
            "{path:?}: QEMU and virtme-ng only accept paths of ASCII letters, digits and -_./+@%=~: (no space)"
        )));
    }
    Ok(text.into())
}

/// Memory and CPUs of each NUMA node, in virtme-ng's notation (`512M,cpus=0-1`).
pub fn numa(memory: &str, cpus: u32, nodes: u32) -> Result<Vec<String>, GuestError> {
    let megabytes = megabytes(memory).ok_or_else(|| {
        GuestError::Option(format!("memory {memory:?}: a number and M or G, for example 1G"))
    })?;
    if cpus < nodes || megabytes < u64::from(nodes) {
        return Err(GuestError::Option(format!("{nodes} NUMA nodes need as many CPUs; there are {cpus}")));
    }
    let mut list = Vec::new();
    for node in 0..nodes {
        let first = cpus * node / nodes;
        let last = cpus * (node + 1) / nodes - 1;
        let range = if first == last { first.to_string() } else { format!("{first}-{last}") };
        let mut share = megabytes / u64::from(nodes);
        if node == 0 {
            share += megabytes % u64::from(nodes);
        }
        list.push(format!("{share}M,cpus={range}"));
    }
    Ok(list)
}

/// MiB of QEMU's notation; a bare number is MiB.
pub fn megabytes(memory: &str) -> Option<u64> {
    let (number, factor) = match memory.strip_suffix(['G', 'g']) {
        Some(number) => (number, 1024),
        None => (memory.strip_suffix(['M', 'm']).unwrap_or(memory), 1),
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numa_nodes_add_up() {
        assert_eq!(numa("1G", 2, 2).expect("valid"), ["512M,cpus=0", "512M,cpus=1"]);
        assert_eq!(numa("1025M", 5, 2).expect("valid"), ["513M,cpus=0-1", "512M,cpus=2-4"]);
        assert!(numa("1G", 1, 2).is_err());
        assert!(numa("much", 2, 2).is_err());
    }

    fn of(guest: &Guest, major: u32) -> Result<String, GuestError> {
        let emulator = Emulator { program: "/usr/bin/qemu-system-x86_64".into(), major };
        arguments(guest, &RunFiles { folder: Path::new("/cache/run") }, &emulator).map(|list| list.join(" "))
    }

    #[test]
    fn counting_instructions_means_one_cpu() {
        let guest = Guest::new("/boot/vmlinuz").cpus(4).accelerator(Accelerator::InstructionCount);
        let list = of(&guest, 10).expect("valid");
        assert!(list.contains("--cpus=1 "), "{list}");
        assert!(list.contains("-icount shift=0,sleep=off"), "{list}");
        assert!(list.contains("--disable-kvm"), "{list}");
    }

    #[test]
    fn a_path_with_a_space_is_refused() {
        let guest = Guest::new("/boot/my kernel");
        assert!(of(&guest, 10).is_err());
    }

    #[test]
    fn an_emulator_that_stalls_runs_one_cpu_at_a_time() {
        let guest = Guest::new("/boot/vmlinuz").cpus(2);
        assert!(of(&guest, 7).expect("valid").contains("-accel tcg,thread=single"));
        assert!(!of(&guest, 10).expect("valid").contains("thread=single"));
    }
}
