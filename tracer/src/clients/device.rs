//! What sysfs and debugfs say of a device node: its name, its driver, and whether the driver measures.

use super::nodes::{DeviceNumber, NodeKind};
use crate::kernel::SystemFiles;

/// A device node, and what is behind it. Its texts come from drivers: escape them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Its numbers.
    pub number: DeviceNumber,
    /// Whose node it is.
    pub kind: NodeKind,
    /// Name of the node, such as `renderD128`.
    pub node: Option<String>,
    /// Address on the PCI bus.
    pub pci_device: Option<String>,
    /// The driver.
    pub driver: Option<String>,
    /// The driver could measure how busy engines are, but is told not to: panfrost and panthor do so only when the
    /// device's attribute `profiling` is not 0 (Documentation/gpu/panfrost.rst).
    pub profiling_is_off: bool,
}

/// Drivers whose attribute `profiling` means that.
const PROFILING: [&str; 2] = ["panfrost", "panthor"];

impl Device {
    /// What is known now; `target` is what the link of an open descriptor names.
    pub fn read(system: &SystemFiles, number: DeviceNumber, kind: NodeKind, target: Option<&str>) -> Self {
        let folder = format!("/sys/dev/char/{number}");
        let node = property(system, &format!("{folder}/uevent"), "DEVNAME");
        let node = node.or_else(|| target.map(str::to_owned));
        let device = format!("{folder}/device/uevent");
        let driver = property(system, &device, "DRIVER")
            .or_else(|| kind.driver().map(str::to_owned))
            .or_else(|| debugfs_driver(system, number, kind));
        let has_switch = driver.as_deref().is_some_and(|driver| PROFILING.contains(&driver));
        Self {
            number,
            kind,
            node: node.map(|path| path.rsplit('/').next().unwrap_or_default().to_owned()),
            pci_device: property(system, &device, "PCI_SLOT_NAME"),
            profiling_is_off: has_switch && system.number(format!("{folder}/device/profiling")) == Some(0),
            driver,
        }
    }
}

/// A value in a file of lines `KEY=VALUE`.
fn property(system: &SystemFiles, path: &str, key: &str) -> Option<String> {
    let text = system.text(path).ok()?;
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('=')).map(str::to_owned)
}

/// The driver of a device that has none on a bus, such as vgem, where debugfs can be read: the first word of `name`
/// (6.12 drivers/gpu/drm/drm_debugfs.c, `drm_name_info`).
fn debugfs_driver(system: &SystemFiles, number: DeviceNumber, kind: NodeKind) -> Option<String> {
    let folder = match kind {
        NodeKind::Drm => "dri",
        NodeKind::Accel => "accel",
        _ => return None,
    };
    let path = system.mount_point("debugfs")?.join(folder).join(number.minor.to_string()).join("name");
    system.line(path)?.split_ascii_whitespace().next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NUMBER: DeviceNumber = DeviceNumber { major: 226, minor: 128 };

    #[test]
    fn the_bus_names_the_driver_and_debugfs_that_of_devices_without_bus() {
        let files = [
            ("sys/dev/char/226:128/uevent", "MAJOR=226\nMINOR=128\nDEVNAME=dri/renderD128\n"),
            ("sys/dev/char/226:128/device/uevent", "DRIVER=i915\nPCI_SLOT_NAME=0000:00:02.0\n"),
        ];
        let (_root, system) = SystemFiles::made_of(&files);
        let device = Device::read(&system, NUMBER, NodeKind::Drm, None);
        assert_eq!(device.node.as_deref(), Some("renderD128"));
        assert_eq!(device.driver.as_deref(), Some("i915"));
        assert_eq!(device.pci_device.as_deref(), Some("0000:00:02.0"));
        let files = [
            ("proc/self/mounts", "none /sys/kernel/debug debugfs rw 0 0\n"),
            ("sys/kernel/debug/dri/128/name", "vgem dev=vgem unique=vgem\n"),
        ];
        let (_root, system) = SystemFiles::made_of(&files);
        let device = Device::read(&system, NUMBER, NodeKind::Drm, Some("/dev/dri/renderD128"));
        assert_eq!(device.driver.as_deref(), Some("vgem"));
        assert_eq!(device.node.as_deref(), Some("renderD128"));
        let (_root, system) = SystemFiles::made_of(&[]);
        assert_eq!(Device::read(&system, NUMBER, NodeKind::Drm, None).driver, None);
        assert_eq!(Device::read(&system, NUMBER, NodeKind::Kfd, None).driver.as_deref(), Some("amdgpu"));
    }

    #[test]
    fn only_known_drivers_have_the_switch() {
        for (driver, profiling, is_off) in [
            ("panthor", "0\n", true),
            ("panthor", "3\n", false),
            ("panfrost", "0\n", true),
            ("lima", "0\n", false),
        ] {
            let files = [
                ("sys/dev/char/226:128/device/uevent", format!("DRIVER={driver}\n")),
                ("sys/dev/char/226:128/device/profiling", profiling.to_owned()),
            ];
            let files = files.each_ref().map(|(path, text)| (*path, text.as_str()));
            let (_root, system) = SystemFiles::made_of(&files);
            let device = Device::read(&system, NUMBER, NodeKind::Drm, None);
            assert_eq!(device.profiling_is_off, is_off, "{driver} {profiling}");
        }
    }
}
