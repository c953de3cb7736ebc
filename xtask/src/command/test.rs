//! `cargo xtask test`: everything that must hold.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result};
use clap::Args;

use crate::architecture::Architecture;
use crate::setup::{self, Group};
use crate::{kernel, process, workspace};

/// Options of `test`.
#[derive(Args, Debug)]
pub struct Options {
    /// No guests: checks of the sources, unit tests and exports only
    #[arg(long, conflicts_with = "kernel")]
    quick: bool,
    /// Only the tests in guests
    #[arg(long, conflicts_with = "quick")]
    guests: bool,
    /// Guest tests of every kind on this kernel, instead of the recordings on latest: 6.1, 6.12, 6.12-hmm (with the
    /// planted bugs), 6.18, latest, 7.3-rt, … (may be given more than once)
    #[arg(long, value_name = "NAME")]
    kernel: Vec<String>,
    /// Guest tests of another architecture instead: a guest of arm64 whose disk has a restricted pool, and one of the
    /// newest stock kernel
    #[arg(long, conflicts_with_all = ["quick", "kernel"])]
    arch: Option<Architecture>,
    /// Only tests whose name contains this; no format check, no lints
    filter: Option<String>,
}

/// The workspace member with the workloads and the guest tests.
const GUEST_PACKAGE: &str = "rmapscope-tests";

/// How long each parser is fuzzed (`tracer/tests/fuzz.rs`).
const FUZZ_SECONDS: &str = "20";

/// How much of a failure is said again at the end, where a log that was cut still has it: a kernel's stacks as well.
const LINES_OF_FAILURE: usize = 90;

/// What cargo's test programs reported.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    passed: u64,
    failed: u64,
    skipped: u64,
    /// Names of the skipped tests and why.
    reasons: Vec<String>,
    /// Names of the failed tests, each with the first lines of what it said.
    failures: Vec<String>,
    /// Lines still to be taken for the last of them.
    wanted: usize,
}

