//! Other suites of the machine's own Debian archive, asked through an apt that keeps everything in our cache: the
//! machine's package sources, its lists and what it has installed stay as they are.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::architecture::Architecture;
use crate::prerequisite::Missing;
use crate::{cache, process};

/// What apt verifies the suites with (package debian-archive-keyring, which every Debian has).
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
/// How long an answer of the archive is good.
const FRESH: Duration = Duration::from_secs(24 * 60 * 60);

/// What the archive said, now or within a day; when it cannot be reached, what it said last.
pub struct Suite {
    folder: PathBuf,
    suites: &'static [&'static str],
    architecture: Architecture,
}

/// One version of a package.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// What its file hashes to.
    pub sha256: String,
    /// Names of the packages that it depends on.
    pub depends: Vec<String>,
}

impl Suite {
    /// Where Debian's newest kernels for a stable release are, and the libraries that their tools want.
    pub fn newer_kernels(architecture: Architecture) -> Result<Self> {
        let folder = cache::kernels().join(format!("apt-{}", architecture.debian()));
        Self::open(folder, &["trixie-backports", "trixie"], architecture).map_err(|error| {
            Missing::new(
                format!("Debian's newer kernels are not available: {error:#}"),
                "run apt-get update for details; without the archive, use another kernel: --kernel 6.12, or a bzImage",
            )
            .into()
        })
    }

    /// Newer programs that run on Debian 12.
    pub fn backports() -> Result<Self> {
        Self::open(cache::tools().join("apt"), &["bookworm-backports"], Architecture::Amd64)
    }

    /// Debian 12 itself, of another architecture.
    pub fn stable(architecture: Architecture) -> Result<Self> {
        let folder = cache::tools().join(format!("apt-{}", architecture.debian()));
        Self::open(folder, &["bookworm", "bookworm-security"], architecture)
    }

    /// Asks the archive, unless it was asked within a day.
    fn open(folder: PathBuf, suites: &'static [&'static str], architecture: Architecture) -> Result<Self> {
        let suite = Self { folder, suites, architecture };
        fs::create_dir_all(suite.folder.join("lists/partial"))?;
        fs::create_dir_all(suite.folder.join("archives/partial"))?;
        let lock = File::create(suite.folder.join("lock")).context("lock of the package lists")?;
        lock.lock().context("lock of the package lists")?;
        let stamp = suite.folder.join("asked");
        let age = fs::metadata(&stamp).and_then(|stamp| stamp.modified()).ok().map(|at| at.elapsed());
        if matches!(age, Some(Ok(age)) if age < FRESH) {
            return Ok(suite);
        }
        match suite.ask() {
            Ok(()) => fs::write(&stamp, "").with_context(|| stamp.display().to_string())?,
            Err(error) if age.is_some() => {
                eprintln!("xtask: {error:#}; using the archive's last answer");
            }
            Err(error) => return Err(error),
        }
        Ok(suite)
    }

    fn ask(&self) -> Result<()> {
        ensure!(Path::new(KEYRING).exists(), "there is no {KEYRING} to verify the archive with");
        let mut sources = String::new();
        for suite in self.suites {
            // Security updates are on a mirror of their own.
            let mirror = mirror(if suite.ends_with(SECURITY) { SECURITY } else { "" })?;
            let _ = writeln!(sources, "deb [signed-by={KEYRING} target=Packages] {mirror} {suite} main");
        }
        fs::write(self.folder.join("sources.list"), sources)?;
        let mut update = self.apt("apt-get");
        update
            .args(["--quiet=2", "--option=APT::Update::Error-Mode=any", "update"])
            .stdout(std::io::stderr());
        process::run(&format!("asking Debian's archive for {}", self.suites.join(" and ")), &mut update)
    }

    /// Names of all packages that begin so.
    pub fn names(&self, beginning: &str) -> Result<Vec<String>> {
        let names = process::output(self.apt("apt-cache").args(["pkgnames", beginning]))
            .context("apt-cache cannot list the packages of the archive")?;
        Ok(names.lines().map(str::to_owned).collect())
    }

    /// The newest version of each of these packages that there is.
    pub fn packages(&self, names: &[String]) -> Result<BTreeMap<String, Package>> {
        let text = process::output(self.apt("apt-cache").args(["show", "--no-all-versions"]).args(names))
            .with_context(|| format!("the archive has none of {}", names.join(", ")))?;
        Ok(parse(&text))
    }

    /// What the files of these packages hash to.
    pub fn hashes(&self, names: &[String]) -> Result<Vec<String>> {
        let mut hashes = Vec::new();
        for package in self.packages(names)?.into_values() {
            ensure!(!package.sha256.is_empty(), "the archive has no checksum for {}", package.name);
            hashes.push(package.sha256);
        }
        Ok(hashes)
    }

    /// Downloads packages and unpacks them below `folder`; apt verifies what it downloads.
    pub fn unpack(&self, names: &[String], folder: &Path) -> Result<()> {
        let debs = tempfile::Builder::new().prefix(".download-").tempdir_in(&self.folder)?;
        let mut download = self.apt("apt-get");
        download.args(["--quiet=2", "download"]).args(names).current_dir(debs.path());
        process::run(&format!("downloading {}", names.join(" ")), download.stdout(std::io::stderr()))?;
        for entry in fs::read_dir(debs.path())? {
            let deb = entry?.path();
            let mut unpack = Command::new("dpkg-deb");
            unpack.arg("--extract").arg(&deb).arg(folder);
            let status = unpack.status().context("dpkg-deb")?;
            ensure!(status.success(), "{} cannot be unpacked: {status}", deb.display());
        }
        Ok(())
    }

    fn apt(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let place = |name: &str| self.folder.join(name).display().to_string();
        for (option, value) in [
            ("Dir::State::Lists", place("lists")),
            ("Dir::State::status", "/dev/null".into()),
            ("Dir::Etc::sourcelist", place("sources.list")),
            ("Dir::Etc::sourceparts", "/dev/null".into()),
            // Files of the machine's cache, and what the machine prefers, are none of ours.
            ("Dir::Cache", self.folder.display().to_string()),
            ("Dir::Etc::preferences", "/dev/null".into()),
            ("Dir::Etc::preferencesparts", "/dev/null".into()),
            ("APT::Architecture", self.architecture.debian().into()),
            ("APT::Architectures", self.architecture.debian().into()),
            ("Acquire::Languages", "none".into()),
            // apt's own user cannot look into a home folder.
            ("APT::Sandbox::User", "root".into()),
        ] {
            command.arg(format!("--option={option}={value}"));
        }
        command
    }
}

