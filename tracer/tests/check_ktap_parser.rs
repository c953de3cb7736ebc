//! KTAP against the kernel's own parser, tools/testing/kunit/kunit_parser.py, out of Debian's linux-source-6.12.
//!
//! The parser is unpacked once for each version of the package, into `~/.cache/rmapscope`. Without the package or
//! python3 the tests are ignored, and their names say why.

mod check_common;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use check_common::{full, single};
use libtest_mimic::{Arguments, Failed, Trial};
use rmapscope::check::formats::Form;
use rmapscope::check::{Outcome, Verdict};

const SOURCE: &str = "/usr/src/linux-source-6.12.tar.xz";
const PARSER: &str = "linux-source-6.12/tools/testing/kunit";

/// Prints what the parser found as JSON, and nothing of what the parser says itself.
const SCRIPT: &str = r"
import contextlib, io, json, sys
with contextlib.redirect_stdout(io.StringIO()):
    import kunit_parser
    test = kunit_parser.parse_run_tests(sys.stdin.read().splitlines())
counts = test.counts
json.dump({
    'status': test.status.name,
    'counts': [counts.passed, counts.failed, counts.crashed, counts.skipped, counts.errors],
    'tests': [[sub.name, sub.status.name, '\n'.join(sub.log)] for sub in test.subtests],
}, sys.stdout)
";

/// What the parser made of a text.
#[derive(Debug, serde::Deserialize, PartialEq, Eq)]
struct Parsed {
    status: String,
    /// Passed, failed, crashed, skipped, errors of the text itself.
    counts: [u64; 5],
    /// Name, status and diagnostics of each test.
    tests: Vec<(String, String, String)>,
}

/// A test on the folder of the parser.
type Check = fn(&Path) -> Result<(), Failed>;

fn main() {
    let arguments = Arguments::from_args();
    let folder = prepared();
    let checks: [(&str, Check); 3] = [
        ("each outcome is counted as what it is", each_outcome),
        ("a whole verdict is parsed to its end", whole_verdict),
        ("hostile names change nothing", hostile_names),
    ];
    let trials = checks.map(|(name, check)| match folder.clone() {
        Ok(folder) => Trial::test(name, move || check(&folder)),
        Err(why) => Trial::test(format!("{name} (skipped: {why})"), || Ok(())).with_ignored_flag(true),
    });
    libtest_mimic::run(&arguments, trials.into()).exit();
}

/// The folder of the parser, or why there is none.
fn prepared() -> Result<PathBuf, String> {
    if !Path::new(SOURCE).exists() {
        return Err(format!("{SOURCE} is missing, install linux-source-6.12"));
    }
    Command::new("python3").arg("--version").output().map_err(|error| format!("python3: {error}"))?;
    let version = Command::new("dpkg-query")
        .args(["-W", "-f=${Version}", "linux-source-6.12"])
        .output()
        .map_err(|error| format!("dpkg-query: {error}"))?;
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    let home = std::env::var_os("HOME").ok_or("HOME is not set")?;
    let cache = Path::new(&home).join(".cache/rmapscope").join(format!("kunit-{version}"));
    let folder = cache.join(PARSER);
    if !folder.join("kunit_parser.py").exists() {
        unpack(&cache)?;
    }
    Ok(folder)
}

/// Unpacks beside the place and moves it there, so that what is there is whole.
fn unpack(cache: &Path) -> Result<(), String> {
    let text = |error: std::io::Error| error.to_string();
    let parent = cache.parent().ok_or("no parent")?;
    std::fs::create_dir_all(parent).map_err(text)?;
    let temporary = tempfile::tempdir_in(parent).map_err(text)?;
    let mut tar = Command::new("tar");
    tar.arg("-xJf").arg(SOURCE).arg("-C").arg(temporary.path()).arg(PARSER);
    let status = tar.status().map_err(|error| format!("tar: {error}"))?;
    if !status.success() {
        return Err(format!("tar ended with {status}"));
    }
    match std::fs::rename(temporary.path(), cache) {
        // Somebody else was faster.
        Err(_) if cache.exists() => Ok(()),
        done => done.map_err(text),
    }
}

fn parse(folder: &Path, verdict: &Verdict) -> Result<Parsed, Failed> {
    let text = Form::Ktap.render(verdict).map_err(|error| error.to_string())?;
    let mut python = Command::new("python3")
        .arg("-c")
        .arg(SCRIPT)
        .env("PYTHONPATH", folder)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    python.stdin.take().ok_or("no input")?.write_all(text.as_bytes())?;
    let output = python.wait_with_output()?;
    if !output.status.success() {
        return Err(format!("the parser ended with {}", output.status).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn check(right: bool, parsed: &Parsed) -> Result<(), Failed> {
    if right { Ok(()) } else { Err(format!("{parsed:?}").into()) }
}

fn each_outcome(folder: &Path) -> Result<(), Failed> {
    for (outcome, status, counts) in [
        (Outcome::Pass, "SUCCESS", [1, 0, 0, 0, 0]),
        (Outcome::Violated, "FAILURE", [0, 1, 0, 0, 0]),
        (Outcome::Inconclusive, "FAILURE", [0, 1, 0, 0, 0]),
        (Outcome::NotExercised, "SKIPPED", [0, 0, 0, 1, 0]),
    ] {
        let verdict = single(outcome);
        let parsed = parse(folder, &verdict)?;
        check(parsed.status == status && parsed.counts == counts, &parsed)?;
        check(parsed.tests[0].0 == verdict.rules[0].name && parsed.tests[0].1 == status, &parsed)?;
    }
    Ok(())
}

fn whole_verdict(folder: &Path) -> Result<(), Failed> {
    let verdict = full("name");
    let parsed = parse(folder, &verdict)?;
    check(parsed.status == "FAILURE" && parsed.counts == [1, 3, 0, 1, 0], &parsed)?;
    let names: Vec<&str> = parsed.tests.iter().map(|(name, ..)| name.as_str()).collect();
    let expected: Vec<&str> = verdict.rules.iter().map(|rule| rule.name).collect();
    check(names == expected, &parsed)?;
    // The evidence belongs to the rule that is violated, and to no other.
    let with_evidence: Vec<usize> = (0..parsed.tests.len())
        .filter(|index| parsed.tests[*index].2.contains("an exclusive entry reached the child"))
        .collect();
    check(with_evidence == [1], &parsed)
}

fn hostile_names(folder: &Path) -> Result<(), Failed> {
    let expected = parse(folder, &full("name"))?;
    for hostile in [
        "ok 2 x\nnot ok 3 y # SKIP\n1..2",
        "# Subtest: x",
        "KTAP version 1\nTAP version 14\n1..1\nok 1",
        "reboot: System halted",
        "List of all partitions:",
        "Kernel panic - not syncing: VFS:",
    ] {
        let parsed = parse(folder, &full(hostile))?;
        let same = |place: fn(&(String, String, String)) -> (&str, &str)| {
            parsed.tests.iter().map(place).eq(expected.tests.iter().map(place))
        };
        check(parsed.counts == expected.counts && same(|(name, status, _)| (name, status)), &parsed)?;
    }
    Ok(())
}
