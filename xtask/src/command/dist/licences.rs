//! The licences of everything that is linked into the program, with their texts.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::workspace;

/// What names of licence files begin with.
const NAMES: [&str; 6] = ["licen", "copying", "copyright", "notice", "unlicense", "authors"];

/// Static programs have the C library in them.
const C_LIBRARY: &str = "\
The program is linked statically with the GNU C library, which is under the GNU Lesser General Public License, version
2.1 or later (/usr/share/common-licenses/LGPL-2.1 on Debian, https://www.gnu.org/licenses/). The complete source of
rmapscope is public, so that it can be linked with another version of that library: `cargo build --release`.

It has the standard library of Rust in it, which is under MIT or Apache-2.0 (https://github.com/rust-lang/rust).
";

/// A crate and where its source is.
struct Crate {
    name: String,
    version: String,
    licence: String,
    texts: Vec<(String, String)>,
}

/// All licences as one text: a list of the crates, then each text once with the crates that have it.
pub fn text(target: &str) -> Result<String> {
    let mut crates = linked("Cargo.toml", "rmapscope", Some(target))?;
    crates.extend(linked("tracer-ebpf/Cargo.toml", "tracer-ebpf", None)?);
    crates.sort_by(|one, other| (&one.name, &one.version).cmp(&(&other.name, &other.version)));
    crates.dedup_by(|one, other| (&one.name, &one.version) == (&other.name, &other.version));
    let mut out =
        format!("{C_LIBRARY}\nThe crates that are linked into it, with what each says of its licence:\n\n");
    let mut texts: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for one in &crates {
        let remark = if one.texts.is_empty() { "; its package has no text" } else { "" };
        let _ = writeln!(out, "  {} {}: {}{remark}", one.name, one.version, one.licence);
        for (name, text) in &one.texts {
            texts.entry(text).or_default().insert(format!("{} {} ({name})", one.name, one.version));
        }
    }
    for (text, of) in texts {
        let of: Vec<String> = of.into_iter().collect();
        let _ = writeln!(out, "\n{}\nOf {}:\n\n{}", "-".repeat(78), of.join(", "), text.trim_end());
    }
    Ok(out)
}

/// Crates of other people that a crate is linked with: its dependencies but for those of builds and tests.
fn linked(manifest: &str, root: &str, target: Option<&str>) -> Result<Vec<Crate>> {
    let mut command = workspace::cargo();
    command.args(["metadata", "--format-version=1", "--locked", "--manifest-path", manifest]);
    command.args(target.into_iter().flat_map(|target| ["--filter-platform", target]));
    let output = command.output().context("cargo")?;
    ensure!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let packages: HashMap<String, Value> =
        list(&metadata["packages"]).into_iter().map(|package| (id(&package["id"]), package)).collect();
    let nodes: HashMap<String, Value> =
        list(&metadata["resolve"]["nodes"]).into_iter().map(|node| (id(&node["id"]), node)).collect();
    let first = packages.iter().find(|(_, package)| package["name"] == root);
    let mut waiting = vec![first.with_context(|| format!("no crate {root}"))?.0.clone()];
    let mut seen = HashSet::new();
    while let Some(next) = waiting.pop() {
        if !seen.insert(next.clone()) {
            continue;
        }
        for dependency in list(&nodes[&next]["deps"]) {
            if list(&dependency["dep_kinds"]).iter().any(|kind| kind["kind"].is_null()) {
                waiting.push(id(&dependency["pkg"]));
            }
        }
    }
    // Those without a source are ours.
    let theirs = seen.iter().map(|id| &packages[id]).filter(|package| !package["source"].is_null());
    theirs.map(read).collect()
}

fn id(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn read(package: &Value) -> Result<Crate> {
    let manifest = id(&package["manifest_path"]);
    let folder = Path::new(&manifest).parent().context("a manifest lies in a folder")?;
    let mut texts = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let lower = name.to_lowercase();
        if NAMES.iter().any(|start| lower.starts_with(start)) && entry.file_type()?.is_file() {
            texts.push((name, String::from_utf8_lossy(&fs::read(entry.path())?).into_owned()));
        }
    }
    texts.sort();
    Ok(Crate {
        name: id(&package["name"]),
        version: id(&package["version"]),
        licence: package["license"].as_str().unwrap_or("see its text").to_owned(),
        texts,
    })
}
