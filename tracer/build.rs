//! Builds the eBPF object and puts it where `include_bytes_aligned!` finds it.
//!
//! * `RMAPSCOPE_EBPF_OBJECT=FILE` takes a prebuilt object instead.
//! * `RMAPSCOPE_EBPF_RUSTC=RUSTC` names the compiler; else a rustup nightly and then `/usr/bin/rustc`
//!   (Debian's `rustc-web`) are tried. One that has a prebuilt `core` for the BPF target is used as it is,
//!   one that has its source (`rust-src`) builds `core` first.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

const TARGET: &str = "bpfel-unknown-none";

const HINT: &str = "\
no Rust compiler here can build for bpfel-unknown-none. One of these helps:
  cargo xtask setup                       (Debian 12: installs everything)
  apt-get install rustc-web libstd-rust-web-dev-bpf
  rustup toolchain install nightly --component rust-src
or give a prebuilt object: RMAPSCOPE_EBPF_OBJECT=FILE";

const LINKER_HINT: &str = "\
bpf-linker is neither on PATH nor in ~/.cache/rmapscope/tools/bin. One of these helps:
  cargo xtask setup
  cargo install bpf-linker --version 0.13.0   (its LLVM must be the compiler's)";

/// What such a program would call (tracer-ebpf/src/globals.rs).
const NOT_LISTED: &[u8] = b"argument_that_the_point_does_not_list";

fn main() {
    let manifest = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let root = manifest.parent().expect("the crate lies in the workspace");
    for path in ["tracer-ebpf/src", "tracer-ebpf/Cargo.toml", "tracer-ebpf/Cargo.lock", "tracer-common/src"] {
        println!("cargo::rerun-if-changed={}", root.join(path).display());
    }
    for variable in ["RMAPSCOPE_EBPF_OBJECT", "RMAPSCOPE_EBPF_RUSTC", "RMAPSCOPE_CACHE"] {
        println!("cargo::rerun-if-env-changed={variable}");
    }

    let object = match env::var_os("RMAPSCOPE_EBPF_OBJECT") {
        Some(object) => {
            println!("cargo::rerun-if-changed={}", object.display());
            PathBuf::from(object)
        }
        None => build(root),
    };
    let bytes = std::fs::read(&object).unwrap_or_else(|error| panic!("{}: {error}", object.display()));
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it")).join("tracer-ebpf.o");
    let bytes = without_dwarf(&bytes);
    let misnamed = bytes.windows(NOT_LISTED.len()).any(|window| window == NOT_LISTED);
    assert!(
        !misnamed,
        "a handler reads an argument that its point does not list (tracer-common/src/point.rs)"
    );
    std::fs::write(out, bytes).expect("OUT_DIR can be written");
}

/// How `core` for the BPF target comes about.
enum Core {
    Prebuilt,
    FromSource,
}

fn build(root: &Path) -> PathBuf {
    let (rustc, core) = find_compiler().unwrap_or_else(|| panic!("{HINT}"));
    let linker = find_linker().unwrap_or_else(|| panic!("{LINKER_HINT}"));
    println!("cargo::rerun-if-changed={}", linker.display());
    let way = match core {
        Core::Prebuilt => "its prebuilt core",
        Core::FromSource => "core built from rust-src",
    };
    // A directory of its own beside the outer one: shared by all profiles, and no lock of cargo's is held
    // by two.
    let target_dir = target_dir(root).join("ebpf");
    std::fs::create_dir_all(&target_dir).expect("the target directory can be written");
    let note = format!("eBPF object: {} with {way}, linked by {}", rustc.display(), linker.display());
    std::fs::write(target_dir.join("toolchain.txt"), &note).expect("the target directory can be written");
    // The only line of a build script that cargo shows by itself.
    println!("cargo::warning={note}");

    let flags = [
        format!("--cfg=bpf_target_arch=\"{}\"", env::var("CARGO_CFG_TARGET_ARCH").expect("cargo sets it")),
        format!("-Clinker={}", linker.display()),
        "-Clink-arg=--btf".into(),
        "-Cdebuginfo=2".into(),
        // Not `generic`: that has no 32-bit jumps and no fetching atomics.
        "-Ctarget-cpu=v3".into(),
    ];
    let mut command = Command::new(env::var_os("CARGO").expect("cargo sets it"));
    command
        .args(["build", "--release", "--locked", "--target", TARGET, "--target-dir"])
        .arg(&target_dir)
        .arg("--manifest-path")
        .arg(root.join("tracer-ebpf/Cargo.toml"))
        .env("RUSTC", rustc)
        // aya-ebpf and we use inline assembly for BPF, which is unstable.
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"));
    if matches!(core, Core::FromSource) {
        command.args(["-Z", "build-std=core"]);
    }
    for variable in
        ["RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER", "RUSTFLAGS", "CARGO_BUILD_TARGET", "CARGO_TARGET_DIR"]
    {
        command.env_remove(variable);
    }
    let status = command.status().expect("cargo can be run");
    assert!(status.success(), "building the eBPF object failed ({status}); see above");
    target_dir.join(TARGET).join("release/tracer-ebpf")
}

/// The outer target directory: the ancestor of OUT_DIR that holds cargo's tag.
fn target_dir(root: &Path) -> PathBuf {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    out.ancestors()
        .filter(|path| path.join("CACHEDIR.TAG").is_file())
        .last()
        .map_or_else(|| root.join("target"), Path::to_path_buf)
}

fn find_compiler() -> Option<(PathBuf, Core)> {
    let named = env::var_os("RMAPSCOPE_EBPF_RUSTC").map(PathBuf::from);
    let candidates = match named {
        Some(rustc) => vec![rustc],
        None => rustup_nightly().into_iter().chain([PathBuf::from("/usr/bin/rustc")]).collect(),
    };
    candidates.into_iter().find_map(|rustc| core_of(&rustc).map(|core| (rustc, core)))
}

fn rustup_nightly() -> Option<PathBuf> {
    let output = Command::new("rustup").args(["which", "--toolchain", "nightly", "rustc"]).output().ok()?;
    output.status.success().then(|| PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()))
}

