//! What a workload knows about the events that it caused: one JSON object a line.

use std::fs::{File, OpenOptions};
use std::io::{Write, stdout};
use std::path::Path;

use anyhow::Context;
use serde::{Deserialize, Serialize};

/// How often the kernel must have produced an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Count {
    /// The workload.
    pub label: String,
    /// The event's name, as rmapscope prints it.
    pub event: String,
    /// How many.
    pub expected: u64,
    /// The process whose task was running (`current`) when they happened; none when that is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// Whether there must be exactly `expected`; otherwise at least so many.
    pub exact: bool,
    /// Why only a lower bound is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bound: Option<String>,
}

/// One page of the workload, before the kernel worked on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// User address.
    pub address: u64,
    /// Page frame number; 0 when the process may not see it.
    pub pfn: u64,
}

/// The pages that a workload used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pages {
    /// The workload.
    pub label: String,
    /// The process that mapped them.
    pub pid: u32,
    /// The pages, by address.
    pub pages: Vec<Page>,
}

/// Input and output that was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Io {
    /// The workload.
    pub label: String,
    /// The process that asked for it.
    pub pid: u32,
    /// `read` or `write`.
    pub operation: String,
    /// Requests that succeeded.
    pub requests: u64,
    /// Bytes moved.
    pub bytes: u64,
}

/// Descriptors of one open file that a process has.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeldBy {
    /// The process.
    pub pid: u32,
    /// Their numbers, in order.
    pub descriptors: Vec<u32>,
}

/// Clients of a GPU that are held open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clients {
    /// The workload.
    pub label: String,
    /// By whom each is held.
    pub clients: Vec<Vec<HeldBy>>,
}

/// A workload that this machine cannot run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Skipped {
    /// The workload.
    pub label: String,
    /// Why it cannot run.
    pub skipped: String,
}

/// One line of a facts file. The five shapes are told apart by their fields.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Fact {
    /// Events that must have happened.
    Count(Count),
    /// Pages that were used.
    Pages(Pages),
    /// Input and output that was done.
    Io(Io),
    /// Clients that are held.
    Clients(Clients),
    /// What could not be done.
    Skipped(Skipped),
}

impl Fact {
    /// Reads the facts in `text`, one a line.
    ///
    /// # Errors
    /// When a line is not a fact; it is quoted.
    pub fn parse_lines(text: &str) -> anyhow::Result<Vec<Self>> {
        text.lines()
            .filter(|line| !line.trim().is_empty())
            .map(|line| serde_json::from_str(line).with_context(|| format!("not a fact: {line}")))
            .collect()
    }
}

/// Takes the facts of one process and writes them where the user wants them.
#[derive(Debug)]
pub struct Facts {
    label: String,
    file: Option<File>,
}

impl Facts {
    /// Facts of the workload `label`, for `path`, or for standard output.
    ///
    /// Every line is one `write(2)` in append mode, so that several processes can share a file.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn open(label: &str, path: Option<&Path>) -> anyhow::Result<Self> {
        let file = path
            .map(|path| {
                OpenOptions::new()
                    .create(true)
                    .append(true)
                    .open(path)
                    .with_context(|| format!("cannot open {}", path.display()))
            })
            .transpose()?;
        Ok(Self { label: label.to_owned(), file })
    }

    /// The current process must have caused exactly `expected` events.
    ///
    /// # Errors
    /// When the fact cannot be written; so for all methods that state a fact.
    pub fn exactly(&mut self, event: &str, expected: u64) -> anyhow::Result<()> {
        self.count(event, expected, Some(std::process::id()), None)
    }

    /// The current process must have caused at least `expected` events; `bound` says why it is not known exactly.
    ///
    /// # Errors
    /// When the fact cannot be written.
    pub fn at_least_own(&mut self, event: &str, expected: u64, bound: &str) -> anyhow::Result<()> {
        self.count(event, expected, Some(std::process::id()), Some(bound.to_owned()))
    }

    /// The whole system must have seen at least `expected` events, whatever task was running; `bound` says
    /// why it is not known exactly.
    ///
    /// # Errors
    /// When the fact cannot be written.
    pub fn at_least(&mut self, event: &str, expected: u64, bound: &str) -> anyhow::Result<()> {
        self.count(event, expected, None, Some(bound.to_owned()))
    }

    fn count(
        &mut self,
        event: &str,
        expected: u64,
        pid: Option<u32>,
        bound: Option<String>,
    ) -> anyhow::Result<()> {
        let fact = Fact::Count(Count {
            label: self.label.clone(),
            event: event.to_owned(),
            expected,
            pid,
            exact: bound.is_none(),
            bound,
        });
        self.write(&fact)
    }

    /// The current process used these pages.
    ///
    /// # Errors
    /// When the fact cannot be written.
    pub fn pages(&mut self, pages: Vec<Page>) -> anyhow::Result<()> {
        let fact = Fact::Pages(Pages { label: self.label.clone(), pid: std::process::id(), pages });
        self.write(&fact)
    }

    /// The current process did this input or output.
    ///
    /// # Errors
    /// When the fact cannot be written.
    pub fn io(&mut self, operation: &str, requests: u64, bytes: u64) -> anyhow::Result<()> {
        let fact = Fact::Io(Io {
            label: self.label.clone(),
            pid: std::process::id(),
            operation: operation.to_owned(),
            requests,
            bytes,
        });
        self.write(&fact)
    }

    /// These clients are held now.
    ///
    /// # Errors
    /// When the fact cannot be written.
    pub fn clients(&mut self, clients: Vec<Vec<HeldBy>>) -> anyhow::Result<()> {
        self.write(&Fact::Clients(Clients { label: self.label.clone(), clients }))
    }

    /// The workload `label` cannot run here.
    ///
    /// # Errors
    /// When the fact cannot be written.
    pub fn skipped(&mut self, label: &str, reason: &str) -> anyhow::Result<()> {
        self.write(&Fact::Skipped(Skipped { label: label.to_owned(), skipped: reason.to_owned() }))
    }

    fn write(&mut self, fact: &Fact) -> anyhow::Result<()> {
        let mut line = serde_json::to_string(fact)?;
        line.push('\n');
        match &mut self.file {
            Some(file) => file.write_all(line.as_bytes()).context("cannot write the facts")?,
            None => stdout().write_all(line.as_bytes()).context("cannot write the facts")?,
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_survives_a_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut facts = Facts::open("mlock", Some(file.path())).unwrap();
        facts.exactly("mlock_folio", 64).unwrap();
        facts.at_least("swiotlb_map", 8, "shared device").unwrap();
        facts.pages(vec![Page { address: 0x7f00_0000_1000, pfn: 0x1234 }]).unwrap();
        facts.io("read", 8, 32768).unwrap();
        facts.skipped("migrate", "one NUMA node").unwrap();

        let read = Fact::parse_lines(&std::fs::read_to_string(file.path()).unwrap()).unwrap();
        assert!(matches!(&read[0], Fact::Count(count) if count.exact && count.expected == 64));
        assert!(matches!(&read[1], Fact::Count(count) if !count.exact));
        assert!(matches!(&read[2], Fact::Pages(pages) if pages.pages[0].pfn == 0x1234));
        assert!(matches!(&read[3], Fact::Io(io) if io.bytes == 32768));
        assert!(matches!(&read[4], Fact::Skipped(skipped) if skipped.label == "migrate"));
    }

    #[test]
    fn a_line_that_is_no_fact_is_quoted() {
        let error = Fact::parse_lines("{\"event\":1}\n").unwrap_err();
        assert!(error.to_string().contains("{\"event\":1}"));
    }
}
