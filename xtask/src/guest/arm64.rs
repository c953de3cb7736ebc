//! A guest of 64-bit Arm: QEMU's machine `virt`, started without virtme-ng, whose root would be this machine's programs.
//!
//! The root is an initramfs around a static busybox; what the command needs of this machine (its folder, the programs,
//! folders to write to) is shared over 9p and mounted at the same paths.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::arguments::{RunFiles, cpus, plain_path, ports, scratch_disk};
use super::cpio::Archive;
use super::script::quote;
use super::{Guest, GuestError, arguments, device_tree};
use crate::kernel;
use crate::setup::arm64 as tools;

/// The port of the command's standard output; virtme-ng has one of its own on other machines.
const STDOUT_PORT: &str = "rmapscope.stdout";

/// What the script calls and busybox has not, or not so: it is for bash, and as simple as busybox's own shell takes it.
const PROGRAMS: [(&str, &str); 2] = [
    ("sbin/bash", "#!/bin/sh\nexec sh \"$@\"\n"),
    ("sbin/mountpoint", "#!/bin/sh\nshift\ngrep -q \" $1 \" /proc/mounts\n"),
];

/// What is mounted before anything else.
const MOUNTS: &str = "\
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs tmpfs /tmp
mount -t tmpfs tmpfs /run
ln -s /proc/self/fd /dev/fd
ip link set lo up
hostname guest
";

/// Port names become links, as udev makes them elsewhere.
const PORTS: &str = "\
mkdir -p /dev/virtio-ports
for _ in $(seq 200); do [ -e /sys/class/virtio-ports ] && break; sleep 0.05; done
for port in /sys/class/virtio-ports/*; do
    ln -sfn /dev/${port##*/} /dev/virtio-ports/$(cat $port/name)
done
";

/// A folder that the guest sees.
struct Share {
    folder: PathBuf,
    writable: bool,
}

/// Writes the initramfs and, where a pool is asked for, the device tree; returns QEMU's arguments.
pub fn prepare(guest: &Guest, files: &RunFiles, program: &Path) -> Result<Vec<String>, GuestError> {
    let shares = shares(guest, files)?;
    let root = root(guest, files, &shares)?;
    fs::write(files.initramfs(), root).map_err(GuestError::io("initramfs for the guest"))?;
    let machine = machine(guest)?;
    let mut list = machine.clone();
    if let Some(pool) = &guest.restricted_pool {
        device_tree::write(program, &machine, pool, &guest.memory, &files.device_tree())?;
        list.extend(["-dtb".into(), plain_path(&files.device_tree())?]);
    }
    list.extend(["-kernel".into(), plain_path(&guest.kernel)?]);
    list.extend(["-initrd".into(), plain_path(&files.initramfs())?]);
    list.extend(["-append".into(), command_line(guest)]);
    list.extend(
        ["-nodefaults", "-display", "none", "-no-reboot", "-serial", "file:/dev/stderr"].map(Into::into),
    );
    for (index, share) in shares.iter().enumerate() {
        let readonly = if share.writable { "" } else { ",readonly=on" };
        list.push("-fsdev".into());
        list.push(format!(
            "local,id=share{index},path={},security_model=none,multidevs=remap{readonly}",
            plain_path(&share.folder)?
        ));
        list.push("-device".into());
        list.push(format!("virtio-9p-device,fsdev=share{index},mount_tag=share{index}"));
    }
    list.extend(["-pidfile".into(), plain_path(&files.pid())?]);
    list.extend(ports("virtio-serial-device", files)?);
    list.extend(["-chardev".into(), "file,id=stdout,path=/dev/stdout".into()]);
    list.extend([
        "-device".into(),
        format!("virtserialport,bus=rmapscope.0,name={STDOUT_PORT},chardev=stdout"),
    ]);
    list.extend(scratch_disk(guest, files)?);
    list.extend(["-accel".into(), arguments::ONE_THREAD.into()]);
    Ok(list)
}

