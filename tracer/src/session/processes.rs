//! Who lived when the session began.

use std::fs;

use crate::event::ProcessEntry;

/// Every thread of this machine, read from /proc. Those that end meanwhile are left out.
pub fn living() -> Vec<ProcessEntry> {
    let mut entries = Vec::new();
    for pid in numbers("/proc") {
        let Some(parent) = parent(pid) else { continue };
        for tid in numbers(&format!("/proc/{pid}/task")) {
            let Ok(name) = fs::read(format!("/proc/{pid}/task/{tid}/comm")) else { continue };
            let comm = String::from_utf8_lossy(name.strip_suffix(b"\n").unwrap_or(&name)).into_owned();
            entries.push(ProcessEntry { pid, tid, parent, comm });
        }
    }
    entries
}

fn numbers(directory: &str) -> impl Iterator<Item = u32> {
    fs::read_dir(directory)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

fn parent(pid: u32) -> Option<u32> {
    field(&fs::read_to_string(format!("/proc/{pid}/status")).ok()?, "PPid:")
}

pub fn field(status: &str, name: &str) -> Option<u32> {
    status.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_thread_lives() {
        let pid = std::process::id();
        let entries = living();
        let own = entries.iter().find(|entry| entry.pid == pid).expect("this process lives");
        assert_ne!(own.parent, 0);
    }
}
