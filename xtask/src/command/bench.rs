//! `cargo xtask bench`: what tracing costs, counted in instructions.
//!
//! One guest, one CPU, whose clock counts instructions. Every tracer watches `try_to_unmap` while the same
//! work pages out the same memory; its reader runs on the same CPU.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use serde::Serialize;

use crate::guest::{Accelerator, Guest, quote};
use crate::setup::{self, Group};
use crate::{kernel, process, workspace};

mod figures;
mod report;
mod seen;
mod subject;

use figures::Figures;
use subject::{SUBJECTS, Subject};

/// Options of `bench`.
#[derive(Args, Debug)]
pub struct Options {
    /// Kernel to boot: 6.12-hmm, 6.1, 6.12, or the path of a bzImage
    #[arg(long, default_value = kernel::HMM)]
    kernel: String,
    /// Pages of each round
    #[arg(long, default_value_t = 8192, value_name = "PAGES")]
    pages: u64,
    /// Rounds of each run
    #[arg(long, default_value_t = 8)]
    rounds: u32,
    /// How often everything is measured
    #[arg(long, default_value_t = 2)]
    passes: u32,
    /// Few pages, once: minutes less; figures are rough, above all `after` and with it `all`
    #[arg(long, conflicts_with_all = ["pages", "rounds", "passes"])]
    quick: bool,
    /// Only what has one of these words in its name
    #[arg(long, value_name = "WORD[,…]", value_delimiter = ',')]
    only: Vec<String>,
    /// Do not build rmapscope first; what is there is measured
    #[arg(long)]
    no_build: bool,
    /// Seconds for the whole run, boot included
    #[arg(long, default_value_t = 3600, value_name = "SECONDS")]
    timeout: u64,
}

/// How much is done.
#[derive(Clone, Copy, Debug, Serialize)]
struct Size {
    pages: u64,
    rounds: u32,
    passes: u32,
}

/// The state of the source tree; unknown without git.
#[derive(Debug, Serialize)]
struct Source {
    commit: Option<String>,
    /// Whether the tree differs from the commit.
    modified: Option<bool>,
}

impl Source {
    fn now() -> Self {
        let git = |arguments: &[&str]| {
            process::output(Command::new("git").current_dir(workspace::root()).args(arguments))
        };
        Self {
            commit: git(&["rev-parse", "HEAD"]),
            modified: git(&["status", "--porcelain"]).map(|changes| !changes.is_empty()),
        }
    }
}

/// What the figures come from.
#[derive(Debug, Serialize)]
struct Inputs {
    date: String,
    #[serde(flatten)]
    source: Source,
    /// Release, version and command line, as the guest says.
    kernel: Vec<String>,
    image: String,
    #[serde(flatten)]
    size: Size,
    /// Version by program; nothing for one that is not there.
    versions: BTreeMap<&'static str, Option<String>>,
}

#[derive(Serialize)]
struct Document<'a> {
    inputs: Inputs,
    unit: &'static str,
    #[serde(flatten)]
    figures: &'a Figures,
}

/// Measures, prints the table and writes the JSON file.
pub fn run(options: &Options) -> Result<u8> {
    let size = options.size()?;
    let chosen = choose(&options.only)?;
    setup::ensure(&[Group::Toolchain, Group::Guest])?;
    if let Err(error) = setup::ensure(&[Group::Bench]) {
        eprintln!("xtask: some tracers cannot be compared: {error:#}");
    }
    let image = kernel::ensure(&options.kernel)?;
    // Before the build: the source tree may change while the guest runs.
    let source = Source::now();
    let binaries = if options.no_build {
        workspace::Profile::Release.folder()
    } else {
        workspace::build_programs(workspace::Profile::Release)?
    };
    let folder = workspace::target().join("bench");
    let programs = keep_programs(&binaries, &folder)?;
    let program = programs.join("rmapscope");
    let script = folder.join("measure.sh");
    fs::write(&script, shell(&folder, size, &chosen)).with_context(|| script.display().to_string())?;

    eprintln!(
        "xtask: measuring {} ways on {}, {} pages in each run, {} passes",
        chosen.len(),
        image.display(),
        size.pages * u64::from(size.rounds),
        size.passes
    );
    let outcome = Guest::new(&image)
        .accelerator(Accelerator::InstructionCount)
        .memory("1G")
        .swap("256M")
        .rwdir(&folder)
        .path(&programs)
        .timeout(Duration::from_secs(options.timeout))
        .live(true)
        .run(&format!("bash {}", quote(&script.to_string_lossy())))?;
    eprintln!("xtask: the guest ran for {}", process::duration(outcome.elapsed));
    if outcome.status != 0 {
        bail!("measuring ended with status {}", outcome.status);
    }
    let figures = figures::read(&folder, &program, &chosen)?;
    print!("{}", report::Table(&figures));
    let inputs = inputs(source, &folder, &image, &program, size)?;
    let json = folder.join("bench.json");
    let document = Document { inputs, unit: "guest instructions a page", figures: &figures };
    fs::write(&json, serde_json::to_string_pretty(&document)? + "\n")
        .with_context(|| json.display().to_string())?;
    eprintln!("xtask: figures with their inputs: {}", json.display());
    Ok(0)
}

