//! virtme-ng's arguments for a guest.

use std::path::{Path, PathBuf};

use super::script::{DEV_STDERR_PORT, STATUS_PORT, STDERR_PORT, quote};
use super::{Accelerator, Disk, Guest, GuestError};

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
}

/// Arguments of `vng`. virtme-ng puts them together into a shell command without quoting paths, so a path
/// with a space is refused.
pub fn arguments(guest: &Guest, files: &RunFiles) -> Result<Vec<String>, GuestError> {
    let cpus = if guest.accelerator == Accelerator::InstructionCount { 1 } else { guest.cpus };
    if cpus == 0 {
        return Err(GuestError::Option("a guest needs at least one CPU".into()));
    }
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
    // An oops ends the run at once instead of leaving a guest that may hang.
    push("--append", "oops=panic".into());
    for append in &guest.append {
        push("--append", append.clone());
    }
    for folder in &guest.rwdirs {
        push("--rwdir", plain_path(folder)?);
    }
    push("--qemu-opts", qemu_options(guest, files)?.join(" "));
    push("--exec", format!("bash {}", quote(&plain_path(&files.script())?)));
    Ok(arguments)
}

fn qemu_options(guest: &Guest, files: &RunFiles) -> Result<Vec<String>, GuestError> {
    let mut options = vec![format!("-pidfile {}", plain_path(&files.pid())?)];
    let socket = plain_path(&files.stderr())?;
    let status = plain_path(&files.status())?;
    options.push("-device virtio-serial-pci,id=rmapscope".into());
    for (index, (port, backend)) in [
        (STDERR_PORT, format!("socket,path={socket},server=off")),
        (DEV_STDERR_PORT, format!("socket,path={socket},server=off")),
        (STATUS_PORT, format!("file,path={status}")),
    ]
    .into_iter()
    .enumerate()
    {
        let (kind, rest) = backend.split_once(',').unwrap_or((&backend, ""));
        options.push(format!("-chardev {kind},id=rmapscope{index},{rest}"));
        options.push(format!("-device virtserialport,bus=rmapscope.0,name={port},chardev=rmapscope{index}"));
    }
    if guest.accelerator == Accelerator::InstructionCount {
        options.push("-icount shift=0,sleep=off -accel tcg,thread=single".into());
    }
    if let Some(disk) = guest.disk {
        options.push(format!("-drive file={},if=none,id=scratch,format=raw", plain_path(&files.disk())?));
        options.push(match disk {
            Disk::Nvme => "-device nvme,drive=scratch,serial=rmapscope".into(),
            Disk::Virtio => {
                "-device virtio-blk-pci,drive=scratch,serial=rmapscope,iommu_platform=on,disable-legacy=on"
                    .into()
            }
        });
    }
    Ok(options)
}

fn plain_path(path: &Path) -> Result<String, GuestError> {
    let text = path.to_str().unwrap_or_default();
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./+@%=~:".contains(letter);
    if text.is_empty() || !text.chars().all(plain) {
        return Err(GuestError::Option(format!(
            "{path:?}: virtme-ng takes only paths of ASCII letters, digits and -_./+@%=~: (no space)"
        )));
    }
    Ok(text.into())
}

/// Memory and CPUs of each NUMA node, in virtme-ng's notation (`512M,cpus=0-1`).
fn numa(memory: &str, cpus: u32, nodes: u32) -> Result<Vec<String>, GuestError> {
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
fn megabytes(memory: &str) -> Option<u64> {
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

    #[test]
    fn counting_instructions_means_one_cpu() {
        let guest = Guest::new("/boot/vmlinuz").cpus(4).accelerator(Accelerator::InstructionCount);
        let list = arguments(&guest, &RunFiles { folder: Path::new("/cache/run") }).expect("valid").join(" ");
        assert!(list.contains("--cpus=1 "), "{list}");
        assert!(list.contains("-icount shift=0,sleep=off"), "{list}");
        assert!(list.contains("--disable-kvm"), "{list}");
    }

    #[test]
    fn a_path_with_a_space_is_refused() {
        let guest = Guest::new("/boot/my kernel");
        assert!(arguments(&guest, &RunFiles { folder: Path::new("/cache/run") }).is_err());
    }
}
