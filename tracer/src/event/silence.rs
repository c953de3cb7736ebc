//! Attached is not able to fire: times in which probes were in place and could not tell anything.

use serde::{Deserialize, Serialize};

use super::Summary;

/// Probes that were attached and could not fire, for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silence {
    /// Why, without the time: `kernel.ftrace_enabled was 0`.
    pub reason: String,
    /// What helps.
    #[serde(default)]
    pub remedy: String,
    /// Points that did not tell everything, by name.
    pub points: Vec<String>,
    /// In how many stretches.
    pub times: u64,
    /// It began after this time (`CLOCK_MONOTONIC`, nanoseconds).
    pub after: u64,
    /// It ended before this time.
    pub before: u64,
}

impl Silence {
    /// At no known time: it is in how the kernel was built.
    pub const ALWAYS: (u64, u64) = (0, u64::MAX);

    /// Why and when, without a full stop.
    pub fn sentence(&self, summary: &Summary) -> String {
        let begin = if summary.attached == 0 { summary.begin } else { summary.attached };
        let end = if summary.decided == 0 { summary.end } else { summary.decided };
        if (self.after, self.before) == Self::ALWAYS {
            return self.reason.clone();
        }
        if self.times <= 1 && self.after <= begin && self.before >= end {
            return format!("{} during the whole session", self.reason);
        }
        let seconds = |time: u64| time.saturating_sub(begin) as f64 / 1e9;
        let times = if self.times > 1 { format!("{} times", self.times) } else { "for a time".to_owned() };
        format!(
            "{} {times}, between {:.3} s and {:.3} s after the start",
            self.reason,
            seconds(self.after),
            seconds(self.before)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_say_when() {
        let summary = Summary { begin: 1, attached: 1000, decided: 5_000_001_000, ..Summary::default() };
        let silence = |times, after, before| Silence {
            reason: "kernel.ftrace_enabled was 0".to_owned(),
            remedy: String::new(),
            points: Vec::new(),
            times,
            after,
            before,
        };
        for (silence, expected) in [
            (silence(1, 1, 5_000_002_000), "kernel.ftrace_enabled was 0 during the whole session"),
            (
                silence(1, 1, 500_001_000),
                "kernel.ftrace_enabled was 0 for a time, between 0.000 s and 0.500 s after the start",
            ),
            (
                silence(3, 100_001_000, 5_000_002_000),
                "kernel.ftrace_enabled was 0 3 times, between 0.100 s and 5.000 s after the start",
            ),
            (silence(1, 0, u64::MAX), "kernel.ftrace_enabled was 0"),
        ] {
            assert_eq!(silence.sentence(&summary), expected);
        }
    }
}
