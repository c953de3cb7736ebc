//! The kernel's test driver for device memory, `lib/test_hmm.c`, as a module for a stock kernel that has
//! `CONFIG_DEVICE_PRIVATE`: built against Debian's headers in seconds, with this machine's own compilers.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use super::progress;
use super::release::Release;
use crate::architecture::Architecture;
use crate::archive::Suite;
use crate::process;

/// The libraries of the suite that the headers' own programs (modpost, objtool) are linked with.
const LIBRARIES: [&str; 4] = ["libc6", "libelf1t64", "libzstd1", "zlib1g"];
/// Where the module is among a kernel's modules.
pub const PLACE: &str = "updates/test_hmm.ko";
const FILES: [&str; 2] = ["test_hmm.c", "test_hmm_uapi.h"];

/// Passes on to gcc what this gcc knows: the headers were configured for a newer one.
const COMPILER: &str = r#"#!/bin/bash
arguments=()
for argument in "$@"; do
    case $argument in
        # Since gcc 14; the kernel asks for it as the stronger form of the second.
        -fmin-function-alignment=*) arguments+=("-falign-functions=${argument#*=}") ;;
        *) arguments+=("$argument") ;;
    esac
done
exec COMPILER "${arguments[@]}"
"#;

/// The packages that the module is built from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packages {
    /// Of the kernel's architecture.
    headers: Vec<String>,
    source: String,
    /// Of this machine's: the programs that the headers call, and what these are linked with.
    tools: Vec<String>,
}

impl Packages {
    /// Those for a release; none where the archive no longer has its headers. `tools` is the suite for this machine.
    pub fn of(release: &Release, suite: &Suite, tools: &Suite) -> Result<Option<Self>> {
        let headers = format!("linux-headers-{}", release.text);
        let source = format!("linux-source-{}", release.series());
        if suite.names(&headers)?.is_empty() || suite.names(&source)?.is_empty() {
            return Ok(None);
        }
        let depends =
            suite.packages(std::slice::from_ref(&headers))?.remove(&headers).unwrap_or_default().depends;
        let beginning =
            |begin: &'static str| depends.iter().filter(move |name| name.starts_with(begin)).cloned();
        let common = beginning("linux-headers-").filter(|name| name.contains("-common"));
        let kbuild: Vec<String> = beginning("linux-kbuild-").collect();
        for name in &kbuild {
            if !tools.names(name)?.contains(name) {
                return Ok(None);
            }
        }
        let libraries = LIBRARIES.map(str::to_owned);
        Ok(Some(Self {
            headers: [headers].into_iter().chain(common).collect(),
            source,
            tools: kbuild.into_iter().chain(libraries).collect(),
        }))
    }

    /// What is built with: the compiler's version, and what hashes the packages have.
    pub fn inputs(&self, architecture: Architecture, suite: &Suite, tools: &Suite) -> Result<Vec<String>> {
        let compiler = process::output(Command::new(architecture.compiler()).arg("-dumpfullversion"));
        let mut inputs = vec![compiler.unwrap_or_default()];
        inputs.extend(suite.hashes(&self.of_kernel())?);
        inputs.extend(tools.hashes(&self.tools)?);
        Ok(inputs)
    }

    fn of_kernel(&self) -> Vec<String> {
        self.headers.iter().chain([&self.source]).cloned().collect()
    }

    /// Builds the module in the folder `scratch`.
    pub fn build(&self, release: &Release, suite: &Suite, tools: &Suite, scratch: &Path) -> Result<PathBuf> {
        let architecture = release.architecture;
        let root = scratch.join("root");
        suite.unpack(&self.of_kernel(), &root)?;
        // Into the same folder: the headers link to the programs.
        tools.unpack(&self.tools, &root)?;
        let module = scratch.join("module");
        fs::create_dir(&module)?;
        extract(&root.join(format!("usr/src/{}.tar.xz", self.source)), &self.source, &module)?;
        fs::write(module.join("Makefile"), "obj-m := test_hmm.o\n")?;

        let kbuild = one(&root.join("usr/lib"), "linux-kbuild-")?;
        let libraries = format!("usr/lib/{}-linux-gnu", Architecture::native().machine());
        with_libraries(&kbuild, &root.join(libraries))?;
        let headers = root.join("usr/src").join(format!("linux-headers-{}", release.text));
        prepare(
            &headers,
            &kbuild,
            &one(&root.join("usr/src"), &format!("linux-headers-{}-common", release.version))?,
        )?;
        let compiler = scratch.join("compiler");
        executable(&compiler, &COMPILER.replace("COMPILER", &architecture.compiler()))?;
        let mut make = Command::new("make");
        make.env_remove("MAKEFLAGS").env_remove("MFLAGS").env_remove("CARGO_MAKEFLAGS");
        make.arg("-C").arg(&headers).arg(format!("ARCH={}", architecture.linux()));
        if !architecture.is_native() {
            make.arg(format!("CROSS_COMPILE={}", architecture.cross_prefix()));
        }
        make.arg(format!("M={}", module.display())).arg(format!("CC={}", compiler.display())).arg("modules");
        progress::run("building the module test_hmm", &mut make, &scratch.join("log"))?;
        let built = module.join("test_hmm.ko");
        ensure!(built.exists(), "make modules made no test_hmm.ko");
        Ok(built)
    }
}

