//! What tells the rows of one session from those of another.

use chrono::{DateTime, Utc};

use crate::trace_file::FileHeader;

/// A session and its place in the world's time.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) host: String,
    pub(super) release: String,
    name: String,
    /// Of its clock from 1970 UTC, in nanoseconds.
    offset: i64,
    start: Option<u64>,
}

impl Session {
    pub(super) fn new(header: &FileHeader) -> Self {
        Self {
            host: header.host.clone(),
            release: header.kernel.release.clone(),
            name: String::new(),
            offset: header.clock.realtime_offset,
            start: None,
        }
    }

    /// The session begins at this time, if it did not yet.
    pub(super) fn begin(&mut self, time: u64) {
        if self.start.is_none() {
            self.start = Some(time);
            let safe = |character: char| match character {
                'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '_' => character,
                _ => '-',
            };
            let host: String = self.host.chars().map(safe).collect();
            self.name = format!("{host}-{}", self.moment(time).format("%Y%m%dT%H%M%S.%9fZ"));
        }
    }

    /// The machine and the moment of the first event: the same whenever the same trace is exported.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Nanoseconds since 1970 UTC.
    pub(super) fn utc(&self, time: u64) -> i64 {
        time.cast_signed().saturating_add(self.offset)
    }

    fn moment(&self, time: u64) -> DateTime<Utc> {
        DateTime::from_timestamp_nanos(self.utc(time))
    }

    /// The day in UTC, `YYYY-MM-DD`.
    pub(super) fn date(&self, time: u64) -> String {
        self.moment(time).format("%Y-%m-%d").to_string()
    }

    /// Nanoseconds since the first event.
    pub(super) fn since_start(&self, time: u64) -> i64 {
        time.cast_signed().saturating_sub(self.start.unwrap_or(time).cast_signed())
    }

    /// The line of kernels that this one is of: `6.12.y`.
    pub(super) fn kernel(&self) -> String {
        let digits = |part: &str| part.chars().take_while(char::is_ascii_digit).collect::<String>();
        let mut parts = self.release.split('.');
        let major = parts.next().map(digits).unwrap_or_default();
        let minor = parts.next().map(digits).unwrap_or_default();
        format!("{major}.{minor}.y")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Description;

    #[test]
    fn names_fit_into_paths() {
        let mut header = FileHeader::new(Description::default());
        header.host = "a/../b c".to_owned();
        header.kernel.release = "6.12-rc3-x".to_owned();
        header.clock.realtime_offset = 1_700_000_000_000_000_000;
        let mut session = Session::new(&header);
        session.begin(5);
        session.begin(7);
        assert_eq!(session.name(), "a-..-b-c-20231114T221320.000000005Z");
        assert_eq!(session.kernel(), "6.12.y");
        assert_eq!(session.date(5), "2023-11-14");
        assert_eq!(session.since_start(7), 2);
    }
}
