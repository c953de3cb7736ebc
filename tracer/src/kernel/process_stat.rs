//! `/proc/PID/stat` (proc_pid_stat(5)), of which the name may look like anything.

/// What it says of a process or thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessStat {
    /// What it calls itself. Escape it.
    pub comm: String,
    /// Its `PF_` flags, field 9.
    pub flags: u64,
    /// When it was started, in clock ticks since boot, field 22.
    pub start: u64,
}

impl ProcessStat {
    /// What the text says; what is not in it is empty or 0.
    pub fn parse(text: &str) -> Self {
        // The name, which comes first, may have parentheses of its own.
        let (front, rest) = text.rsplit_once(')').unwrap_or_default();
        let comm = front.split_once('(').map_or("", |(_, comm)| comm);
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        // Behind the name comes the state, which is field 3.
        let number = |field: usize| fields.get(field - 3).and_then(|text| text.parse().ok()).unwrap_or(0);
        Self { comm: comm.to_owned(), flags: number(9), start: number(22) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_may_look_like_anything() {
        let stat = ProcessStat::parse("7 (a) R 1) S 1 1 1 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 1 0 4711 0 0\n");
        assert_eq!(stat, ProcessStat { comm: "a) R 1".to_owned(), flags: 4_194_560, start: 4711 });
        for text in ["", ")", "(", "7 (a", "7 a) S"] {
            assert_eq!(ProcessStat::parse(text).start, 0, "{text}");
        }
    }
}
