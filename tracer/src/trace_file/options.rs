//! The options of a session, as its trace file keeps them.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::probe::Preference;

/// Options in force, by the long name of each on the command line. A reader ignores those that it does not know, and
/// takes those that are absent for not given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct SessionOptions {
    /// The whole system was watched, command or not.
    pub all: bool,
    /// The ways to attach that were allowed; `None` where the file does not say, or says what this version does not
    /// know.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "known")]
    pub attach: Option<Preference>,
    /// Bytes of the rings of all CPUs.
    pub buffer: u64,
    /// A directory of the cgroup v2 tree, below which tasks were watched.
    pub cgroup: Option<String>,
    /// Patterns of names that were watched.
    pub comm: Vec<String>,
    /// Names of events and families; empty for all.
    pub event: Vec<String>,
    /// Times of calls were measured.
    pub latency: bool,
    /// Nanoseconds below which calls were left out.
    pub min_latency: Option<u64>,
    /// Children of watched processes were not watched.
    pub no_inherit: bool,
    /// VMAs that reverse-map walks visit had events.
    pub per_vma: bool,
    /// Processes that were watched.
    pub pid: Vec<u32>,
    /// Kernel stacks were taken.
    pub stacks: bool,
    /// Threads that were watched.
    pub tid: Vec<u32>,
}

impl SessionOptions {
    /// Whether they leave tasks out.
    pub fn narrow_tasks(&self) -> bool {
        !(self.pid.is_empty() && self.tid.is_empty() && self.comm.is_empty()) || self.cgroup.is_some()
    }
}

/// A value of a later version is none.
fn known<'de, T: DeserializeOwned, D: Deserializer<'de>>(source: D) -> Result<Option<T>, D::Error> {
    Value::deserialize(source).map(|value| serde_json::from_value(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes that every version has written.
    const WRITTEN: &str = concat!(
        r#"{"all":false,"attach":"kprobe","buffer":8388608,"cgroup":null,"comm":["a*"],"event":["fork"],"#,
        r#""latency":true,"min-latency":1000,"no-inherit":false,"per-vma":false,"pid":[1],"stacks":false,"tid":[]}"#
    );

    #[test]
    fn the_names_are_those_of_the_command_line() {
        let options = SessionOptions {
            attach: Some(Preference::Kprobe),
            buffer: 8 << 20,
            comm: vec!["a*".to_owned()],
            event: vec!["fork".to_owned()],
            latency: true,
            min_latency: Some(1000),
            pid: vec![1],
            ..SessionOptions::default()
        };
        assert_eq!(serde_json::to_string(&options).unwrap(), WRITTEN);
        assert_eq!(serde_json::from_str::<SessionOptions>(WRITTEN).unwrap(), options);
    }

    #[test]
    fn other_versions_are_read() {
        let later = r#"{"attach":"multi","latency":true,"uprobes":[7]}"#;
        let options = SessionOptions { latency: true, ..SessionOptions::default() };
        assert_eq!(serde_json::from_str::<SessionOptions>(later).unwrap(), options);
        assert_eq!(serde_json::from_str::<SessionOptions>("{}").unwrap(), SessionOptions::default());
    }
}
