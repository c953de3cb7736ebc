//! Device nodes of GPUs and accelerators, by their numbers: names of nodes differ between containers.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::kernel::SystemFiles;

/// Major and minor number of a character device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeviceNumber {
    /// Of the driver.
    pub major: u32,
    /// Of the device.
    pub minor: u32,
}

impl fmt::Display for DeviceNumber {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.major, self.minor)
    }
}

impl Serialize for DeviceNumber {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl DeviceNumber {
    /// From the text that sysfs has in `dev`.
    pub fn parse(text: &str) -> Option<Self> {
        let (major, minor) = text.trim().split_once(':')?;
        Some(Self { major: major.parse().ok()?, minor: minor.parse().ok()? })
    }
}

/// Whose node it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeKind {
    /// A GPU of the DRM core: `/dev/dri/*`.
    Drm,
    /// An accelerator of the DRM core: `/dev/accel/*`.
    Accel,
    /// NVIDIA's own driver: `/dev/nvidia*`.
    Nvidia,
    /// Its unified memory: `/dev/nvidia-uvm`.
    NvidiaUvm,
    /// Compute of amdgpu: `/dev/kfd`.
    Kfd,
}

impl NodeKind {
    /// Whether the DRM core makes a client of each open, and its driver may print fdinfo.
    pub const fn has_clients(self) -> bool {
        matches!(self, Self::Drm | Self::Accel)
    }

    /// The driver of all such nodes; `None` where there are many.
    pub const fn driver(self) -> Option<&'static str> {
        match self {
            Self::Drm | Self::Accel => None,
            Self::Nvidia => Some("nvidia"),
            Self::NvidiaUvm => Some("nvidia-uvm"),
            Self::Kfd => Some("amdgpu"),
        }
    }
}

/// Major numbers that are fixed: DRM_MAJOR (include/drm/drm_ioctl.h), ACCEL_MAJOR (include/drm/drm_accel.h), and NVIDIA's
/// (Documentation/admin-guide/devices.txt).
const FIXED: [(u32, NodeKind); 3] = [(226, NodeKind::Drm), (261, NodeKind::Accel), (195, NodeKind::Nvidia)];

/// Names in `/proc/devices` of those that get a number when their driver is loaded.
const NAMED: [(&str, NodeKind); 2] = [("nvidia-uvm", NodeKind::NvidiaUvm), ("kfd", NodeKind::Kfd)];

/// Which major numbers are those of GPUs and accelerators.
#[derive(Clone, Debug)]
pub struct Majors {
    known: Vec<(u32, NodeKind)>,
    /// Those that a driver has registered.
    loaded: Vec<NodeKind>,
}

impl Majors {
    /// The fixed ones, and those that the kernel names as it runs now: modules come and go.
    pub fn read(system: &SystemFiles) -> Self {
        Self::parse(&system.text("/proc/devices").unwrap_or_default())
    }

    fn parse(devices: &str) -> Self {
        let mut majors = Self { known: FIXED.to_vec(), loaded: Vec::new() };
        // The same numbers mean something else among block devices.
        for line in devices.lines().take_while(|line| !line.starts_with("Block")) {
            let Some((number, name)) = line.trim().split_once(' ') else { continue };
            let Ok(number) = number.parse::<u32>() else { continue };
            let named = NAMED.iter().find(|(known, _)| *known == name.trim()).map(|(_, kind)| *kind);
            majors.known.extend(named.map(|kind| (number, kind)));
            majors.loaded.extend(majors.of(number));
        }
        majors
    }

    fn of(&self, number: u32) -> Option<NodeKind> {
        self.known.iter().find(|(major, _)| *major == number).map(|(_, kind)| *kind)
    }

    /// Whose node this is; `None` when it is no GPU's.
    pub fn kind(&self, number: DeviceNumber) -> Option<NodeKind> {
        self.of(number.major)
    }

    /// The major number of such nodes.
    pub fn number(&self, kind: NodeKind) -> Option<u32> {
        self.known.iter().find(|(_, known)| *known == kind).map(|(major, _)| *major)
    }

    /// The kinds of which there is a driver.
    pub fn loaded(&self) -> impl Iterator<Item = NodeKind> {
        self.loaded.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_are_not_fixed_come_from_the_kernel() {
        let majors = Majors::parse(
            "Character devices:\n  1 mem\n226 drm\n235 kfd\n505 nvidia-uvm\n506 nvidia-caps\n\n\
             Block devices:\n234 kfd\n",
        );
        let kind = |major| majors.kind(DeviceNumber { major, minor: 0 });
        assert_eq!(kind(226), Some(NodeKind::Drm));
        assert_eq!(kind(261), Some(NodeKind::Accel));
        assert_eq!(kind(195), Some(NodeKind::Nvidia));
        assert_eq!(kind(235), Some(NodeKind::Kfd));
        assert_eq!(kind(505), Some(NodeKind::NvidiaUvm));
        for other in [1, 234, 506] {
            assert_eq!(kind(other), None, "{other}");
        }
        let loaded: Vec<_> = majors.loaded().collect();
        assert_eq!(loaded, [NodeKind::Drm, NodeKind::Kfd, NodeKind::NvidiaUvm]);
        assert_eq!(majors.number(NodeKind::Kfd), Some(235));
        assert_eq!(Majors::parse("").kind(DeviceNumber { major: 226, minor: 1 }), Some(NodeKind::Drm));
    }

    #[test]
    fn numbers_are_read_as_sysfs_has_them() {
        assert_eq!(DeviceNumber::parse("226:128\n"), Some(DeviceNumber { major: 226, minor: 128 }));
        for text in ["", "226", "226:", ":1", "226:-1", "a:b"] {
            assert_eq!(DeviceNumber::parse(text), None, "{text}");
        }
    }
}
