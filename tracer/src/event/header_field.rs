//! What every line can show beside the fields of its event.

/// What every line can show beside the event's own fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HeaderField {
    /// When.
    Time,
    /// CPU number.
    Cpu,
    /// Name of the thread.
    Comm,
    /// Process id.
    Pid,
    /// Thread id.
    Tid,
    /// Name of the event.
    Event,
    /// Id of the kernel stack.
    Stack,
    /// Family of events that are missing.
    LostFamily,
    /// How many are missing.
    LostCount,
}

impl HeaderField {
    /// Every one, in the order of a line.
    pub const ALL: [Self; 9] = [
        Self::Time,
        Self::Cpu,
        Self::Comm,
        Self::Pid,
        Self::Tid,
        Self::Event,
        Self::Stack,
        Self::LostFamily,
        Self::LostCount,
    ];

    /// The name in every output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Time => "time",
            Self::Cpu => "cpu",
            Self::Comm => "comm",
            Self::Pid => "pid",
            Self::Tid => "tid",
            Self::Event => "event",
            Self::Stack => "stack",
            Self::LostFamily => "lost_family",
            Self::LostCount => "lost_count",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use tracer_common::event::Kind;

    use super::*;

    #[test]
    fn names_are_unique_in_an_event_and_never_those_of_the_line() {
        let line: HashSet<_> = HeaderField::ALL.map(HeaderField::name).into_iter().chain(["type"]).collect();
        for &kind in Kind::ALL {
            let mut seen = HashSet::new();
            for field in kind.fields() {
                for name in [Some(field.name), field.raw].into_iter().flatten() {
                    assert!(seen.insert(name), "{name} twice in {}", kind.name());
                    assert!(!line.contains(name), "{name} of {}", kind.name());
                }
            }
        }
    }
}
