//! `cargo xtask fixtures`: records the trace files that the tests of reports and exports read.
//!
//! They are kept in the repository, because a report is to be tested without a guest. After a change of the trace
//! file's format, or of the workloads, this records them anew, and writes down where they come from.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::guest::{Disk, Guest, quote};
use crate::setup::{self, Group};
use crate::{kernel, process, workspace};

/// Options of `fixtures`.
#[derive(Args, Debug)]
pub struct Options {
    /// Record on this kernel only: 6.1, 6.12 or 6.12-hmm (may be given more than once)
    #[arg(long, value_parser = KERNELS)]
    kernel: Vec<String>,
}

/// One trace file: what its name ends with, the options of `record`, the workload.
struct Fixture {
    name: &'static str,
    options: &'static str,
    workload: &'static str,
}

/// Everything once with all that can be recorded, and the same workload twice for comparisons.
const FIXTURES: [Fixture; 3] = [
    Fixture { name: "demo", options: "-g -l --per-vma", workload: "demo" },
    Fixture { name: "pageout-1", options: "-l", workload: "pageout --pages 1024 --rounds 2" },
    Fixture { name: "pageout-2", options: "-l", workload: "pageout --pages 1024 --rounds 2" },
];

const KERNELS: [&str; 3] = ["6.1", "6.12", kernel::HMM];

/// Seconds for one kernel, boot included.
const TIMEOUT: u64 = 300;

/// Records; what was recorded before stays for kernels that are not chosen.
pub fn run(options: &Options) -> Result<u8> {
    setup::ensure(&[Group::Toolchain, Group::Guest, Group::Kernel])?;
    let binaries = workspace::build_programs(workspace::Profile::Test)?;
    let folder = workspace::root().join("tests/fixtures/traces");
    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let recorded = workspace::target().join("fixtures");
    fs::create_dir_all(&recorded).with_context(|| recorded.display().to_string())?;
    for name in KERNELS {
        if options.kernel.is_empty() || options.kernel.iter().any(|kernel| kernel == name) {
            record(name, &binaries, &recorded)?;
            for fixture in &FIXTURES {
                let file = file_name(name, fixture);
                fs::copy(recorded.join(&file), folder.join(&file)).with_context(|| file.clone())?;
            }
        }
    }
    let provenance = provenance(&binaries.join("rmapscope"), &folder)?;
    fs::write(folder.join("README.md"), provenance).context("README.md")?;
    Ok(0)
}

fn file_name(kernel: &str, fixture: &Fixture) -> String {
    let kernel = if kernel == kernel::HMM { "hmm" } else { kernel };
    format!("{kernel}-{}.data", fixture.name)
}

fn record(name: &str, binaries: &Path, folder: &Path) -> Result<()> {
    let image = kernel::ensure(name)?;
    // The first page out sets up the swap, so that the recordings begin alike.
    let mut script = String::from("set -e; cd /tmp; rmapscope-workload pageout --pages 1 >/dev/null");
    for fixture in &FIXTURES {
        let file = folder.join(file_name(name, fixture));
        let _ = fs::remove_file(&file);
        let file = quote(&file.to_string_lossy());
        let Fixture { options, workload, .. } = fixture;
        let _ = write!(script, "; {} >/dev/null", line(options, workload, &file));
    }
    eprintln!("xtask: recording on {} (about a minute)", image.display());
    let outcome = Guest::new(image)
        .cpus(2)
        .memory("1G")
        .numa_nodes(2)
        .append("swiotlb=force")
        .disk(Disk::Nvme)
        .rwdir(folder)
        .path(binaries)
        .timeout(Duration::from_secs(TIMEOUT))
        .live(true)
        .run(&script)?;
    if outcome.status != 0 {
        bail!("the recording on {name} ended with status {}", outcome.status);
    }
    eprintln!("xtask: the guest ran for {}", process::duration(outcome.elapsed));
    Ok(())
}

fn line(options: &str, workload: &str, file: &str) -> String {
    format!("rmapscope record -q {options} -o {file} -- rmapscope-workload {workload}")
}

/// What each file says about itself, and how it was made.
fn provenance(program: &Path, folder: &Path) -> Result<String> {
    let mut text = String::from(
        "# Recorded traces\n\n\
         Real recordings, made by `cargo xtask fixtures` in guests (2 CPUs emulated by QEMU, 1 GiB, two NUMA nodes,\n\
         `swiotlb=force`, an NVMe disk, swap on zram), read by the tests of reports, exports and comparisons.\n\n\
         | file | bytes | events | kernel | recorded with |\n| --- | --- | --- | --- | --- |\n",
    );
    for name in KERNELS {
        for fixture in &FIXTURES {
            let file = file_name(name, fixture);
            let path: PathBuf = folder.join(&file);
            let size = fs::metadata(&path).with_context(|| path.display().to_string())?.len();
            let header = said(program, &["script", "-q", "--header", "--stats", "-i"], &path)?;
            let value = |title: &str| {
                let line = header.lines().find_map(|line| line.strip_prefix("# ")?.strip_prefix(title));
                line.unwrap_or("?").trim().to_owned()
            };
            let counts = header.lines().filter(|line| !line.starts_with('#')).skip(1);
            let events: u64 =
                counts.filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok()).sum();
            let command = line(fixture.options, fixture.workload, "FILE");
            let _ = writeln!(text, "| {file} | {size} | {events} | {} | `{command}` |", value("kernel"));
        }
    }
    Ok(text)
}

fn said(program: &Path, arguments: &[&str], file: &Path) -> Result<String> {
    let output = Command::new(program).args(arguments).arg(file).output().context("rmapscope")?;
    if !output.status.success() {
        bail!("{}: {}", file.display(), String::from_utf8_lossy(&output.stderr).trim());
    }
    String::from_utf8(output.stdout).context("rmapscope's output")
}
