//! Debian packages.

use std::collections::HashSet;
use std::fs;
use std::process::Command;

use anyhow::Result;

use super::Group;
use crate::process;

/// The compiler for eBPF: Debian's rustc has a prebuilt `core` for the BPF target beside it.
const EBPF_COMPILER: [&str; 2] = ["rustc-web", "libstd-rust-web-dev-bpf"];

/// What building bpf-linker needs; it is linked to the shared libLLVM.
const BPF_LINKER: [&str; 2] = ["llvm-22-dev", "g++"];

/// Debian 12's own kernels 6.1 and 6.12, each by the package that depends on the newest one.
const INSTALLED: [&str; 2] = ["linux-image-amd64", "linux-image-6.12-amd64"];

/// depmod, and what a module of such a kernel is built with.
const STOCK: [&str; 5] = ["debian-archive-keyring", "gcc", "kmod", "make", "xz-utils"];

/// virtme-ng boots stock kernels from an initramfs around a static busybox (it asks file(1) whether it is one),
/// for which it unpacks their modules (xz); udev finds the guest's devices. Tests type into the screen of tmux, and
/// compare counts with bpftrace's.
const GUEST: [&str; 10] = [
    "qemu-system-x86",
    "bpftrace",
    "busybox-static",
    "file",
    "kmod",
    "udev",
    "python3-venv",
    "tmux",
    "util-linux",
    "xz-utils",
];

/// The kernel, and (libcap, libnuma, liburing, the C library) the selftests.
const KERNEL: [&str; 20] = [
    "linux-source-6.12",
    "gcc",
    "make",
    "flex",
    "bison",
    "bc",
    "cpio",
    "dwarves",
    "kmod",
    "libc6-dev",
    "libcap-dev",
    "libelf-dev",
    "libnuma-dev",
    "libssl-dev",
    "liburing-dev",
    "patch",
    "perl",
    "rsync",
    "xz-utils",
    "zstd",
];

/// Compilers and an emulator for 64-bit Arm, and what changes a guest's device tree.
const ARM64: [&str; 6] = [
    "qemu-system-arm",
    "gcc-aarch64-linux-gnu",
    "libc6-dev-arm64-cross",
    "device-tree-compiler",
    "debian-archive-keyring",
    "kmod",
];

/// A browser for the HTML report, and what drives it.
const BROWSER: [&str; 2] = ["chromium", "chromium-driver"];

/// Of BCC's tools those of libbpf-tools: bpfcc-tools needs a compiler's and the kernel's headers in the guest.
const BENCH: [&str; 6] = ["bpftrace", "libbpf-tools", "linux-perf", "trace-cmd", "bpftool", "time"];

/// Packages that these groups want and that are not installed, each once. `bpf_linker` says whether
/// bpf-linker is going to be built.
pub fn missing(groups: &[Group], bpf_linker: bool) -> Result<Vec<&'static str>> {
    let mut wanted: Vec<&'static str> = Vec::new();
    for group in groups {
        match group {
            Group::Toolchain => {
                if !nightly_has_source() {
                    wanted.extend(EBPF_COMPILER);
                }
                if bpf_linker {
                    wanted.extend(BPF_LINKER);
                }
            }
            Group::Guest => wanted.extend(GUEST),
            Group::Installed => wanted.extend(INSTALLED),
            Group::Stock => wanted.extend(STOCK),
            Group::Kernel => wanted.extend(KERNEL),
            Group::Arm64 => {
                wanted.extend(ARM64);
                // The standard library for it is of the version of this compiler.
                wanted.extend(EBPF_COMPILER);
            }
            Group::Browser => wanted.extend(BROWSER),
            // Built from crates.io, with what builds everything else.
            Group::Licences => {}
            Group::Bench => wanted.extend(BENCH),
        }
    }
    let installed = installed();
    let mut seen = HashSet::new();
    wanted.retain(|package| !installed.contains(*package) && seen.insert(*package));
    Ok(wanted)
}

/// Names of all installed packages; none where there is no dpkg.
fn installed() -> HashSet<String> {
    let list =
        process::output(Command::new("dpkg-query").args(["-W", "-f=${db:Status-Status} ${Package}\n"]));
    let list = list.unwrap_or_default();
    list.lines().filter_map(|line| line.strip_prefix("installed ")).map(str::to_owned).collect()
}

/// Whether rustup's nightly has the source of `core`: the other way to compile eBPF.
fn nightly_has_source() -> bool {
    process::output(Command::new("rustc").args(["+nightly", "--print", "sysroot"])).is_some_and(|sysroot| {
        std::path::Path::new(&sysroot).join("lib/rustlib/src/rust/library/core").is_dir()
    })
}

/// Whether this machine takes Debian 12's packages.
pub fn are_of_debian_12() -> bool {
    is_debian_12(&fs::read_to_string("/etc/os-release").unwrap_or_default())
}

/// Why packages cannot be installed here.
pub fn obstacle() -> Option<String> {
    if !are_of_debian_12() {
        return Some("this is not Debian 12".into());
    }
    match process::output(Command::new("id").arg("-u")).as_deref() {
        Some("0") => None,
        _ => Some("not root".into()),
    }
}

fn is_debian_12(os_release: &str) -> bool {
    let value = |key: &str| {
        let line = os_release.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        line.map(|value| value.trim_matches('"').to_owned())
    };
    value("ID").as_deref() == Some("debian") && value("VERSION_ID").as_deref() == Some("12")
}

/// Installs packages with apt-get.
pub fn install(packages: &[&str]) -> Result<()> {
    let apt = || {
        let mut command = Command::new("apt-get");
        // stdout is data: apt's report goes where ours goes.
        command
            .env("DEBIAN_FRONTEND", "noninteractive")
            .args(["--yes", "--quiet=2", "--option=Dpkg::Use-Pty=0"])
            .stdout(std::io::stderr());
        command
    };
    process::run("apt-get update", apt().arg("update"))?;
    let what = format!("installing {} Debian packages: {}", packages.len(), packages.join(" "));
    process::run(&what, apt().args(["install", "--no-install-recommends"]).args(packages))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debian_12_is_recognized() {
        assert!(is_debian_12(
            "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nVERSION_ID=\"12\"\nID=debian\n"
        ));
        assert!(!is_debian_12("ID=ubuntu\nVERSION_ID=\"12\"\nID_LIKE=debian\n"));
        assert!(!is_debian_12("ID=debian\nVERSION_ID=\"13\"\n"));
        assert!(!is_debian_12(""));
    }
}
