//! The figures as files: `bench.json` with everything, and what of it is committed to be compared with.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Size;
use super::figures::{Cost, Figures, Finding, Spread};
use crate::{emulator, process, workspace};

/// The state of the source tree; unknown without git.
#[derive(Clone, Debug, Serialize)]
pub struct Source {
    commit: Option<String>,
    /// Whether the tree differs from the commit.
    modified: Option<bool>,
}

impl Source {
    /// As it is now.
    pub fn now() -> Self {
        let git = |arguments: &[&str]| {
            process::output(Command::new("git").current_dir(workspace::root()).args(arguments))
        };
        Self {
            commit: git(&["rev-parse", "HEAD"]),
            modified: git(&["status", "--porcelain"]).map(|changes| !changes.is_empty()),
        }
    }
}

/// What the figures of a kernel come from.
#[derive(Clone, Debug, Serialize)]
pub struct Inputs {
    date: String,
    #[serde(flatten)]
    source: Source,
    /// Release and version, as the guest says.
    kernel: String,
    /// The kernel's command line in each guest.
    command_lines: Vec<String>,
    image: String,
    #[serde(flatten)]
    size: Size,
    /// Version by program; nothing for one that is not there.
    versions: BTreeMap<&'static str, Option<String>>,
}

impl Inputs {
    /// Of a measurement that left `folder`; `program` is rmapscope.
    pub fn read(source: Source, folder: &Path, image: &Path, program: &Path, size: Size) -> Result<Self> {
        let said = |name: &str| {
            let file = folder.join(name);
            fs::read_to_string(&file).with_context(|| file.display().to_string())
        };
        Ok(Self {
            date: process::output(Command::new("date").args(["-u", "+%FT%TZ"])).context("date fails")?,
            source,
            kernel: said("kernel")?.trim().to_owned(),
            command_lines: said("command-lines")?.lines().map(str::to_owned).collect(),
            image: image.display().to_string(),
            size,
            versions: BTreeMap::from([
                ("rmapscope", version(program)),
                ("perf", version("perf")),
                ("trace-cmd", version("trace-cmd")),
                ("bpftrace", version("bpftrace")),
                ("funclatency (package libbpf-tools)", package("libbpf-tools")),
                ("qemu", emulator::for_counting().and_then(|emulator| version(&emulator.program))),
            ]),
        })
    }
}

/// The first line that a program says about its version. trace-cmd fails after saying it.
fn version(program: impl AsRef<OsStr>) -> Option<String> {
    let output = Command::new(program).arg("--version").output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().map(str::trim).find(|line| !line.is_empty()).map(str::to_owned)
}

/// The version of a Debian package, whose programs do not say theirs.
fn package(name: &str) -> Option<String> {
    process::output(Command::new("dpkg-query").args(["-W", "-f=${Version}", name]))
}

/// A file of figures, by kernel. What is read of it is what a comparison needs; the rest stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Document {
    /// What a figure counts.
    pub unit: String,
    /// The kernels, by the names that `--kernel` takes.
    pub kernels: BTreeMap<String, OfKernel>,
}

/// What was measured on a kernel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OfKernel {
    /// [`Inputs`].
    pub inputs: Value,
    /// Instructions an event without a tracer, by work.
    pub plain: BTreeMap<String, Spread>,
    /// What became of each subject.
    pub subjects: BTreeMap<String, Row>,
}

/// What became of a subject.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Row {
    /// It was measured.
    Measured(Measured),
    /// It was not, and why.
    Skipped(String),
}

/// The figures of a subject.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// All that an event costs.
    pub total: Spread,
    /// Events that the tracer's own reader found in its file; nothing where that cannot be read.
    pub seen: Option<u64>,
    /// Events that happened.
    pub expected: u64,
    /// Everything else.
    #[serde(flatten)]
    pub more: BTreeMap<String, Value>,
}

const UNIT: &str = "guest instructions an event";

impl Document {
    /// Nothing yet.
    pub fn new() -> Self {
        Self { unit: UNIT.into(), kernels: BTreeMap::new() }
    }

    /// An earlier one.
    pub fn read(file: &Path) -> Result<Self> {
        let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
        let remedy = "not a file of figures (use target/bench/bench.json, or a file written by --save)";
        serde_json::from_str(&text).with_context(|| format!("{}: {remedy}", file.display()))
    }

