//! Looks one after the other, at the cost of clients where that is possible.
//!
//! Where debugfs can be read, the DRM core says who has opened a node. As long as its list is the one that it was at the
//! last look at all open files, only processes that hold a client are looked at again. What the list does not show, a
//! descriptor that was passed on, is found by looking at everything once a minute; how much that was is counted.

use std::collections::BTreeSet;
use std::io;

use super::listed::Listed;
use super::look::{Look, Scope};
use super::nodes::Majors;
use crate::clock;
use crate::kernel::SystemFiles;

/// Nanoseconds after which everything is looked at, whatever the list says.
const RESYNC: u64 = 60_000_000_000;

/// Looks at clients, and remembers where they were.
#[derive(Debug, Default)]
pub struct Looks {
    before: Option<Before>,
}

/// The last look at everything.
#[derive(Debug)]
struct Before {
    time: u64,
    listed: Listed,
    /// Listed clients that no open file was found of.
    beyond: u64,
    /// Processes that hold a client.
    holders: BTreeSet<u32>,
    /// Processes that could not be looked at.
    denied: u64,
}

impl Looks {
    /// The next look.
    ///
    /// # Errors
    /// When there is no procfs, or it cannot be listed.
    pub fn next(&mut self, system: &SystemFiles) -> io::Result<Look> {
        self.at(system, clock::now())
    }

    /// As if it were that time now.
    fn at(&mut self, system: &SystemFiles, now: u64) -> io::Result<Look> {
        let began = clock::now();
        let mut look = self.look(system, now)?;
        look.effort.time = clock::now().saturating_sub(began);
        Ok(look)
    }

    fn look(&mut self, system: &SystemFiles, now: u64) -> io::Result<Look> {
        // What is opened after this is in the next list.
        let majors = Majors::read(system);
        let listed = Listed::read(system, &majors);
        let is_same = |before: &&Before| Some(&before.listed) == listed.as_ref();
        let same = self.before.as_ref().filter(is_same);
        if let Some(before) = same.filter(|before| now.saturating_sub(before.time) < RESYNC) {
            let mut look = Look::take(system, &majors, Scope::Processes(&before.holders))?;
            // A client whose holders have all passed it on is with somebody else now.
            if beyond(&before.listed, &look) <= before.beyond {
                look.effort.denied = before.denied;
                look.effort.unheld = Some(before.beyond);
                return Ok(look);
            }
        }
        let mut look = Look::take(system, &majors, Scope::Everything)?;
        let holders = look.clients.iter().flat_map(|client| &client.holders).map(|holder| holder.pid);
        let holders: BTreeSet<u32> = holders.collect();
        look.effort.missed = same.map_or(0, |before| holders.difference(&before.holders).count() as u64);
        self.before = listed.map(|listed| {
            let beyond = beyond(&listed, &look);
            Before { time: now, listed, beyond, holders, denied: look.effort.denied }
        });
        look.effort.unheld = self.before.as_ref().map(|before| before.beyond);
        Ok(look)
    }
}

fn beyond(listed: &Listed, look: &Look) -> u64 {
    listed.beyond(look.clients.iter().map(|client| client.number))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use super::*;

    const HEADING: &str = "             command  tgid dev master a   uid      magic\n";

    /// A process that holds one client.
    fn add_client(root: &Path, pid: u32, id: u64) {
        let folder = root.join(format!("proc/{pid}"));
        fs::create_dir_all(folder.join("fd")).unwrap();
        fs::create_dir_all(folder.join("fdinfo")).unwrap();
        fs::write(folder.join("stat"), format!("{pid} (a) S 1")).unwrap();
        symlink("/dev/dri/renderD128", folder.join("fd/3")).unwrap();
        fs::write(folder.join("fdinfo/3"), format!("drm-driver: i915\ndrm-client-id: {id}\n")).unwrap();
    }

    fn list(root: &Path, pids: &[u32]) {
        let lines =
            pids.iter().map(|pid| format!("                   a {pid:5} 128   n    y     0          0\n"));
        fs::write(
            root.join("sys/kernel/debug/dri/128/clients"),
            HEADING.to_owned() + &lines.collect::<String>(),
        )
        .unwrap();
    }

    #[test]
    fn as_long_as_nobody_opens_a_node_only_holders_are_looked_at() {
        let files = [
            ("proc/self/mounts", "none /sys/kernel/debug debugfs rw 0 0\n"),
            ("proc/devices", "Character devices:\n226 drm\n"),
            ("proc/1/stat", "1 (init) S 0"),
            ("proc/1/fd/none", ""),
            ("sys/kernel/debug/dri/128/clients", HEADING),
            ("dev/dri/renderD128", "226:128"),
        ];
        let (root, system) = SystemFiles::made_of(&files);
        let root = root.path();
        add_client(root, 7, 1);
        list(root, &[7]);
        let mut looks = Looks::default();
        let mut seen = || {
            let look = looks.next(&system).unwrap();
            (look.effort.holders_alone, look.effort.processes, look.clients.len(), look.effort.unheld)
        };
        assert_eq!(seen(), (false, 2, 1, Some(0)));
        assert_eq!(seen(), (true, 1, 1, Some(0)));
        // Somebody opens another one.
        add_client(root, 8, 2);
        list(root, &[7, 8]);
        assert_eq!(seen(), (false, 3, 2, Some(0)));
        assert_eq!(seen(), (true, 2, 2, Some(0)));
        // Passed on to a new process, and closed: the list is the same, but the client is not found where it was.
        fs::remove_dir_all(root.join("proc/8")).unwrap();
        add_client(root, 9, 2);
        assert_eq!(seen(), (false, 3, 2, Some(0)));
        // Nothing but a mapping is left.
        fs::remove_file(root.join("proc/9/fd/3")).unwrap();
        assert_eq!(seen(), (false, 3, 1, Some(1)));
        assert_eq!(seen(), (true, 1, 1, Some(1)));
    }

    #[test]
    fn what_the_list_does_not_show_is_found_after_a_while_and_counted() {
        let files = [
            ("proc/self/mounts", "none /sys/kernel/debug debugfs rw 0 0\n"),
            ("proc/devices", "Character devices:\n226 drm\n"),
            ("sys/kernel/debug/dri/128/clients", HEADING),
            ("dev/dri/renderD128", "226:128"),
        ];
        let (root, system) = SystemFiles::made_of(&files);
        add_client(root.path(), 7, 1);
        list(root.path(), &[7]);
        let mut looks = Looks::default();
        looks.at(&system, 1).unwrap();
        // A second holder of the same client.
        add_client(root.path(), 8, 1);
        let mut seen = |now| {
            let look = looks.at(&system, now).unwrap();
            (look.effort.missed, look.clients[0].holders.len())
        };
        assert_eq!(seen(RESYNC), (0, 1));
        assert_eq!(seen(RESYNC + 1), (1, 2));
        assert_eq!(seen(RESYNC + 2), (0, 2));
    }

    #[test]
    fn without_a_list_everything_is_looked_at() {
        let (_root, system) = SystemFiles::made_of(&[("proc/devices", "Character devices:\n226 drm\n")]);
        let mut looks = Looks::default();
        for _ in 0..2 {
            let effort = looks.next(&system).unwrap().effort;
            assert_eq!((effort.holders_alone, effort.unheld), (false, None));
        }
    }
}
