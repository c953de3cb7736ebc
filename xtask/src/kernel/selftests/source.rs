//! The kernel source that selftests are built from: 6.12's is installed here, that of a stock kernel is a package of
//! its suite as long as the suite has it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::architecture::Architecture;
use crate::archive::Suite;
use crate::kernel::inputs::{Hash, Inputs};
use crate::kernel::release::Release;
use crate::kernel::{HMM, source};
use crate::{cache, process};

/// The series whose source is installed.
const INSTALLED: &str = "6.12";

/// What the selftests of `mm` include, of 1.5 GiB: their own folder, the headers of all selftests, those of user space,
/// and the few of the kernel itself that they name.
const NEEDED: [&str; 7] = [
    "include/vdso",
    "lib/test_hmm_uapi.h",
    "mm/gup_test.h",
    "tools/arch/x86/include",
    "tools/include",
    "tools/testing/selftests/*.h",
    "tools/testing/selftests/mm",
];

/// The source for one kernel.
pub struct Source {
    /// The series that it is the source of: `7.3`.
    pub series: String,
    /// What tells it from others: Debian's version, or the hash of the package.
    pub version: String,
    /// Whether the kernel is of that series.
    pub is_own: bool,
    place: Place,
}

enum Place {
    Installed(Inputs),
    Archive(Suite, String),
}

impl Source {
    /// That of the kernel in an image; that of 6.12 if it cannot be had.
    pub fn of(name: &str, image: &Path) -> Result<Self> {
        let series = if name == HMM { Some(INSTALLED.into()) } else { series(image) };
        match series {
            Some(series) if series == INSTALLED => Self::installed(true),
            Some(series) => match Self::of_archive(&series)? {
                Some(source) => Ok(source),
                None => Self::installed(false),
            },
            None => Self::installed(false),
        }
    }

    fn installed(is_own: bool) -> Result<Self> {
        let inputs = Inputs::read(&crate::kernel::build::TEST_HMM)?;
        Ok(Self {
            series: INSTALLED.into(),
            version: inputs.source_version.clone(),
            is_own,
            place: Place::Installed(inputs),
        })
    }

    /// None where the archive has no source of that series: it keeps those of the newest ones.
    fn of_archive(series: &str) -> Result<Option<Self>> {
        let suite = Suite::newer_kernels(Architecture::native())?;
        let package = format!("linux-source-{series}");
        if !suite.names(&package)?.contains(&package) {
            return Ok(None);
        }
        let version =
            suite.packages(std::slice::from_ref(&package))?.remove(&package).unwrap_or_default().sha256;
        ensure!(!version.is_empty(), "the archive has no checksum for {package}");
        let place = Place::Archive(suite, package);
        Ok(Some(Self { series: series.into(), version, is_own: true, place }))
    }

    /// The tree with what the selftests need.
    pub fn unpacked(&self) -> Result<PathBuf> {
        let (suite, package) = match &self.place {
            Place::Installed(inputs) => return source::unpacked(inputs),
            Place::Archive(suite, package) => (suite, package),
        };
        let sources = cache::kernels().join("src");
        let mut hash = Hash::new();
        [self.version.as_str()].iter().chain(&NEEDED).for_each(|part| hash.add(part.as_bytes()));
        let tree = sources.join(format!("selftests-{}-{}", self.series, hash.name()));
        if tree.exists() {
            return Ok(tree);
        }
        fs::create_dir_all(&sources).with_context(|| sources.display().to_string())?;
        let scratch = tempfile::Builder::new().prefix(".unpacking-").tempdir_in(&sources)?;
        let (root, fresh) = (scratch.path().join("package"), scratch.path().join("tree"));
        suite.unpack(std::slice::from_ref(package), &root)?;
        fs::create_dir(&fresh)?;
        let mut tar = Command::new("tar");
        tar.args(["--extract", "--strip-components=1", "--wildcards", "--file"]);
        tar.arg(root.join(format!("usr/src/{package}.tar.xz"))).arg("--directory").arg(&fresh);
        tar.args(NEEDED.map(|path| format!("{package}/{path}")));
        process::run(&format!("unpacking the selftests of Linux {}", self.series), &mut tar)?;
        fs::rename(&fresh, &tree).with_context(|| tree.display().to_string())?;
        Ok(tree)
    }
}

/// The series of a kernel of Debian's, by where it keeps its images: `…/vmlinuz-RELEASE`, from 7.0 on
/// `…/modules/RELEASE/vmlinuz`. None for an image of anyone else's.
fn series(image: &Path) -> Option<String> {
    let name = image.file_name()?.to_str()?;
    let release = match name.strip_prefix("vmlinuz-") {
        Some(release) => release,
        None => image.parent()?.file_name()?.to_str()?,
    };
    Release::parse(release).map(|release| release.series())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_of_debians_has_a_series() {
        let of = |path: &str| series(Path::new(path));
        assert_eq!(of("/c/stock/7.3-1/usr/lib/modules/7.3.4+deb13-amd64/vmlinuz").as_deref(), Some("7.3"));
        assert_eq!(of("/c/stock/6.18-1/boot/vmlinuz-6.18.15+deb13-amd64").as_deref(), Some("6.18"));
        assert_eq!(of("/boot/vmlinuz-6.1.0-56-amd64").as_deref(), Some("6.1"));
        assert_eq!(of("/home/me/linux/arch/x86/boot/bzImage"), None);
        assert_eq!(of("vmlinuz"), None);
    }
}
