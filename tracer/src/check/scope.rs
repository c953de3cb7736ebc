//! Whom a session watched.

use crate::trace_file::{FileHeader, SessionOptions};

/// The tasks that were watched, in words; `None` for the whole system.
///
/// What others do for them is not seen then: kswapd unmaps and kcompactd migrates the pages of everybody.
pub fn watched(header: &FileHeader) -> Option<String> {
    let SessionOptions { pid, tid, comm, cgroup, all, .. } = &header.options;
    let list = |what: &str, values: Vec<String>| {
        (!values.is_empty()).then(|| format!("{what} {}", values.join(", ")))
    };
    let numbers = |ids: &[u32]| ids.iter().map(u32::to_string).collect();
    let parts = [
        list("processes", numbers(pid)),
        list("threads", numbers(tid)),
        list("names", comm.clone()),
        list("the cgroup", cgroup.iter().cloned().collect()),
    ];
    let mut parts: Vec<String> = parts.into_iter().flatten().collect();
    if header.traced_command.is_some() && !all && parts.is_empty() {
        parts.push("the command and its children".to_owned());
    }
    (!parts.is_empty()).then(|| parts.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Description;

    fn watched_with(options: SessionOptions, command: bool) -> Option<String> {
        let mut header = FileHeader::new(Description::default());
        header.traced_command = command.then(|| vec!["true".to_owned()]);
        header.options = options;
        watched(&header)
    }

    #[test]
    fn filters_are_told() {
        let none = SessionOptions::default();
        assert_eq!(watched_with(none.clone(), false), None);
        assert_eq!(watched_with(none.clone(), true).as_deref(), Some("the command and its children"));
        let all = SessionOptions { all: true, ..none };
        assert_eq!(watched_with(all.clone(), true), None);
        let some = SessionOptions {
            pid: vec![1, 2],
            comm: vec!["a*".to_owned()],
            cgroup: Some("/x".to_owned()),
            ..all
        };
        assert_eq!(watched_with(some, true).as_deref(), Some("processes 1, 2; names a*; the cgroup /x"));
    }
}
