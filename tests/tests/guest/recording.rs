//! What one session left behind, read on the host.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail, ensure};
use rmapscope_tests::workload::{Count, Fact, Page};
use serde_json::Value;

use crate::verdict;

/// One session of `sessions.sh`.
#[derive(Debug)]
pub struct Session {
    folder: PathBuf,
    program: PathBuf,
}

impl Session {
    /// The session in `folder`, to be read with the program `rmapscope` at `program`.
    pub fn open(folder: PathBuf, program: &Path) -> anyhow::Result<Self> {
        ensure!(folder.is_dir(), "the guest did not run this session: there is no {}", folder.display());
        let session = Self { folder, program: program.to_owned() };
        // A second choice would do the work, but none of these kernels refuses a program that is right.
        let said = session.said();
        let refusal = said.lines().find(|line| line.contains("because the kernel refused"));
        ensure!(refusal.is_none(), "a second choice was attached: {}", refusal.unwrap_or_default());
        Ok(session)
    }

    /// A file of the session.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The text of a file of the session.
    pub fn text(&self, name: &str) -> anyhow::Result<String> {
        let path = self.file(name);
        let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The name of the device whose DMA it is about.
    pub fn device(&self) -> anyhow::Result<String> {
        let path = self.text("device")?;
        Ok(path.trim().rsplit('/').next().context("no device")?.to_owned())
    }

    /// Exit status of the recording.
    pub fn status(&self) -> anyhow::Result<i32> {
        Ok(self.text("status")?.trim().parse()?)
    }

    /// An error with what the program said when its status is another one.
    pub fn expect_status(&self, expected: i32) -> anyhow::Result<()> {
        let status = self.status()?;
        ensure!(
            status == expected,
            "status {status} instead of {expected}; it said:\n{}",
            self.text("stderr")?
        );
        Ok(())
    }

    /// What the workloads stated.
    pub fn facts(&self) -> anyhow::Result<Vec<Fact>> {
        Fact::parse_lines(&self.text("facts")?)
    }

    /// The counts among the facts.
    pub fn counts(&self) -> anyhow::Result<Vec<Count>> {
        let counts = self.facts()?.into_iter().filter_map(|fact| match fact {
            Fact::Count(count) => Some(count),
            _ => None,
        });
        Ok(counts.collect())
    }

    /// The pages of the one workload of the session and its process.
    pub fn pages(&self) -> anyhow::Result<(u32, Vec<Page>)> {
        let pages = self.facts()?.into_iter().find_map(|fact| match fact {
            Fact::Pages(pages) => Some((pages.pid, pages.pages)),
            _ => None,
        });
        pages.with_context(|| format!("no workload stated its pages; the session said:\n{}", self.said()))
    }

    /// Judges the trace file of a check again: the verdict must be the live one, byte for byte, in every form.
    pub fn expect_same_verdict_of_file(&self) -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let mut check = Command::new(&self.program);
        check.args(["check", "-i"]).arg(self.file("trace.data"));
        check.args(["--kcidb-origin", "rmapscope", "--kcidb-build", "rmapscope:guest"]);
        for form in verdict::FORMS {
            check.arg(format!("--{form}")).arg(folder.path().join(form));
        }
        let output = check.output().with_context(|| format!("cannot run {}", self.program.display()))?;
        let said = String::from_utf8_lossy(&output.stderr);
        let status = self.status()?;
        ensure!(output.status.code() == Some(status), "{}, live it was {status}: {said}", output.status);
        for form in verdict::FORMS {
            let again = String::from_utf8_lossy(&fs::read(folder.path().join(form))?).into_owned();
            let live = self.text(&format!("verdict.{form}"))?;
            let difference = live.lines().zip(again.lines()).find(|(live, again)| live != again);
            ensure!(live == again, "the {form} of the file is another one: {difference:?}");
        }
        Ok(())
    }

    /// What the session said on standard error.
    pub fn said(&self) -> String {
        self.text("stderr").unwrap_or_default()
    }

    /// Reads the trace file.
    pub fn recording(&self) -> anyhow::Result<Recording> {
        let file = self.file("trace.data");
        ensure!(file.exists(), "no trace file; the session said:\n{}", self.said());
        let output = Command::new(&self.program)
            .args(["script", "-f", "json", "-i"])
            .arg(&file)
            .output()
            .with_context(|| format!("cannot run {}", self.program.display()))?;
        let status = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.success(), "script {}: {}: {status}", file.display(), output.status);
        let lines = String::from_utf8(output.stdout).context("script printed something that is not UTF-8")?;
        Recording::parse(&lines, status)
    }

    /// Compares every stated count of these events with the recording.
    pub fn check_counts(&self, recording: &Recording, events: &[&str]) -> anyhow::Result<()> {
        let counts = self.counts()?;
        for event in events {
            ensure!(
                counts.iter().any(|count| count.event == *event),
                "no workload stated a count of {event}; the session said:\n{}",
                self.said()
            );
        }
        let mut wrong = Vec::new();
        for count in counts.iter().filter(|count| events.contains(&count.event.as_str())) {
            let of_process = |event: &&Event| count.pid.is_none_or(|pid| event.pid() == Some(pid.into()));
            let seen = recording.of(&count.event).filter(of_process).count() as u64;
            if seen < count.expected || count.exact && seen > count.expected {
                wrong.push(format!(
                    "{} of {}: {seen} instead of {}{}",
                    count.event,
                    count.label,
                    if count.exact { "" } else { "at least " },
                    count.expected
                ));
            }
        }
        ensure!(wrong.is_empty(), "{}; the session said:\n{}", wrong.join("; "), self.said());
        Ok(())
    }
}