fn core_of(rustc: &Path) -> Option<Core> {
    let print = |what: &str| {
        let mut command = Command::new(rustc);
        let output = command.args(["--print", what, "--target", TARGET]).output().ok()?;
        output.status.success().then(|| PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()))
    };
    let prebuilt = print("target-libdir").and_then(|dir| dir.read_dir().ok()).is_some_and(|files| {
        files.flatten().any(|file| file.file_name().to_string_lossy().starts_with("libcore-"))
    });
    if prebuilt {
        return Some(Core::Prebuilt);
    }
    print("sysroot")?.join("lib/rustlib/src/rust/library/core").is_dir().then_some(Core::FromSource)
}

fn find_linker() -> Option<PathBuf> {
    let cache = env::var_os("RMAPSCOPE_CACHE").map(PathBuf::from).or_else(|| {
        let home = env::var_os("HOME").filter(|home| !home.is_empty())?;
        Some(PathBuf::from(home).join(".cache/rmapscope"))
    });
    let path = env::var_os("PATH").unwrap_or_default();
    cache
        .map(|cache| cache.join("tools/bin"))
        .into_iter()
        .chain(env::split_paths(&path))
        .map(|directory| directory.join("bpf-linker"))
        .find(|linker| linker.is_file())
}

/// The object without the contents of its DWARF sections, which are most of it and which nobody reads: the
/// kernel takes its types and lines from BTF. Every section keeps its number, so nothing else changes.
fn without_dwarf(object: &[u8]) -> Vec<u8> {
    // Elf64_Ehdr: e_shoff at 40, e_shnum at 60, e_shstrndx at 62. Elf64_Shdr: 64 bytes; sh_name at 0,
    // sh_type at 4, sh_offset at 24, sh_size at 32.
    const SECTION_HEADER: usize = 64;
    let word = |at: usize| u64::from_le_bytes(object[at..at + 8].try_into().expect("8 bytes")) as usize;
    let half = |at: usize| usize::from(u16::from_le_bytes([object[at], object[at + 1]]));
    assert!(object.starts_with(b"\x7fELF\x02\x01"), "the linker wrote no little-endian 64-bit ELF object");
    let header = |index: usize| word(40) + index * SECTION_HEADER;
    let names = word(header(half(62)) + 24);
    let name = |index: usize| {
        let at =
            names + u32::from_le_bytes(object[header(index)..][..4].try_into().expect("4 bytes")) as usize;
        object[at..].split(|byte| *byte == 0).next().unwrap_or_default()
    };

    let mut out = object[..64].to_vec();
    let mut headers = Vec::new();
    for index in 0..half(60) {
        let mut section = object[header(index)..][..SECTION_HEADER].to_vec();
        if name(index).starts_with(b".debug_") || name(index).starts_with(b".rel.debug_") {
            section[4..8].fill(0);
            section[32..40].fill(0);
        } else if index != 0 {
            out.resize(out.len().next_multiple_of(16), 0);
            section[24..32].copy_from_slice(&(out.len() as u64).to_le_bytes());
            out.extend_from_slice(&object[word(header(index) + 24)..][..word(header(index) + 32)]);
        }
        headers.extend_from_slice(&section);
    }
    out.resize(out.len().next_multiple_of(16), 0);
    let headers_at = out.len() as u64;
    out[40..48].copy_from_slice(&headers_at.to_le_bytes());
    out.extend_from_slice(&headers);
    out
}