/// Runs everything, also after a failure, so that one run shows all of them.
pub fn run(options: &Options) -> Result<u8> {
    let started = Instant::now();
    let mut tally = Tally::default();
    let only_guests = options.guests || options.arch.is_some();
    let checks_sources = !only_guests && options.filter.is_none();
    let licences = thread::scope(|scope| {
        // Built while packages are downloaded.
        let licences =
            scope.spawn(|| if checks_sources { setup::ensure(&[Group::Licences]) } else { Ok(()) });
        setup::ensure(&[Group::Toolchain])?;
        anyhow::Ok(licences.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })?;
    if checks_sources {
        source_checks(&mut tally);
        match licences {
            Ok(()) => dependencies(&mut tally),
            Err(error) => tally.skip(&format!("licences and sources of dependencies: {error:#}")),
        }
    }
    if !only_guests {
        on_this_machine(options, &mut tally)?;
    }
    if options.quick {
        tally.skip("tests in guests: --quick");
    } else {
        guest_tests(options, &mut tally)?;
    }
    for reason in &tally.reasons {
        eprintln!("skipped: {reason}");
    }
    for failure in &tally.failures {
        eprintln!("failed: {failure}");
    }
    eprintln!("xtask: tests: done in {}", process::duration(started.elapsed()));
    println!("{} passed, {} failed, {} skipped", tally.passed, tally.failed, tally.skipped);
    Ok(u8::from(tally.failed > 0))
}

/// What is looked for without running anything.
fn source_checks(tally: &mut Tally) {
    let cargo = workspace::cargo;
    tally.step("format check", cargo().args(["fmt", "--all", "--check"]));
    for (what, manifest) in [("eBPF programs", "tracer-ebpf/Cargo.toml"), ("fuzz targets", "fuzz/Cargo.toml")]
    {
        tally.step(
            &format!("format check of the {what}"),
            cargo().args(["fmt", "--manifest-path", manifest, "--check"]),
        );
    }
    tally.step(
        "lints",
        cargo().args(["clippy", "--quiet", "--workspace", "--all-targets", "--", "-Dwarnings"]),
    );
    tally.step(
        "documentation of the code",
        cargo()
            .args(["doc", "--quiet", "--workspace", "--no-deps", "--document-private-items"])
            // It is read in this tree, where links to what is private lead somewhere.
            .env("RUSTDOCFLAGS", "-Dwarnings -Arustdoc::private-intra-doc-links"),
    );
}

/// Licences, versions and sources of everything that is linked. Known vulnerabilities are another question: they need
/// the network, and today's answer is not tomorrow's.
fn dependencies(tally: &mut Tally) {
    for (what, manifest) in [("program", "Cargo.toml"), ("eBPF programs", "tracer-ebpf/Cargo.toml")] {
        let mut deny = Command::new(setup::cargo_deny::program());
        // Of one target: crates of others are not on this machine.
        deny.args(["--offline", "--log-level", "error", "--target", "x86_64-unknown-linux-gnu"])
            .args(["--manifest-path", manifest, "--config", "deny.toml"])
            .args(["check", "--hide-inclusion-graph", "licenses", "bans", "sources"])
            .current_dir(workspace::root())
            .stdout(Stdio::from(std::io::stderr()));
        tally.step(&format!("dependencies of the {what}"), &mut deny);
    }
}

/// What needs no guest.
fn on_this_machine(options: &Options, tally: &mut Tally) -> Result<()> {
    let filter = options.filter.as_deref();
    tally.tests("unit tests", &["--workspace", "--exclude", GUEST_PACKAGE, "--no-fail-fast"], &[], filter)?;
    tally.tests("unit tests of the workloads", &["-p", GUEST_PACKAGE, "--lib", "--bins"], &[], filter)?;
    export_tests(filter, tally)?;
    browser_tests(filter, tally)
}

/// HTML reports of recorded traces, opened in a browser; the tests say themselves that it is missing.
fn browser_tests(filter: Option<&str>, tally: &mut Tally) -> Result<()> {
    if let Err(error) = setup::ensure(&[Group::Browser]) {
        eprintln!("xtask: {error:#}");
    }
    let arguments = ["-p", GUEST_PACKAGE, "--test", "browser"];
    tally.tests("HTML reports in a browser", &arguments, &[], filter)
}

/// Exports of recorded traces, read by other programs; those that cannot be installed here are skipped.
fn export_tests(filter: Option<&str>, tally: &mut Tally) -> Result<()> {
    process::run(
        "building rmapscope",
        workspace::cargo().args(["build", "--quiet", "-p", "rmapscope", "--bin", "rmapscope"]),
    )?;
    let mut environment = vec![("RMAPSCOPE_PROGRAM".into(), workspace::target().join("debug/rmapscope"))];
    for (variable, what, place) in [
        ("RMAPSCOPE_EXPORTS_PYTHON", "Python's", setup::exports::python()),
        ("RMAPSCOPE_EXPORTS_NODE", "Node.js'", setup::exports::node()),
    ] {
        match place {
            Ok(place) => environment.push((variable.to_owned(), place)),
            Err(error) => tally.skip(&format!("{what} readers of exports: {error:#}")),
        }
    }
    tally.tests(
        "exports read by other programs",
        &["-p", GUEST_PACKAGE, "--test", "exports"],
        &environment,
        filter,
    )
}

/// Boots as few guests as the tests allow, two at a time.
fn guest_tests(options: &Options, tally: &mut Tally) -> Result<()> {
    let named = options.kernel.iter().map(String::as_str);
    let of_arch = options.arch.filter(|architecture| !architecture.is_native());
    let named = named.chain(of_arch.into_iter().flat_map(|_| [kernel::RESTRICTED, kernel::LATEST_ARM64]));
    let named: Vec<_> = named.map(|name| (name, None)).collect();
    let is_foreign = |name: &str| !Architecture::of_kernel(name).is_native();
    if named.is_empty() || named.iter().any(|(name, _)| !is_foreign(name)) {
        setup::ensure(&[Group::Guest, Group::Kernel])?;
    }
    let mut kernels = String::new();
    for (name, only) in if named.is_empty() { kernel::TESTED.to_vec() } else { named } {
        let image = kernel::ensure(name)?;
        // The recordings run none, and for other architectures there are none.
        let selftests = if only == Some("recordings") || is_foreign(name) {
            PathBuf::new()
        } else {
            kernel::selftests::ensure(name, &image)?
        };
        if is_foreign(name) {
            let architecture = Architecture::of_kernel(name);
            workspace::build_programs_for(architecture, workspace::Profile::Test)?;
        }
        kernels.push_str(&line(name, &image, only, &selftests));
    }
    let environment = [
        ("RMAPSCOPE_KERNELS".into(), kernels.into()),
        ("RMAPSCOPE_PROGRAMS".into(), workspace::build_programs(workspace::Profile::Test)?),
    ];
    let arguments = ["-p", GUEST_PACKAGE, "--test", "guest"];
    tally.tests("tests in guests", &arguments, &environment, options.filter.as_deref())
}

/// What the guest tests read about a kernel (`tests/tests/guest/kernels.rs`).
fn line(name: &str, image: &Path, only: Option<&str>, selftests: &Path) -> String {
    format!("{name}\t{}\t{}\t{}\n", image.display(), only.unwrap_or_default(), selftests.display())
}

impl Tally {
    /// A check that passes or fails as a whole.
    fn step(&mut self, what: &str, command: &mut Command) {
        match process::run(what, command) {
            Ok(()) => self.passed += 1,
            Err(error) => {
                eprintln!("xtask: {error:#}");
                self.fail(what);
            }
        }
    }

    fn fail(&mut self, what: &str) {
        self.failed += 1;
        self.failures.push(what.into());
    }

    fn skip(&mut self, reason: &str) {
        self.skipped += 1;
        self.reasons.push(reason.into());
    }

    /// Runs `cargo test`, shows its report and counts what it says.
    fn tests(
        &mut self,
        what: &str,
        arguments: &[&str],
        environment: &[(String, PathBuf)],
        filter: Option<&str>,
    ) -> Result<()> {
        eprintln!("xtask: {what}");
        let started = Instant::now();
        let mut cargo = workspace::cargo();
        cargo.args(["test", "--quiet"]).args(arguments).args(["--", "--format=pretty"]);
        cargo.env("RMAPSCOPE_FUZZ_SECONDS", FUZZ_SECONDS);
        if !environment.is_empty() {
            cargo.arg("--test-threads=1");
        }
        cargo.args(filter).envs(environment.iter().map(|(name, value)| (name, value))).stdout(Stdio::piped());
        let mut child = cargo.spawn().context("cargo")?;
        let failed_before = self.failed;
        if let Some(report) = child.stdout.take() {
            for line in BufReader::new(report).lines() {
                let line = line.context("report of the tests")?;
                self.read(&line);
                if worth_showing(&line) {
                    eprintln!("{line}");
                }
            }
        }
        let status = child.wait().context("cargo")?;
        if !status.success() && self.failed == failed_before {
            // Something that is not a test: it does not compile, or a test program crashed.
            eprintln!("xtask: {what} failed: {status}");
            self.fail(&format!("{what}: {status}"));
        }
        eprintln!("xtask: {what}: done in {}", process::duration(started.elapsed()));
        Ok(())
    }

    /// Takes one line of a test program's report.
    fn read(&mut self, line: &str) {
        if let Some(name) = line.strip_prefix("---- ").and_then(|line| line.strip_suffix(" ----")) {
            self.failures.push(name.trim_end_matches(" stdout").into());
            self.wanted = LINES_OF_FAILURE;
            return;
        }
        // The list of names that follows what each said.
        if line == "failures:" || line.starts_with("test result: ") {
            self.wanted = 0;
        }
        if self.wanted > 0
            && !line.is_empty()
            && let Some(failure) = self.failures.last_mut()
        {
            failure.push_str("\n  ");
            failure.push_str(line);
            self.wanted -= 1;
        }
        if let Some(counts) = line.strip_prefix("test result: ") {
            for part in counts.split([';', '.']) {
                match part.trim().split_once(' ') {
                    Some((number, "passed")) => self.passed += number.parse().unwrap_or(0),
                    Some((number, "failed")) => self.failed += number.parse().unwrap_or(0),
                    Some((number, "ignored")) => self.skipped += number.parse().unwrap_or(0),
                    _ => {}
                }
            }
        } else if let Some((name, reason)) =
            line.strip_prefix("test ").and_then(|line| line.split_once(" ... ignored"))
        {
            self.reasons.push(format!("{}{}", name.trim_end(), reason.replacen(", ", ": ", 1)));
        }
    }
}

/// Everything but the noise of test programs in which nothing ran.
fn worth_showing(line: &str) -> bool {
    !line.trim().is_empty()
        && line != "running 0 tests"
        && !line.starts_with("test result: ok. 0 passed; 0 failed; 0 ignored")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_are_counted() {
        let mut tally = Tally::default();
        for line in [
            "running 4 tests",
            "test a::b ... ok",
            "test a::c ... FAILED",
            "test a::d ... ignored, needs a guest",
            "test 6.1 auto: pairs (skipped: X is not set)   ... ignored",
            "test result: FAILED. 1 passed; 1 failed; 2 ignored; 0 measured; 7 filtered out; finished in 0.00s",
        ] {
            tally.read(line);
        }
        assert_eq!((tally.passed, tally.failed, tally.skipped), (1, 1, 2));
        assert_eq!(tally.failures, [""; 0]);
        assert_eq!(tally.reasons, ["a::d: needs a guest", "6.1 auto: pairs (skipped: X is not set)"]);
    }

    #[test]
    fn failures_are_kept_with_what_they_said_first() {
        let mut tally = Tally::default();
        let said = "a line\n".repeat(LINES_OF_FAILURE + 1);
        let report =
            format!("---- a::b stdout ----\n\n{said}---- 6.1 auto: pairs ----\nsix\n\nfailures:\n    a::b\n");
        report.lines().for_each(|line| tally.read(line));
        let kept = format!("a::b{}", "\n  a line".repeat(LINES_OF_FAILURE));
        assert_eq!(tally.failures, [kept.as_str(), "6.1 auto: pairs\n  six"]);
    }

    #[test]
    fn kernels_are_handed_over_by_lines() {
        let (image, selftests) = (Path::new("/boot/k"), Path::new("/s"));
        assert_eq!(line("6.1", image, None, selftests), "6.1\t/boot/k\t\t/s\n");
        assert_eq!(line("6.12", image, Some("lockdown"), Path::new("")), "6.12\t/boot/k\tlockdown\t\n");
    }
}