/// Empties `folder` and copies the programs into it: the guest runs them from this machine's file system,
/// and a build meanwhile must not change what is measured.
fn keep_programs(binaries: &Path, folder: &Path) -> Result<PathBuf> {
    let _ = fs::remove_dir_all(folder);
    let programs = folder.join("bin");
    fs::create_dir_all(&programs).with_context(|| programs.display().to_string())?;
    for name in ["rmapscope", "rmapscope-workload"] {
        let from = binaries.join(name);
        fs::copy(&from, programs.join(name))
            .with_context(|| format!("{} (leave --no-build out)", from.display()))?;
    }
    Ok(programs)
}

impl Options {
    fn size(&self) -> Result<Size> {
        if self.quick {
            return Ok(Size { pages: 4096, rounds: 4, passes: 1 });
        }
        ensure!(
            self.pages >= 2 && self.rounds >= 1 && self.passes >= 1,
            "at least 2 pages, 1 round and 1 pass are needed"
        );
        ensure!(self.pages <= 32_768, "the guest has room for 32768 pages");
        Ok(Size { pages: self.pages, rounds: self.rounds, passes: self.passes })
    }
}

/// The subjects whose names hold one of the words.
fn choose(words: &[String]) -> Result<Vec<&'static Subject>> {
    let wanted =
        |subject: &&Subject| words.is_empty() || words.iter().any(|word| subject.name.contains(word));
    let chosen: Vec<_> = SUBJECTS.iter().filter(wanted).collect();
    let names = || SUBJECTS.iter().map(|subject| subject.name).collect::<Vec<_>>().join(" ");
    ensure!(!chosen.is_empty(), "nothing to measure has {} in its name: {}", words.join(" or "), names());
    Ok(chosen)
}

/// The script for the guest. The first run in a boot pays for memory that later ones find ready, so one
/// run is thrown away.
fn shell(folder: &Path, size: Size, chosen: &[&Subject]) -> String {
    let Size { pages, rounds, passes } = size;
    let mut text = format!(
        "OUT={}\nPAGES={pages}\nROUNDS={rounds}\nPASSES={passes}\n{}\nprepare\n\
         once warm-up 1 plain {pages} {rounds} @work || cannot 'the workload fails'\n",
        quote(&folder.to_string_lossy()),
        include_str!("bench/guest.sh")
    );
    for subject in chosen {
        let words: Vec<_> = subject.words.iter().map(|word| quote(word)).collect();
        let _ = writeln!(text, "measure {} {}", subject.name, words.join(" "));
    }
    text.push_str("exit 0\n");
    text
}

fn inputs(source: Source, folder: &Path, image: &Path, program: &Path, size: Size) -> Result<Inputs> {
    let kernel = folder.join("kernel");
    let kernel = fs::read_to_string(&kernel).with_context(|| kernel.display().to_string())?;
    Ok(Inputs {
        date: process::output(Command::new("date").args(["-u", "+%FT%TZ"])).context("date fails")?,
        source,
        kernel: kernel.lines().map(str::to_owned).collect(),
        image: image.display().to_string(),
        size,
        versions: BTreeMap::from([
            ("rmapscope", version(program)),
            ("perf", version("perf")),
            ("trace-cmd", version("trace-cmd")),
            ("bpftrace", version("bpftrace")),
            ("qemu", version("qemu-system-x86_64")),
        ]),
    })
}

/// The first line that a program says about its version. trace-cmd fails after saying it.
fn version(program: impl AsRef<OsStr>) -> Option<String> {
    let output = Command::new(program).arg("--version").output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().map(str::trim).find(|line| !line.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_is_valid_shell() {
        let size = Size { pages: 2, rounds: 1, passes: 1 };
        let text = shell(Path::new("/some where"), size, &choose(&[]).unwrap());
        let check = Command::new("bash").args(["-n", "-c", &text]).output().expect("bash runs");
        assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stderr));
        assert!(
            text.contains("measure perf-kprobe perf record -a")
                || text.contains("measure perf-kprobe 'perf'")
        );
    }

    #[test]
    fn names_are_unique_and_chosen_by_words() {
        let mut names: Vec<_> = SUBJECTS.iter().map(|subject| subject.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), SUBJECTS.len());
        let chosen = choose(&["perf".into()]).unwrap();
        assert!(chosen.iter().all(|subject| subject.name.contains("perf")));
        assert!(choose(&["strace".into()]).unwrap_err().to_string().contains("trace-cmd-kprobe"));
    }
}
