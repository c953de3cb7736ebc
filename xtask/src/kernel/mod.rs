//! The kernels that guests boot.

mod build;
mod guest_modules;
mod inputs;
mod progress;
mod release;
pub mod selftests;
mod source;
mod stock;
mod test_hmm;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::prerequisite::Missing;
use crate::setup::{self, Group};
use release::{Release, ShortName};

pub use guest_modules::of_image as modules_of;

/// The image of `6.12-hmm`, built if it must be.
pub fn ensure_hmm() -> Result<PathBuf> {
    build::ensure(&build::TEST_HMM)
}

/// The kernels that `cargo xtask test` boots if none is named, and for what (the guest tests' configurations). A
/// kernel that is named gets every configuration; all of them on every kernel take hours in emulated guests.
pub const TESTED: [(&str, Option<&str>); 4] = [
    (LATEST, Some("recordings,verdicts,many-cpus")),
    (HMM, Some("mutants")),
    (OLDEST, Some("recordings,verdicts")),
    (RESTRICTED, None),
];
/// The oldest of them, Debian 12's own.
pub const OLDEST: &str = "6.1";
/// The newest kernel of Debian's archive, with `test_hmm` as a module.
pub const LATEST: &str = "latest";
/// The kernel with `test_hmm` that is built here.
pub const HMM: &str = "6.12-hmm";

/// The kernel for 64-bit Arm with restricted pools and `test_hmm` that is built here.
pub const RESTRICTED: &str = "6.12-restricted-arm64";
/// The same with pages of 16 KiB.
pub const PAGES_16K: &str = "6.12-16k-arm64";
/// The same with pages of 64 KiB.
pub const PAGES_64K: &str = "6.12-64k-arm64";
/// The newest kernel of Debian's archive for 64-bit Arm.
pub const LATEST_ARM64: &str = "latest-arm64";

/// What `--kernel` takes, for people.
pub const KINDS: &str = "6.1, 6.12, 6.12-hmm, 6.12-restricted-arm64, 6.12-16k-arm64, 6.12-64k-arm64, a newer one of \
                         Debian's (6.18, 7.3, 7.3-rt, latest, 6.12-arm64, latest-arm64, …) or the path of an image";

/// The image of a kernel, made ready: `6.1` and `6.12` are Debian 12's own, installed in `/boot`; `6.12-hmm` is
/// built here; `7.3`, `7.3-rt` or `latest` is unpacked from a newer suite of Debian's archive; anything else is the
/// path of a bzImage.
pub fn ensure(name: &str) -> Result<PathBuf> {
    match name {
        "6.1" | "6.12" => installed(name),
        HMM => {
            setup::ensure(&[Group::Kernel])?;
            ensure_hmm()
        }
        RESTRICTED | PAGES_16K | PAGES_64K => {
            setup::ensure(&[Group::Kernel, Group::Arm64])?;
            build::ensure(match name {
                PAGES_16K => &build::SIXTEEN_KIB,
                PAGES_64K => &build::SIXTY_FOUR_KIB,
                _ => &build::RESTRICTED_POOLS,
            })
        }
        other => match ShortName::parse(other) {
            Some(name) => stock::ensure(&name),
            None => fs::canonicalize(other)
                .with_context(|| format!("kernel {other:?}: neither a file nor one of {KINDS}")),
        },
    }
}

/// The newest kernel of Debian's archive; where that cannot be had, one that can, and the reason is said.
pub fn ensure_latest() -> Result<PathBuf> {
    let error = match ensure(LATEST) {
        Ok(image) => return Ok(image),
        Err(error) => error,
    };
    eprintln!("xtask: the newest kernel is not available: {error:#}");
    if let Some(image) = build::built(&build::TEST_HMM) {
        eprintln!("xtask: using {HMM} instead, which is built");
        return Ok(image);
    }
    eprintln!("xtask: using 6.12 instead, without test_hmm: no device-exclusive pages, no device memory");
    ensure("6.12")
}

/// The configuration beside an image, where it was kept.
pub fn configuration_of(image: &Path) -> Option<PathBuf> {
    Some(image.parent()?.join("config")).filter(|file| file.is_file())
}

/// Whether there is `test_hmm` on the kernel of an image: built in, or among its modules.
pub fn has_test_driver(image: &Path) -> bool {
    let Some(folder) = image.parent() else { return false };
    let config = configuration_of(image).and_then(|file| fs::read_to_string(file).ok()).unwrap_or_default();
    config.lines().any(|line| line == "CONFIG_TEST_HMM=y") || folder.join(test_hmm::PLACE).exists()
}

/// The image in `/boot`, installed if there is none.
fn installed(series: &str) -> Result<PathBuf> {
    if let Some(image) = newest_installed(series)? {
        return Ok(image);
    }
    setup::ensure(&[Group::Installed])?;
    newest_installed(series)?.ok_or_else(|| {
        let package = if series == "6.1" { "linux-image-amd64" } else { "linux-image-6.12-amd64" };
        Missing::new(format!("no Debian kernel {series} in /boot"), format!("apt-get install {package}"))
            .into()
    })
}

fn newest_installed(series: &str) -> Result<Option<PathBuf>> {
    let name = ShortName::parse(series).context("a series")?;
    let mut releases = Vec::new();
    for entry in fs::read_dir("/boot").context("/boot")? {
        let file = entry.context("/boot")?.file_name();
        releases.extend(file.to_str().and_then(|file| Release::parse(file.strip_prefix("vmlinuz-")?)));
    }
    Ok(name.newest(releases).map(|release| PathBuf::from(format!("/boot/vmlinuz-{}", release.text))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_name_is_an_error() {
        let error = ensure("bzImage-of-nobody").expect_err("there is no such kernel").to_string();
        assert!(error.contains("6.12-hmm"), "{error}");
    }
}