    /// Adds the figures of a kernel.
    pub fn add(&mut self, kernel: &str, inputs: &Inputs, figures: &Figures) -> Result<()> {
        let mut subjects = BTreeMap::new();
        for row in &figures.subjects {
            let finding = match &row.finding {
                Finding::Measured(cost) => Row::Measured(measured(cost, &row.subject.words())?),
                Finding::Skipped(reason) => Row::Skipped(reason.clone()),
            };
            subjects.insert(row.subject.name(), finding);
        }
        let plain = figures.plain.iter().map(|plain| (plain.work.to_string(), plain.time)).collect();
        let of_kernel = OfKernel { inputs: serde_json::to_value(inputs)?, plain, subjects };
        self.kernels.insert(kernel.into(), of_kernel);
        Ok(())
    }

    /// Writes everything.
    pub fn write(&self, file: &Path) -> Result<()> {
        fs::write(file, serde_json::to_string_pretty(self)? + "\n")
            .with_context(|| file.display().to_string())
    }

    /// Puts what a comparison needs into a file, a line a subject. What the file has of other kernels, and of subjects
    /// that were not measured now, stays.
    pub fn save(&self, file: &Path) -> Result<()> {
        let mut document = if file.exists() { Self::read(file)? } else { Self::new() };
        for (name, now) in &self.kernels {
            match document.kernels.get_mut(name) {
                Some(before) => {
                    before.inputs = now.inputs.clone();
                    before.plain.extend(now.plain.clone());
                    before.subjects.extend(now.subjects.clone());
                }
                None => {
                    document.kernels.insert(name.clone(), now.clone());
                }
            }
        }
        fs::write(file, document.in_lines()?).with_context(|| file.display().to_string())
    }

    fn in_lines(&self) -> Result<String> {
        let mut kernels = Vec::new();
        for (name, kernel) in &self.kernels {
            let mut subjects = Vec::new();
            for (subject, row) in &kernel.subjects {
                let row = match row {
                    Row::Measured(measured) => Row::Measured(Measured {
                        total: measured.total.rounded(),
                        more: BTreeMap::new(),
                        ..measured.clone()
                    }),
                    skipped => skipped.clone(),
                };
                subjects.push(format!(
                    "        {}: {}",
                    serde_json::to_string(subject)?,
                    serde_json::to_string(&row)?
                ));
            }
            let plain: BTreeMap<_, _> =
                kernel.plain.iter().map(|(work, spread)| (work, spread.rounded())).collect();
            kernels.push(format!(
                "    {}: {{\n      \"inputs\": {},\n      \"plain\": {},\n      \"subjects\": {{\n{}\n      }}\n    }}",
                serde_json::to_string(name)?,
                serde_json::to_string(&kernel.inputs)?,
                serde_json::to_string(&plain)?,
                subjects.join(",\n")
            ));
        }
        let unit = serde_json::to_string(&self.unit)?;
        Ok(format!("{{\n  \"unit\": {unit},\n  \"kernels\": {{\n{}\n  }}\n}}\n", kernels.join(",\n")))
    }
}

fn measured(cost: &Cost, words: &[String]) -> Result<Measured> {
    let mut value = serde_json::to_value(cost)?;
    value["words"] = serde_json::to_value(words)?;
    Ok(serde_json::from_value(value)?)
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A document of one kernel with these subjects: name, least and most of `total`, events seen of 100.
    pub fn document(rows: &[(&str, f64, f64, u64)]) -> Document {
        let row = |&(name, least, most, seen): &(&str, f64, f64, u64)| {
            let total = Spread { least, mean: f64::midpoint(least, most), most };
            let row = Measured { total, seen: Some(seen), expected: 100, more: BTreeMap::new() };
            (name.to_owned(), Row::Measured(row))
        };
        let kernel = OfKernel {
            inputs: serde_json::json!({ "passes": 2, "commit": "abc" }),
            plain: BTreeMap::new(),
            subjects: rows.iter().map(row).collect(),
        };
        Document { unit: UNIT.into(), kernels: BTreeMap::from([("6.12-hmm".to_owned(), kernel)]) }
    }

    #[test]
    fn what_is_saved_is_read_again_and_keeps_what_was_not_measured() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("costs.json");
        let first = document(&[("reclaim-a", 10.0, 12.0, 100), ("reclaim-b", 20.0, 22.0, 100)]);
        first.save(&file).unwrap();
        assert_eq!(Document::read(&file).unwrap(), first);
        document(&[("reclaim-b", 30.0, 32.0, 100)]).save(&file).unwrap();
        let both = document(&[("reclaim-a", 10.0, 12.0, 100), ("reclaim-b", 30.0, 32.0, 100)]);
        assert_eq!(Document::read(&file).unwrap(), both);
    }

    #[test]
    fn another_file_is_refused_with_a_remedy() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("other.json");
        fs::write(&file, "{}").unwrap();
        assert!(format!("{:#}", Document::read(&file).unwrap_err()).contains("--save"));
    }
}
