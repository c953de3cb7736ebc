//! The DRM core's own list of clients, in debugfs: who is there, at the cost of clients. It has those of every driver,
//! also without a descriptor, but not which process holds them.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use super::nodes::{DeviceNumber, Majors, NodeKind};
use crate::kernel::SystemFiles;

/// Folders of debugfs with a folder for each node, and the major number of those nodes.
const FOLDERS: [(&str, NodeKind); 2] = [("dri", NodeKind::Drm), ("accel", NodeKind::Accel)];

/// Bytes of the first column, the command (6.12 drivers/gpu/drm/drm_debugfs.c, `drm_clients_info`). It may look like
/// anything.
const COMMAND: usize = 20;

/// Clients of each device node, and by which process each was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listed(BTreeMap<DeviceNumber, Vec<u32>>);

impl Listed {
    /// What the kernel lists now; `None` where it does not list all: debugfs cannot be read, or there are drivers that are
    /// none of the DRM core's.
    pub fn read(system: &SystemFiles, majors: &Majors) -> Option<Self> {
        let place = system.mount_point("debugfs")?;
        let mut listed = Self::default();
        for kind in majors.loaded() {
            let (folder, _) = FOLDERS.iter().find(|(_, of)| *of == kind)?;
            listed.folder(system, &place.join(folder), majors.number(kind)?)?;
        }
        Some(listed)
    }

    fn folder(&mut self, system: &SystemFiles, folder: &Path, major: u32) -> Option<()> {
        for entry in std::fs::read_dir(system.path(folder)).ok()? {
            let name = entry.ok()?.file_name();
            let Some(minor) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
            match system.text(folder.join(&name).join("clients")) {
                Ok(text) => self.add(DeviceNumber { major, minor }, &text),
                // The device went.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(_) => return None,
            }
        }
        Some(())
    }

    /// Each node of a device has the list of all of them.
    fn add(&mut self, number: DeviceNumber, text: &str) {
        let mut openers = Vec::new();
        for line in text.lines().skip(1) {
            let mut columns = line.get(COMMAND..).unwrap_or_default().split_ascii_whitespace();
            let pid = columns.next().and_then(|text| text.parse::<u32>().ok());
            let minor = columns.next().and_then(|text| text.parse::<u32>().ok());
            openers.extend(pid.filter(|_| minor == Some(number.minor)));
        }
        if !openers.is_empty() {
            openers.sort_unstable();
            self.0.insert(number, openers);
        }
    }

    /// How many clients are listed beyond those that were found.
    pub fn beyond(&self, found: impl Iterator<Item = DeviceNumber>) -> u64 {
        let mut left: BTreeMap<DeviceNumber, u64> =
            self.0.iter().map(|(number, openers)| (*number, openers.len() as u64)).collect();
        for number in found {
            left.entry(number).and_modify(|left| *left = left.saturating_sub(1));
        }
        left.into_values().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENTS: &str = "             command   pid dev master a   uid      magic
     rmapscope-workl   266 128   n    y     0          0
       a 7 0   n y 0   270   0   y    y     0          0
           <unknown>   271 128   n    y     0          0
";
    const NAMED: &str =
        "             command  tgid dev master a   uid      magic                                                             name id
                Xorg   900   1   y    y     0          0                                                          <unset> 12
";

    #[test]
    fn each_node_has_its_own() {
        let files = [
            ("proc/self/mounts", "none /sys/kernel/debug debugfs rw 0 0\n"),
            ("proc/devices", "Character devices:\n226 drm\n"),
            ("sys/kernel/debug/dri/0/clients", CLIENTS),
            ("sys/kernel/debug/dri/128/clients", CLIENTS),
            ("sys/kernel/debug/dri/1/clients", NAMED),
            ("sys/kernel/debug/dri/vgem/clients", CLIENTS),
            ("sys/kernel/debug/dri/2/name", "odd\n"),
        ];
        let (_root, system) = SystemFiles::made_of(&files);
        let number = |minor| DeviceNumber { major: 226, minor };
        let listed = Listed::read(&system, &Majors::read(&system)).unwrap();
        let expected = [(number(0), vec![270]), (number(1), vec![900]), (number(128), vec![266, 271])];
        assert_eq!(listed, Listed(expected.into()));
        assert_eq!(listed.beyond([].into_iter()), 4);
        assert_eq!(listed.beyond([number(128), number(0), number(0), number(7)].into_iter()), 2);
        // Not where nothing lists them, nor where there is a driver of another kind.
        let mut files = files[..3].to_vec();
        files[1].1 = "Character devices:\n226 drm\n261 accel\n";
        let (_root, system) = SystemFiles::made_of(&files);
        assert_eq!(Listed::read(&system, &Majors::read(&system)), None);
        files[1].1 = "Character devices:\n195 nvidia\n226 drm\n";
        let (_root, system) = SystemFiles::made_of(&files);
        assert_eq!(Listed::read(&system, &Majors::read(&system)), None);
        let (_root, system) = SystemFiles::made_of(&files[1..]);
        assert_eq!(Listed::read(&system, &Majors::read(&system)), None);
    }
}