/// What decides the device tree that QEMU makes.
fn machine(guest: &Guest) -> Result<Vec<String>, GuestError> {
    let cpus = cpus(guest)?;
    let mut list: Vec<String> =
        ["-M", "virt", "-global", "virtio-mmio.force-legacy=false"].map(Into::into).into();
    list.extend(["-cpu".into(), guest.cpu.clone().unwrap_or_else(|| "cortex-a72".into())]);
    list.extend(["-smp".into(), cpus.to_string()]);
    list.extend(["-m".into(), guest.memory.clone()]);
    if guest.numa_nodes > 1 {
        for (node, part) in arguments::numa(&guest.memory, cpus, guest.numa_nodes)?.iter().enumerate() {
            let (size, cpus) = part.split_once(',').unwrap_or((part, ""));
            list.extend(["-object".into(), format!("memory-backend-ram,id=memory{node},size={size}")]);
            list.extend(["-numa".into(), format!("node,nodeid={node},memdev=memory{node},{cpus}")]);
        }
    }
    Ok(list)
}

fn command_line(guest: &Guest) -> String {
    let mut line = "console=ttyAMA0 panic=-1 oops=panic sysctl.kernel.panic_on_rcu_stall=1".to_owned();
    for append in &guest.append {
        line.push(' ');
        line.push_str(append);
    }
    line
}

/// The folders that the command needs, each one once, and those before that they lie in.
fn shares(guest: &Guest, files: &RunFiles) -> Result<Vec<Share>, GuestError> {
    let current = env::current_dir().map_err(GuestError::io("current folder"))?;
    let readable = guest.path.iter().cloned().chain([current, files.folder.to_owned()]);
    let mut shares: Vec<Share> = readable.map(|folder| Share { folder, writable: false }).collect();
    shares.extend(guest.rwdirs.iter().map(|folder| Share { folder: folder.clone(), writable: true }));
    shares.sort_by(|one, other| (&one.folder, other.writable).cmp(&(&other.folder, one.writable)));
    shares.dedup_by(|later, earlier| later.folder == earlier.folder);
    Ok(shares)
}

/// A module as the kernel loads it, however the package keeps it.
fn uncompressed(module: &Path) -> Result<Vec<u8>, GuestError> {
    let named = || module.display().to_string();
    if module.extension().is_none_or(|extension| extension != "xz") {
        return fs::read(module).map_err(GuestError::io(named()));
    }
    let output = Command::new("xz").args(["--decompress", "--stdout"]).arg(module).output();
    let output = output.map_err(GuestError::io(format!("xz for {}", named())))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(GuestError::io(named())(std::io::Error::other(said)));
    }
    Ok(output.stdout)
}

fn root(guest: &Guest, files: &RunFiles, shares: &[Share]) -> Result<Vec<u8>, GuestError> {
    let read = |path: &Path| fs::read(path).map_err(GuestError::io(path.display().to_string()));
    let mut archive = Archive::default();
    for folder in
        ["bin", "dev", "proc", "sys", "tmp", "run", "root", "modules", "etc", "sbin", "usr", "usr/bin"]
    {
        archive.folder(folder);
    }
    archive.console("dev/console");
    archive.program("bin/busybox", &read(&tools::busybox())?);
    archive.link("bin/sh", "busybox");
    for (place, text) in PROGRAMS {
        archive.program(place, text.as_bytes());
    }
    let mut init = String::from("#!/bin/sh\n/bin/busybox --install -s /bin\nexport PATH=/sbin:/bin\n");
    for (index, module) in kernel::modules_of(&guest.kernel).iter().enumerate() {
        let place = format!("modules/{index}.ko");
        archive.program(&place, &uncompressed(module)?);
        init.push_str(&format!("insmod /{place}\n"));
    }
    init.push_str(MOUNTS);
    if let Some(configuration) = kernel::configuration_of(&guest.kernel) {
        archive.folder("boot");
        archive.program("boot/config", &read(&configuration)?);
        init.push_str("ln -s config /boot/config-$(uname -r)\n");
    }
    for (index, share) in shares.iter().enumerate() {
        let folder = quote(&plain_path(&share.folder)?);
        let access = if share.writable { "rw" } else { "ro" };
        init.push_str(&format!(
            "mkdir -p {folder}\nmount -t 9p -o trans=virtio,version=9p2000.L,msize=262144,{access} share{index} {folder}\n"
        ));
    }
    init.push_str(PORTS);
    init.push_str(&format!(
        "bash {} >/dev/virtio-ports/{STDOUT_PORT} </dev/null\npoweroff -f\n",
        quote(&plain_path(&files.script())?)
    ));
    archive.program("init", init.as_bytes());
    Ok(archive.finish())
}
