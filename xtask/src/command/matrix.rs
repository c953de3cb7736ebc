//! `cargo xtask matrix`: what each kernel shows, in one table, from recordings of the demonstration workload.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;

use super::demo;
use crate::setup::{self, Group};
use crate::{kernel, workspace};

mod document;
mod families;

use document::Document;

/// The kernels of the table if none is named.
const KERNELS: [&str; 9] =
    ["6.1", "6.12", kernel::HMM, "6.16", "6.18", "7.3", "7.3-rt", kernel::RESTRICTED, "7.3-arm64"];

/// Options of `matrix`.
#[derive(Args, Debug)]
pub struct Options {
    /// Only this kernel, by name or path of a bzImage; other rows are kept (may be given more than once)
    #[arg(long)]
    kernel: Vec<String>,
    /// The document
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Seconds for each kernel, boot included
    #[arg(long, default_value_t = 600, value_name = "SECONDS")]
    timeout: u64,
}

/// Records on one kernel after the other; the document is written after each. Exit code 1 when one of them could
/// not be recorded.
pub fn run(options: &Options) -> Result<u8> {
    setup::ensure(&[Group::Toolchain, Group::Guest])?;
    let programs = workspace::build_programs(workspace::Profile::Test)?;
    let path = options.output.clone().unwrap_or_else(|| workspace::root().join("docs/kernels.md"));
    let mut document = Document::read(&path)?;
    let names: Vec<&str> = if options.kernel.is_empty() {
        KERNELS.to_vec()
    } else {
        options.kernel.iter().map(String::as_str).collect()
    };
    let mut failed = false;
    for name in names {
        eprintln!("xtask: {name}");
        let folder = workspace::target().join("matrix");
        let recorded = kernel::ensure(name)
            .and_then(|image| demo::record(image, &folder, Duration::from_secs(options.timeout)));
        match recorded.and_then(|demo| families::of(&programs.join("rmapscope"), &demo)) {
            Ok((release, rows)) => {
                // A path is of this machine alone.
                let name = if Path::new(name).is_file() { release.as_str() } else { name };
                document.set(name, rows.iter().map(|row| row.line(name, &release)).collect());
                fs::write(&path, document.to_string()).with_context(|| path.display().to_string())?;
            }
            Err(error) => {
                eprintln!("xtask: {name}: {error:#}");
                failed = true;
            }
        }
    }
    print!("{document}");
    Ok(u8::from(failed))
}
