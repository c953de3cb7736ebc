//! What a trace file says about itself before its first event.

use serde::{Deserialize, Serialize};
use tracer_common::event::Kind;

use super::members::{FieldMeaning, MemberPlace};
use super::options::SessionOptions;
use crate::clock;
use crate::kernel::Description;
use crate::probe::PointReport;

/// The header of a trace file. A reader ignores fields that it does not know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FileHeader {
    /// Version of rmapscope that recorded.
    pub program_version: String,
    /// Name of the machine, as `uname -n`.
    #[serde(default)]
    pub host: String,
    /// The command line of rmapscope, one string an argument; U+FFFD for what is not UTF-8.
    #[serde(default)]
    pub command_line: Vec<String>,
    /// The command that was traced, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traced_command: Option<Vec<String>>,
    /// The clock of every time in the file.
    pub clock: Clock,
    /// `tracer_common::FORMAT_VERSION` of the recording program: the layout of the records.
    pub event_format: u32,
    /// Every kind of record that the file can hold.
    pub kinds: Vec<KindLayout>,
    /// Options in force.
    #[serde(default)]
    pub options: SessionOptions,
    /// What became of each probe point.
    #[serde(default)]
    pub probes: Vec<PointReport>,
    /// The kernel that was traced.
    pub kernel: Description,
}

/// A clock and its place in the world's time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clock {
    /// `CLOCK_MONOTONIC`.
    pub name: String,
    /// What is added to a time of the file for nanoseconds since 1970-01-01 UTC, as it was when the
    /// session began.
    pub realtime_offset: i64,
}

/// One kind of record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KindLayout {
    /// The number in a record's header.
    pub number: u16,
    /// The name in every output.
    pub name: String,
    /// Bytes of a whole record, a multiple of 8.
    pub size: u32,
    /// What its body is made of; empty in files of old versions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<MemberPlace>,
    /// What these say; for other readers than this one, which knows. Empty in files of old versions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<FieldMeaning>,
}

impl FileHeader {
    /// The header of a session on this machine that begins now; the caller fills in command lines, options
    /// and probes.
    pub fn new(kernel: Description) -> Self {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        Self {
            program_version: env!("CARGO_PKG_VERSION").to_owned(),
            host: host.trim_end().to_owned(),
            command_line: std::env::args_os().map(|arg| arg.to_string_lossy().into_owned()).collect(),
            traced_command: None,
            clock: Clock::now(),
            event_format: tracer_common::FORMAT_VERSION,
            kinds: KindLayout::all(),
            options: SessionOptions::default(),
            probes: Vec::new(),
            kernel,
        }
    }
}

impl Clock {
    /// `CLOCK_MONOTONIC` and its present distance from the time of day.
    pub fn now() -> Self {
        // The two readings are nanoseconds to microseconds apart; the earlier second one halves that.
        let before = clock::now().cast_signed();
        let realtime = clock::read(libc::CLOCK_REALTIME);
        let after = clock::now().cast_signed();
        let realtime_offset = realtime - (before + (after - before) / 2);
        Self { name: "CLOCK_MONOTONIC".to_owned(), realtime_offset }
    }
}

impl KindLayout {
    /// Every kind of this version.
    pub fn all() -> Vec<Self> {
        let layout = |kind: &Kind| Self {
            number: *kind as u16,
            name: kind.name().to_owned(),
            size: kind.record_size() as u32,
            members: kind.members().iter().map(MemberPlace::from).collect(),
            fields: kind.fields().iter().map(FieldMeaning::from).collect(),
        };
        Kind::ALL.iter().map(layout).collect()
    }

    /// The kind of this version, if it has one of that number and name.
    pub(super) fn kind(&self) -> Option<Kind> {
        Kind::from_number(self.number).filter(|kind| kind.name() == self.name)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn unknown_fields_are_ignored_and_optional_ones_may_be_absent() {
        let header = FileHeader::new(Description::default());
        let mut value = serde_json::to_value(&header).unwrap();
        value["a_field_of_the_future"] = Value::from(7);
        value["clock"]["another"] = Value::from("x");
        assert_eq!(serde_json::from_value::<FileHeader>(value.clone()).unwrap(), header);
        let fields = value.as_object_mut().unwrap();
        for field in ["host", "command_line", "options", "probes"] {
            fields.remove(field);
        }
        assert!(serde_json::from_value::<FileHeader>(value).is_ok());
    }

    #[test]
    fn the_clock_gives_the_time_of_day() {
        let found = Clock::now();
        let now =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos() as i64;
        let computed = clock::now().cast_signed() + found.realtime_offset;
        assert!((now - computed).abs() < 1_000_000_000, "{now} {computed}");
    }

    #[test]
    fn only_the_same_name_and_number_is_the_same_kind() {
        let mut layout = KindLayout::all().remove(0);
        assert!(layout.kind().is_some());
        layout.number += 1;
        assert_eq!(layout.kind(), None);
    }
}
