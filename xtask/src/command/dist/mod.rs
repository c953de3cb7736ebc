//! `cargo xtask dist`: what is released.

mod licences;
mod package;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use clap::Args;

use crate::architecture::Architecture;
use crate::setup::{self, Group};
use crate::{process, workspace};

/// Options of `dist`.
#[derive(Args, Debug)]
pub struct Options {
    /// Only this architecture
    #[arg(long)]
    arch: Option<Architecture>,
}

/// Builds for every architecture that can be built for here: an archive and a Debian package of each, and the
/// checksums of all.
pub fn run(options: &Options) -> Result<u8> {
    setup::ensure(&[Group::Toolchain])?;
    let buildable = |one: &Architecture| one.is_native() || *one == Architecture::Arm64;
    let all = Architecture::ALL.into_iter().filter(buildable);
    let wanted: Vec<Architecture> =
        all.filter(|one| options.arch.is_none_or(|wanted| wanted == *one)).collect();
    ensure!(!wanted.is_empty(), "this machine cannot build for that architecture");
    if wanted.iter().any(|one| !one.is_native()) {
        setup::ensure(&[Group::Arm64])?;
    }
    let out = workspace::target().join("dist");
    if out.exists() {
        fs::remove_dir_all(&out).with_context(|| format!("cannot remove {}", out.display()))?;
    }
    fs::create_dir_all(&out)?;
    let programs: Vec<(Architecture, PathBuf)> = wanted
        .into_iter()
        .map(|architecture| Ok((architecture, workspace::build_static(architecture)?)))
        .collect::<Result<_>>()?;
    let generated = tempfile::tempdir()?;
    let native = programs.iter().find(|(architecture, _)| architecture.is_native());
    match native {
        Some((_, program)) => generate(program, generated.path())?,
        None => generate(&workspace::build_static(Architecture::native())?, generated.path())?,
    }
    let mut files = Vec::new();
    for (architecture, program) in programs {
        files.extend(ship(architecture, &program, generated.path(), &out)?);
    }
    checksums(&out, &files)?;
    println!("{}", out.display());
    Ok(0)
}

/// Manual pages and completions, by a program that runs here: they are the same for all.
fn generate(program: &Path, folder: &Path) -> Result<()> {
    let (man, completions) = (folder.join("man"), folder.join("completions"));
    fs::create_dir(&man)?;
    fs::create_dir(&completions)?;
    process::run("manual pages", Command::new(program).arg("man").arg(&man))?;
    for (shell, file, _) in package::SHELLS {
        let output = Command::new(program).args(["completions", shell]).output()?;
        ensure!(
            output.status.success(),
            "completions of {shell}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        fs::write(completions.join(file), output.stdout)?;
    }
    Ok(())
}

/// The archive and the package for one architecture.
fn ship(architecture: Architecture, program: &Path, generated: &Path, out: &Path) -> Result<[PathBuf; 2]> {
    let version = env!("CARGO_PKG_VERSION");
    let place = tempfile::tempdir()?;
    let name = format!("rmapscope-{version}-{}-linux", architecture.machine());
    let folder = place.path().join(&name);
    let licences = licences::text(&architecture.target())?;
    package::folder(&folder, program, generated, &licences)?;
    let archive = out.join(format!("{name}.tar.gz"));
    let mut tar = Command::new("tar");
    // The same archive from the same source: neither today's date nor this machine's users.
    tar.args(["--sort=name", "--owner=0", "--group=0", "--numeric-owner"])
        .arg(format!("--mtime=@{}", committed()))
        .arg("--use-compress-program=gzip -9n")
        .arg("--create")
        .arg("--file")
        .arg(&archive)
        .arg("--directory")
        .arg(place.path())
        .arg(&name);
    process::run("packing the archive", &mut tar)?;
    Ok([archive, package::debian(&folder, architecture, version, out)?])
}

/// When the source was committed, in seconds; 0 where it is in no repository.
pub(super) fn committed() -> String {
    let mut git = Command::new("git");
    git.args(["log", "-1", "--format=%ct"]).current_dir(workspace::root());
    process::output(&mut git).unwrap_or_else(|| "0".into())
}

/// `SHA256SUMS` of the files, as `sha256sum --check` reads it.
fn checksums(out: &Path, files: &[PathBuf]) -> Result<()> {
    let names = files.iter().filter_map(|file| file.file_name());
    let mut command = Command::new("sha256sum");
    let sums = process::output(command.args(names).current_dir(out)).context("sha256sum failed")?;
    Ok(fs::write(out.join("SHA256SUMS"), sums + "\n")?)
}