/// One event as `script -f json` prints it.
#[derive(Debug)]
pub struct Event(Value);

impl Event {
    /// A field; an error that shows the event when there is none.
    pub fn field(&self, name: &str) -> anyhow::Result<&Value> {
        self.0.get(name).with_context(|| format!("no field {name} in {}", self.0))
    }

    /// A number, printed as such, as a hexadecimal string, or as true or false.
    pub fn number(&self, name: &str) -> anyhow::Result<u64> {
        number_in(self.field(name)?).with_context(|| format!("{name} is no number in {}", self.0))
    }

    /// The text of a field, whatever its type.
    pub fn text(&self, name: &str) -> anyhow::Result<String> {
        let value = self.field(name)?;
        Ok(value.as_str().map_or_else(|| value.to_string(), str::to_owned))
    }

    /// Whether a field that is printed as names, in a list or as text, has that name.
    pub fn has_word(&self, field: &str, word: &str) -> anyhow::Result<bool> {
        let text = self.text(field)?;
        Ok(text
            .split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')
            .any(|name| name == word))
    }

    /// Kind and page frame of a decoded page-table entry; frame 0 for entries without.
    pub fn entry(&self, field: &str) -> anyhow::Result<(String, u64)> {
        let entry = self.field(field)?;
        let kind = entry["kind"].as_str().with_context(|| format!("{field} has no kind: {}", self.0))?;
        Ok((kind.to_owned(), number_in(&entry["pfn"]).unwrap_or(0)))
    }

    /// The process that was running.
    pub fn pid(&self) -> Option<u64> {
        self.0.get("pid")?.as_u64()
    }

    /// The whole event.
    pub fn json(&self) -> &Value {
        &self.0
    }
}

fn number_in(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => u64::from_str_radix(text.strip_prefix("0x")?, 16).ok(),
        Value::Bool(truth) => Some(u64::from(*truth)),
        _ => None,
    }
}

/// What `script -f json` printed, by the type of the line.
#[derive(Debug, Default)]
pub struct Recording {
    events: Vec<Event>,
    others: BTreeMap<String, Vec<Value>>,
    status: String,
}

impl Recording {
    fn parse(lines: &str, status: String) -> anyhow::Result<Self> {
        let mut recording = Self { status, ..Self::default() };
        for line in lines.lines() {
            let value: Value = serde_json::from_str(line).with_context(|| format!("not JSON: {line}"))?;
            match value.get("type").and_then(Value::as_str) {
                Some("event") => recording.events.push(Event(value)),
                Some(kind) => recording.others.entry(kind.to_owned()).or_default().push(value),
                None => bail!("a line without a type: {line}"),
            }
        }
        Ok(recording)
    }

    /// All events, in their order.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// The events of that name.
    pub fn of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Event> {
        self.events.iter().filter(move |event| event.0["event"] == name)
    }

    /// The lines of another type than `event`.
    pub fn lines(&self, kind: &str) -> &[Value] {
        self.others.get(kind).map_or(&[], Vec::as_slice)
    }

    /// The summary at the end.
    pub fn summary(&self) -> anyhow::Result<&Value> {
        self.lines("summary").last().context("the recording has no summary")
    }

    /// A number of the summary, by its group and name; 0 when it is not there.
    pub fn total(&self, group: &str, name: &str) -> anyhow::Result<u64> {
        Ok(self.summary()?[group][name].as_u64().unwrap_or(0))
    }

    /// Nothing was lost in any way.
    pub fn check_complete(&self) -> anyhow::Result<()> {
        ensure!(self.lines("loss").is_empty(), "events were lost: {:?}", self.lines("loss"));
        let summary = self.summary()?;
        for group in ["lost", "missed", "dropped", "unpaired"] {
            let counts = summary[group].as_object().cloned().unwrap_or_default();
            ensure!(counts.values().all(|count| count.as_u64() == Some(0)), "{group}: {counts:?}");
        }
        Ok(())
    }

    /// What `script` said on standard error.
    pub fn status(&self) -> &str {
        &self.status
    }
}
