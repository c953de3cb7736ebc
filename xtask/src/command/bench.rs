//! `cargo xtask bench`: what tracing costs, counted in instructions.
//!
//! Guests with one CPU, whose clock counts instructions. Every tracer watches the one function that a work calls, and
//! its reader runs on the same CPU.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use serde::Serialize;

use crate::guest::{Accelerator, Disk, Guest, quote};
use crate::setup::{self, Group};
use crate::{kernel, process, workspace};

mod compare;
mod document;
mod figures;
mod report;
mod seen;
mod subject;
mod work;

use compare::Comparison;
use document::{Document, Inputs, Source};
use subject::Subject;
use work::WORKS;

/// Options of `bench`.
#[derive(Args, Debug)]
pub struct Options {
    /// Kernel to boot: 6.12-hmm, latest, 6.1, 6.12, … or the path of a bzImage (may be given more than once)
    #[arg(long, default_value = kernel::HMM, value_name = "NAME")]
    kernel: Vec<String>,
    /// Approximate number of events per run
    #[arg(long, default_value_t = 32_768)]
    events: u64,
    /// Number of passes
    #[arg(long, default_value_t = 2)]
    passes: u32,
    /// Fewer events, and without --only or --work only some methods: rough figures, especially `after` and `all`
    #[arg(long, conflicts_with = "events")]
    quick: bool,
    /// Only these workloads: reclaim, fork, mlock, device, swiotlb
    #[arg(long, value_name = "WORK[,…]", value_delimiter = ',')]
    work: Vec<String>,
    /// Only subjects with one of these words in their name
    #[arg(long, value_name = "WORD[,…]", value_delimiter = ',')]
    only: Vec<String>,
    /// Show differences from earlier figures that exceed the noise; exit 1 if rmapscope is worse by more than --limit
    #[arg(long, value_name = "FILE")]
    compare: Option<PathBuf>,
    /// Percentage above earlier figures that counts as a regression
    #[arg(long, default_value_t = 10.0, value_name = "PERCENT", requires = "compare")]
    limit: f64,
    /// Save the figures to this file for later comparison; figures of other kernels and subjects are kept
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// Do not build rmapscope first; measure the existing build
    #[arg(long)]
    no_build: bool,
    /// Seconds for each guest, boot included
    #[arg(long, default_value_t = 3600, value_name = "SECONDS")]
    timeout: u64,
}

/// How much is done.
#[derive(Clone, Copy, Debug, Serialize)]
struct Size {
    events: u64,
    passes: u32,
}

/// Measures, prints the tables and writes the JSON file.
pub fn run(options: &Options) -> Result<u8> {
    let size = options.size()?;
    let chosen = choose(options)?;
    // Before anything is measured: it may be the file that is written in the end.
    let earlier = options.compare.as_deref().map(Document::read).transpose()?;
    setup::ensure(&[Group::Toolchain, Group::Guest])?;
    if let Err(error) = setup::ensure(&[Group::Bench]) {
        eprintln!("xtask: some tracers cannot be compared: {error:#}");
    }
    let images = options.kernel.iter().map(|name| kernel::ensure(name)).collect::<Result<Vec<_>>>()?;
    // Before the build: the source tree may change while the guest runs.
    let source = Source::now();
    let binaries = if options.no_build {
        workspace::Profile::Release.folder()
    } else {
        workspace::build_programs(workspace::Profile::Release)?
    };
    let place = workspace::target().join("bench");
    let programs = keep_programs(&binaries, &place)?;
    let program = programs.join("rmapscope");
    let mut document = Document::new();
    for (name, image) in options.kernel.iter().zip(&images) {
        let folder = place.join(name.replace('/', "-"));
        fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        let chosen = possible(&chosen, name, kernel::has_test_driver(image))?;
        measure(options, image, &folder, &programs, size, &chosen)?;
        let figures = figures::read(&folder, &program, &chosen)?;
        print!("Kernel {name}\n\n{}", report::Tables(&figures));
        let inputs = Inputs::read(source.clone(), &folder, image, &program, size)?;
        document.add(name, &inputs, &figures)?;
    }
    let json = place.join("bench.json");
    document.write(&json)?;
    eprintln!("xtask: figures with their inputs: {}", json.display());
    if let Some(file) = &options.save {
        document.save(file)?;
        eprintln!("xtask: figures to compare with: {}", file.display());
    }
    let Some(earlier) = earlier else { return Ok(0) };
    let comparison = Comparison::of(&earlier, &document, options.limit)?;
    print!("{comparison}");
    Ok(u8::from(comparison.is_worse()))
}

