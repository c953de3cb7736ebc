//! The kernels that guests boot.

mod build;
mod inputs;
mod progress;
pub mod selftests;
mod source;

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::prerequisite::Missing;

pub use build::ensure as ensure_hmm;

/// Names of the kernels that the tests know.
pub const NAMES: [&str; 3] = ["6.1", "6.12", HMM];
/// The kernel with `test_hmm` that is built here.
pub const HMM: &str = "6.12-hmm";

/// The image of a kernel: `6.1` and `6.12` are Debian's newest in `/boot`, `6.12-hmm` is built by
/// `cargo xtask setup`, anything else is the path of a bzImage. Builds nothing.
pub fn locate(name: &str) -> Result<PathBuf> {
    match name {
        "6.1" | "6.12" => newest_stock(name)?.ok_or_else(|| {
            Missing::new(
                format!("no Debian kernel {name} in /boot"),
                format!("cargo xtask setup, or apt-get install {}", stock_package(name)),
            )
            .into()
        }),
        HMM => build::cached()?.ok_or_else(|| {
            Missing::new(format!("the kernel {HMM} is not built"), "cargo xtask setup (about 8 minutes)")
                .into()
        }),
        path => {
            let image = fs::canonicalize(path).with_context(|| {
                format!("kernel {path:?}: neither one of {} nor a file", NAMES.join(", "))
            })?;
            Ok(image)
        }
    }
}

/// Debian's package that always depends on the newest image.
fn stock_package(name: &str) -> &'static str {
    if name == "6.1" { "linux-image-amd64" } else { "linux-image-6.12-amd64" }
}

fn newest_stock(series: &str) -> Result<Option<PathBuf>> {
    let mut best: Option<(Vec<u64>, PathBuf)> = None;
    for entry in fs::read_dir("/boot").context("/boot")? {
        let path = entry.context("/boot")?.path();
        let Some(release) = path.file_name().and_then(|name| name.to_str()?.strip_prefix("vmlinuz-")) else {
            continue;
        };
        if !is_stock(release, series) {
            continue;
        }
        let version = numbers(release);
        if best.as_ref().is_none_or(|(newest, _)| *newest < version) {
            best = Some((version, path));
        }
    }
    Ok(best.map(|(_, path)| path))
}

/// Debian's ordinary flavour of a series: `6.1.0-56-amd64`, `6.12.117+deb12-amd64`; no cloud or rt kernel.
fn is_stock(release: &str, series: &str) -> bool {
    let in_series = release.strip_prefix(series).is_some_and(|rest| rest.starts_with('.'));
    in_series && release.ends_with("-amd64") && !release.contains("cloud") && !release.contains("rt")
}

/// The numbers of a release, for comparing.
fn numbers(release: &str) -> Vec<u64> {
    release.split(|letter: char| !letter.is_ascii_digit()).filter_map(|part| part.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stock_kernels_are_told_from_others() {
        assert!(is_stock("6.1.0-56-amd64", "6.1"));
        assert!(is_stock("6.12.117+deb12-amd64", "6.12"));
        assert!(!is_stock("6.12.117+deb12-amd64", "6.1"));
        assert!(!is_stock("6.1.0-56-rt-amd64", "6.1"));
        assert!(!is_stock("6.12.117+deb12-cloud-amd64", "6.12"));
    }

    #[test]
    fn the_newest_counts_by_number() {
        assert!(numbers("6.1.0-9-amd64") < numbers("6.1.0-56-amd64"));
    }

    #[test]
    fn an_unknown_name_is_an_error() {
        let error = locate("6.99").expect_err("there is no such kernel").to_string();
        assert!(error.contains("6.12-hmm"), "{error}");
    }
}