/// What the names of suites with security updates end with.
const SECURITY: &str = "-security";

/// Where the machine gets its own Debian from, or the suite of it whose name ends so.
fn mirror(ending: &str) -> Result<String> {
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let codename = release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    let codename = codename.context("/etc/os-release names no Debian release")?.trim_matches('"');
    let suite = format!("{codename}{ending}");
    let targets = process::output(Command::new("apt-get").args([
        "indextargets",
        "--format",
        "$(REPO_URI) $(RELEASE) $(COMPONENT)",
        "Created-By: Packages",
    ]))
    .context("apt-get does not say what this machine's package sources are")?;
    mirror_of(&targets, &suite).with_context(|| {
        format!("this machine's package sources have no {suite} main to take the mirror from")
    })
}

fn mirror_of(targets: &str, suite: &str) -> Option<String> {
    targets.lines().find_map(|line| {
        let (uri, of) = line.split_once(' ')?;
        (of == format!("{suite} main")).then(|| uri.to_owned())
    })
}

/// What `apt-cache show` printed: paragraphs of `Field: value`.
fn parse(text: &str) -> BTreeMap<String, Package> {
    let mut packages = BTreeMap::new();
    for paragraph in text.split("\n\n") {
        let field = |name: &str| {
            paragraph.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).unwrap_or_default()
        };
        let depends = field("Depends").split([',', '|']).filter_map(|one| one.split_whitespace().next());
        let package = Package {
            name: field("Package").into(),
            version: field("Version").into(),
            sha256: field("SHA256").into(),
            depends: depends.map(str::to_owned).collect(),
        };
        if !package.name.is_empty() {
            packages.entry(package.name.clone()).or_insert(package);
        }
    }
    packages
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mirror_is_the_one_of_the_release_itself() {
        let targets = "https://a.example/debian-security/ bookworm-security main\n\
                       https://b.example/nodistro/ nodistro main\n\
                       https://c.example/debian/ bookworm contrib\n\
                       https://c.example/debian/ bookworm main\n";
        assert_eq!(mirror_of(targets, "bookworm").as_deref(), Some("https://c.example/debian/"));
        assert_eq!(mirror_of(targets, "trixie"), None);
    }

    #[test]
    fn paragraphs_are_packages() {
        let text = "Package: linux-headers-7.3.4+deb13-amd64\n\
                    Depends: linux-headers-7.3.4+deb13-common (= 7.3.4-1), linux-kbuild-7.3.4+deb13, gcc-14 | gcc\n\
                    Description: headers\n of the kernel\nSHA256: aa\n\n\
                    Package: b\nSHA256: bb\n";
        let packages = parse(text);
        let headers = &packages["linux-headers-7.3.4+deb13-amd64"];
        assert_eq!(headers.sha256, "aa");
        assert_eq!(
            headers.depends,
            ["linux-headers-7.3.4+deb13-common", "linux-kbuild-7.3.4+deb13", "gcc-14", "gcc"]
        );
        assert_eq!(packages["b"].sha256, "bb");
        assert_eq!(parse(""), BTreeMap::new());
    }
}