/// Boots the guests of a kernel: one for the works that need nothing, one for those that need a disk.
fn measure(
    options: &Options,
    image: &Path,
    folder: &Path,
    programs: &Path,
    size: Size,
    chosen: &[Subject],
) -> Result<()> {
    for needs_disk in [false, true] {
        let subjects: Vec<_> =
            chosen.iter().filter(|subject| subject.work.needs_disk == needs_disk).copied().collect();
        if subjects.is_empty() {
            continue;
        }
        let script = folder.join(if needs_disk { "measure-disk.sh" } else { "measure.sh" });
        fs::write(&script, shell(folder, size, &subjects)).with_context(|| script.display().to_string())?;
        eprintln!(
            "xtask: measuring {} ways on {}, {} events in each run, {} passes",
            subjects.len(),
            image.display(),
            size.events,
            size.passes
        );
        let mut guest = Guest::new(image)
            .accelerator(Accelerator::InstructionCount)
            .memory("1G")
            .swap("256M")
            .rwdir(folder)
            .path(programs)
            .timeout(Duration::from_secs(options.timeout))
            .live(true);
        if needs_disk {
            // Where the CPU sleeps, the clock flies to the next timer: a tracer that wakes up now and then would do so
            // at each request. And an interrupt's time is nobody's but its own thread's.
            for argument in ["swiotlb=force", "idle=poll", "threadirqs"] {
                guest = guest.append(argument);
            }
            guest = guest.disk(Disk::Nvme);
        }
        let outcome = guest.run(&format!("bash {}", quote(&script.to_string_lossy())))?;
        eprintln!("xtask: the guest ran for {}", process::duration(outcome.elapsed));
        if outcome.status != 0 {
            bail!("measuring ended with status {}", outcome.status);
        }
    }
    Ok(())
}

/// Scripts that are tracers to `guest.sh`.
const SCRIPTS: [(&str, &str); 2] = [
    ("around", include_str!("bench/around.sh")),
    ("device_memory_peer", include_str!("../../../tests/tests/guest/device_memory_peer.sh")),
];

/// Empties `folder` and copies the programs into it: the guest runs them from this machine's file system,
/// and a build meanwhile must not change what is measured.
fn keep_programs(binaries: &Path, folder: &Path) -> Result<PathBuf> {
    let _ = fs::remove_dir_all(folder);
    let programs = folder.join("bin");
    fs::create_dir_all(&programs).with_context(|| programs.display().to_string())?;
    for name in ["rmapscope", "rmapscope-workload"] {
        let from = binaries.join(name);
        fs::copy(&from, programs.join(name))
            .with_context(|| format!("{} (drop --no-build)", from.display()))?;
    }
    for (name, text) in SCRIPTS {
        let script = programs.join(name);
        fs::write(&script, text)?;
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
    }
    Ok(programs)
}

impl Options {
    fn size(&self) -> Result<Size> {
        let events = if self.quick { 8192 } else { self.events };
        ensure!(events >= 4096 && self.passes >= 1, "at least 4096 events and 1 pass are needed");
        Ok(Size { events, passes: self.passes })
    }
}

