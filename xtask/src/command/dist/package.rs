//! What is shipped, as a folder, and the Debian package of it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::architecture::Architecture;
use crate::{process, workspace};

/// Documents of the root of the source tree.
const DOCUMENTS: [&str; 5] =
    ["README.md", "CHANGELOG.md", "LICENSE-APACHE", "LICENSE-MIT", "LICENSE-GPL-2.0"];

/// Shells, the file of each, and where Debian's look for it.
pub const SHELLS: [(&str, &str, &str); 3] = [
    ("bash", "rmapscope.bash", "usr/share/bash-completion/completions/rmapscope"),
    ("zsh", "_rmapscope", "usr/share/zsh/vendor-completions/_rmapscope"),
    ("fish", "rmapscope.fish", "usr/share/fish/vendor_completions.d/rmapscope.fish"),
];

/// Copies a file, making the folders on its way; what is not a program can be read by all and run by nobody.
pub fn put(from: &Path, to: &Path, mode: u32) -> Result<()> {
    fs::create_dir_all(to.parent().context("a file lies in a folder")?)?;
    fs::copy(from, to).with_context(|| format!("cannot copy {}", from.display()))?;
    Ok(fs::set_permissions(to, fs::Permissions::from_mode(mode))?)
}

/// The folder that the archive has: the program, and in folders what was generated, and the documents.
pub fn folder(folder: &Path, program: &Path, generated: &Path, licences: &str) -> Result<()> {
    put(program, &folder.join("rmapscope"), 0o755)?;
    for name in DOCUMENTS {
        put(&workspace::root().join(name), &folder.join(name), 0o644)?;
    }
    copy_all(&workspace::root().join("docs"), &folder.join("docs"))?;
    copy_all(generated, folder)?;
    Ok(fs::write(folder.join("LICENSES-OF-DEPENDENCIES"), licences)?)
}

/// Copies a folder.
fn copy_all(from: &Path, to: &Path) -> Result<()> {
    for entry in fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_all(&entry.path(), &to)?;
        } else {
            put(&entry.path(), &to, 0o644)?;
        }
    }
    Ok(())
}

/// Makes the Debian package of such a folder. It depends on nothing: the program is static.
pub fn debian(folder: &Path, architecture: Architecture, version: &str, out: &Path) -> Result<PathBuf> {
    let root = tempfile::tempdir()?;
    // Readable by all, as every folder of a package.
    fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755))?;
    let at = |path: &str| root.path().join(path);
    put(&folder.join("rmapscope"), &at("usr/bin/rmapscope"), 0o755)?;
    copy_all(&folder.join("man"), &at("usr/share/man/man1"))?;
    for (_, file, place) in SHELLS {
        put(&folder.join("completions").join(file), &at(place), 0o644)?;
    }
    let documents = at("usr/share/doc/rmapscope");
    copy_all(&folder.join("docs"), &documents.join("docs"))?;
    put(&folder.join("README.md"), &documents.join("README.md"), 0o644)?;
    put(&folder.join("CHANGELOG.md"), &documents.join("changelog"), 0o644)?;
    let mut copyright = String::new();
    for name in
        DOCUMENTS.into_iter().filter(|name| name.starts_with("LICENSE")).chain(["LICENSES-OF-DEPENDENCIES"])
    {
        copyright += &format!("{name}\n\n{}\n", fs::read_to_string(folder.join(name))?);
    }
    fs::write(documents.join("copyright"), copyright)?;
    compress(&at("usr/share/man/man1"))?;
    process::run("gzip", Command::new("gzip").arg("-9n").arg(documents.join("changelog")))?;
    let size = process::output(Command::new("du").arg("-ks").arg(root.path()));
    let size = size.and_then(|size| Some(size.split_whitespace().next()?.to_owned())).context("du")?;
    fs::create_dir_all(at("DEBIAN"))?;
    fs::write(at("DEBIAN/control"), control(architecture, version, &size))?;
    let package = out.join(format!("rmapscope_{version}_{}.deb", architecture.debian()));
    let mut build = Command::new("dpkg-deb");
    // xz, which every dpkg reads.
    build.env("SOURCE_DATE_EPOCH", super::committed());
    build.args(["--root-owner-group", "-Zxz", "--build"]).arg(root.path()).arg(&package);
    process::run("building the Debian package", build.stdout(std::io::stderr()))?;
    Ok(package)
}

/// Manual pages are compressed in Debian.
fn compress(folder: &Path) -> Result<()> {
    let pages = fs::read_dir(folder)?.collect::<std::io::Result<Vec<_>>>()?;
    process::run("gzip", Command::new("gzip").arg("-9n").args(pages.iter().map(|page| page.path())))
}

fn control(architecture: Architecture, version: &str, size: &str) -> String {
    format!(
        "Package: rmapscope\n\
         Version: {version}\n\
         Architecture: {}\n\
         Maintainer: rmapscope maintainers <maintainers@rmapscope.invalid>\n\
         Installed-Size: {size}\n\
         Section: devel\n\
         Priority: optional\n\
         Description: watch who owns a page of memory and why\n \
         Device-exclusive access, reverse-map walks, migration entries, mlock, page-table\n \
         copies at fork and swiotlb bounces of a live Linux kernel: recorded by eBPF,\n \
         summed up, and held to the kernel's own rules.\n",
        architecture.debian()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_description_has_no_empty_line() {
        let control = control(Architecture::Arm64, "1.2.3", "10");
        assert!(control.contains("\nArchitecture: arm64\n") && control.ends_with("rules.\n"), "{control}");
        let description = control.lines().skip_while(|line| !line.starts_with("Description: ")).skip(1);
        assert!(
            description.clone().count() == 3 && description.into_iter().all(|line| line.starts_with(" "))
        );
    }
}