/// Takes the driver's files out of the kernel's source; tar stops when it has them.
fn extract(archive: &Path, source: &str, folder: &Path) -> Result<()> {
    let mut tar = Command::new("tar");
    tar.args(["--extract", "--occurrence=1", "--strip-components=2", "--file"]).arg(archive);
    tar.arg("--directory").arg(folder).args(FILES.map(|file| format!("{source}/lib/{file}")));
    process::run("unpacking test_hmm from the kernel's source", &mut tar)
}

/// The one entry of a folder that begins so.
fn one(folder: &Path, beginning: &str) -> Result<PathBuf> {
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let mut entries = entries.filter_map(|entry| Some(entry.ok()?.path()));
    entries
        .find(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(beginning)))
        .with_context(|| format!("there is no {beginning}… in {}", folder.display()))
}

/// Debian's headers name each other by absolute paths; here they lie elsewhere.
fn prepare(headers: &Path, kbuild: &Path, common: &Path) -> Result<()> {
    for name in ["scripts", "tools"] {
        let link = headers.join(name);
        fs::remove_file(&link).with_context(|| link.display().to_string())?;
        symlink(kbuild.join(name), &link).with_context(|| link.display().to_string())?;
    }
    // With the kernel's BTF beside them, the module would get its own, by a pahole that is too old for this kernel.
    match fs::remove_file(headers.join("vmlinux")) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    let makefile = format!("KBUILD_OUTPUT={}\ninclude {}/Makefile\n", headers.display(), common.display());
    fs::write(headers.join("Makefile"), makefile).with_context(|| headers.display().to_string())
}

/// Programs that want a newer C library than this machine's are started with the one of their own suite.
fn with_libraries(folder: &Path, libraries: &Path) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        let metadata = fs::symlink_metadata(&path)?;
        if metadata.is_dir() {
            with_libraries(&path, libraries)?;
        } else if metadata.is_file() && metadata.permissions().mode() & 0o100 != 0 && !runs_here(&path)? {
            let mut program = path.clone().into_os_string();
            program.push(".program");
            let program = PathBuf::from(program);
            fs::rename(&path, &program)?;
            let (libraries, program) = (libraries.display(), program.display());
            let loader = Architecture::native().loader();
            executable(
                &path,
                &format!(
                    "#!/bin/sh\nexec {libraries}/{loader} --library-path {libraries} {program} \"$@\"\n"
                ),
            )?;
        }
    }
    Ok(())
}

/// Whether this machine's libraries will do for a program. Scripts run anywhere.
fn runs_here(program: &Path) -> Result<bool> {
    if !fs::read(program)?.starts_with(b"\x7fELF") {
        return Ok(true);
    }
    let output = Command::new("ldd").arg(program).stdin(Stdio::null()).output().context("ldd")?;
    let said = [output.stdout, output.stderr].concat();
    Ok(!String::from_utf8_lossy(&said).contains("not found"))
}

fn executable(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| path.display().to_string())?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).with_context(|| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_of_this_machine_are_left_alone() {
        let folder = tempfile::tempdir().expect("temporary folder");
        executable(&folder.path().join("script"), "#!/bin/sh\n").expect("written");
        fs::copy("/bin/true", folder.path().join("program")).expect("copied");
        with_libraries(folder.path(), Path::new("/nowhere")).expect("looked at");
        assert!(folder.path().join("program").exists() && !folder.path().join("program.program").exists());
        assert!(runs_here(&folder.path().join("script")).expect("read"));
    }

    #[test]
    fn the_compiler_gets_what_it_knows() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let script = folder.path().join("compiler");
        executable(&script, &COMPILER.replace("exec COMPILER", "printf '%s|'")).expect("written");
        let said = process::output(Command::new(&script).args(["-fmin-function-alignment=16", "a b", "-O2"]));
        assert_eq!(said.as_deref(), Some("-falign-functions=16|a b|-O2|"));
    }
}