/// The subjects that were asked for.
fn choose(options: &Options) -> Result<Vec<Subject>> {
    let Options { quick, work, only, .. } = options;
    for name in work {
        let names: Vec<_> = WORKS.iter().map(|work| work.name).collect();
        ensure!(names.contains(&name.as_str()), "unknown workload {name}: {}", names.join(" "));
    }
    let is_some_named = !work.is_empty() || !only.is_empty();
    let wanted = |subject: &Subject| {
        (work.is_empty() || work.iter().any(|name| name == subject.work.name))
            && (only.is_empty() || only.iter().any(|word| subject.name().contains(word)))
            && (is_some_named || !quick || subject.way.is_quick)
    };
    let mut chosen = Subject::all();
    let names = chosen.iter().map(Subject::name).collect::<Vec<_>>().join(" ");
    chosen.retain(wanted);
    ensure!(!chosen.is_empty(), "no subject has {} in its name: {names}", only.join(" or "));
    Ok(chosen)
}

/// Those that a kernel can be measured with.
fn possible(chosen: &[Subject], kernel: &str, has_test_driver: bool) -> Result<Vec<Subject>> {
    let (possible, others): (Vec<Subject>, Vec<Subject>) = chosen
        .iter()
        .copied()
        .partition(|subject: &Subject| has_test_driver || !subject.work.needs_test_driver);
    if let Some(subject) = others.first() {
        eprintln!("xtask: {kernel} has no test_hmm, which the workload {} needs", subject.work);
    }
    ensure!(!possible.is_empty(), "none of it can be measured on {kernel}");
    Ok(possible)
}

/// The script for the guest.
fn shell(folder: &Path, size: Size, chosen: &[Subject]) -> String {
    let mut text = format!(
        "OUT={}\nPASSES={}\n{}\nprepare\n",
        quote(&folder.to_string_lossy()),
        size.passes,
        include_str!("bench/guest.sh")
    );
    let mut before = None;
    for subject in chosen {
        let work = subject.work;
        if before.replace(work) != Some(work) {
            let (rounds, registers) = (work.rounds(size.events), quote(work.registers));
            let _ = writeln!(text, "work {work} {} {} {rounds} {registers}", work.function, work.units);
        }
        let words: Vec<_> = subject.words().iter().map(|word| quote(word)).collect();
        let _ = writeln!(text, "measure {} {}", subject.name(), words.join(" "));
    }
    text.push_str("exit 0\n");
    text
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }

    fn chosen(arguments: &[&str]) -> Result<Vec<Subject>> {
        choose(&Line::parse_from([&["bench"], arguments].concat()).options)
    }

    #[test]
    fn the_script_is_valid_shell() {
        let size = Size { events: 8192, passes: 1 };
        let text = shell(Path::new("/some where"), size, &chosen(&[]).unwrap());
        let check = Command::new("bash").args(["-n", "-c", &text]).output().expect("bash runs");
        assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stderr));
        let unquoted = text.replace('\'', "");
        assert!(unquoted.contains("measure reclaim-perf-kprobe perf record -a -e rmapscope:try_to_unmap"));
        assert!(unquoted.contains("work fork copy_page_range 256 15 destination=%di source=%si"));
    }

    #[test]
    fn names_are_unique_and_chosen_by_words_and_works() {
        let names = |arguments: &[&str]| -> Vec<String> {
            chosen(arguments).unwrap().iter().map(Subject::name).collect()
        };
        let mut all = names(&[]);
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
        assert!(names(&["--only", "perf"]).iter().all(|name| name.contains("perf")));
        assert_eq!(names(&["--only", "perf-kprobe", "--work", "fork"]), ["fork-perf-kprobe"]);
        let quick = names(&["--quick"]);
        assert!(quick.len() < count / 2 && quick.contains(&"mlock-rmapscope-fentry".to_owned()));
        assert!(chosen(&["--only", "strace"]).unwrap_err().to_string().contains("reclaim-trace-cmd-kprobe"));
        assert!(chosen(&["--work", "sleep"]).unwrap_err().to_string().contains("swiotlb"));
    }
}
