//! The document with the table: rows of kernels that are not recorded anew stay as they are.

use std::fmt;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context, Result};

const HEAD: &str = "\
# Kernels

Made by `cargo xtask matrix`: the demonstration workload, which states beforehand what it will do, recorded in a guest
of each kernel (2 emulated CPUs, 1 GiB, two NUMA nodes, `swiotlb=force`, an NVMe disk, swap on zram), compared with
what it stated, and judged by the rules.

*Attached*: probe points in use, of those in the catalogue for all kernels; no kernel has all. *Exact*: events of
which as many were seen as stated, of those with a statement that this kernel has a point for; without device memory
there is none about exclusive pages. *Rules*: how many of the family's were exercised, and what became of those; a rule
that nobody exercised is in neither of the last two columns unless something that it needs was missing.

5.15 is no kernel of Debian's suites: its rows are of an image that was built by hand, with `test_hmm`, and named by its
path. The cloud flavours have no 9p, without which a guest does not see its programs. Names that end with -arm64 are
of 64-bit Arm.

| kernel | release | family | attached | exact | rules exercised | passed | inconclusive or violated |
| --- | --- | --- | --- | --- | --- | --- | --- |
";

/// Rows by kernel, in the order in which they came.
#[derive(Debug, Default)]
pub struct Document {
    kernels: Vec<(String, Vec<String>)>,
}

impl Document {
    /// What the file has; nothing if there is none.
    pub fn read(path: &Path) -> Result<Self> {
        match fs::read_to_string(path) {
            Ok(text) => Ok(Self::parse(&text)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).with_context(|| path.display().to_string()),
        }
    }

    fn parse(text: &str) -> Self {
        let mut document = Self::default();
        for line in text.lines().skip(HEAD.lines().count()) {
            let Some(kernel) = line.strip_prefix("| ").and_then(|row| row.split_once(" |")) else { continue };
            match document.kernels.iter_mut().find(|(name, _)| name == kernel.0) {
                Some((_, rows)) => rows.push(line.into()),
                None => document.kernels.push((kernel.0.into(), vec![line.into()])),
            }
        }
        document
    }

    /// Replaces the rows of a kernel.
    pub fn set(&mut self, kernel: &str, rows: Vec<String>) {
        match self.kernels.iter_mut().find(|(name, _)| name == kernel) {
            Some((_, old)) => *old = rows,
            None => self.kernels.push((kernel.into(), rows)),
        }
    }
}

impl fmt::Display for Document {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(HEAD)?;
        self.kernels.iter().flat_map(|(_, rows)| rows).try_for_each(|row| writeln!(out, "{row}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_kernels_keep_their_rows() {
        let mut document = Document::default();
        document.set("6.1", vec!["| 6.1 | a |".into(), "| 6.1 | b |".into()]);
        document.set("7.3", vec!["| 7.3 | c |".into()]);
        let mut document = Document::parse(&document.to_string());
        document.set("7.3", vec!["| 7.3 | d |".into()]);
        let text = document.to_string();
        assert!(text.ends_with("| --- |\n| 6.1 | a |\n| 6.1 | b |\n| 7.3 | d |\n"), "{text}");
    }
}
