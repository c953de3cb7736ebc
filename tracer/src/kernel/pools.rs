//! Pools of bounce buffers, as debugfs shows them.

use std::path::Path;

use super::SystemFiles;

/// Most restricted pools that are looked for.
const MOST: usize = 64;

/// How full a pool is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolUse {
    /// `swiotlb` for the one that all devices share; a restricted pool has the name of its folder, which is that of its
    /// node in the device tree.
    pub name: String,
    /// Slots of 2 KiB in use.
    pub used: u64,
    /// Slots of it.
    pub slots: u64,
    /// Most slots that were in use at a time, since the kernel began or somebody reset it; `None` where the kernel does not
    /// keep it.
    pub highest: Option<u64>,
}

/// The pools of this machine of which the kernel says how full they are, the shared one first; none where debugfs cannot
/// be read. It is read where it is mounted: nothing is mounted by asking.
///
/// Left out are pools of which it may say something else: up to 6.3 a restricted pool shows the use of the shared one
/// (mended by 5499d01c0290 in 6.4, which also keeps the most slots in use), and 7.3.4 of Debian shows that no slot was ever
/// in use while devices bounce.
pub fn pool_use(system: &SystemFiles) -> Vec<PoolUse> {
    let Some(debugfs) = system.mount_point("debugfs") else { return Vec::new() };
    let folder = debugfs.join("swiotlb");
    let mut names: Vec<_> = std::fs::read_dir(system.path(&folder))
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.file_name())
        .take(MOST)
        .collect();
    names.sort();
    let shared = of_folder(system, "swiotlb", &folder).filter(|pool| pool.highest != Some(0));
    let restricted = names
        .iter()
        .filter_map(|name| of_folder(system, &name.to_string_lossy(), &folder.join(name)))
        .filter(|pool| pool.highest.is_some_and(|highest| highest > 0));
    shared.into_iter().chain(restricted).collect()
}

/// What `swiotlb_create_debugfs_files` shows (6.12 kernel/dma/swiotlb.c).
fn of_folder(system: &SystemFiles, name: &str, folder: &Path) -> Option<PoolUse> {
    let number = |file| system.number(folder.join(file)).and_then(|number| u64::try_from(number).ok());
    let (used, slots) = (number("io_tlb_used")?, number("io_tlb_nslabs")?);
    let highest = number("io_tlb_used_hiwater");
    (slots > 0).then(|| PoolUse { name: name.to_owned(), used, slots, highest })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pools_are_read_where_debugfs_is_mounted() {
        let (_root, system) = SystemFiles::made_of(&[
            ("proc/self/mounts", "none /debug debugfs rw 0 0\n"),
            ("debug/swiotlb/io_tlb_nslabs", "32768\n"),
            ("debug/swiotlb/io_tlb_used", "12\n"),
            ("debug/swiotlb/io_tlb_used_hiwater", "640\n"),
            ("debug/swiotlb/restricted@78000000/io_tlb_nslabs", "512\n"),
            ("debug/swiotlb/restricted@78000000/io_tlb_used", "106\n"),
            ("debug/swiotlb/restricted@78000000/io_tlb_used_hiwater", "512\n"),
            ("debug/swiotlb/unreadable/io_tlb_nslabs", "512\n"),
        ]);
        let pool = |name: &str, used, slots, highest| PoolUse { name: name.to_owned(), used, slots, highest };
        let pools = [pool("swiotlb", 12, 32768, Some(640)), pool("restricted@78000000", 106, 512, Some(512))];
        assert_eq!(pool_use(&system), pools);
    }

    #[test]
    fn what_may_be_wrong_is_left_out() {
        let old = SystemFiles::made_of(&[
            ("proc/self/mounts", "none /debug debugfs rw 0 0\n"),
            ("debug/swiotlb/io_tlb_nslabs", "32768\n"),
            ("debug/swiotlb/io_tlb_used", "12\n"),
            ("debug/swiotlb/restricted@78000000/io_tlb_nslabs", "512\n"),
            ("debug/swiotlb/restricted@78000000/io_tlb_used", "12\n"),
        ]);
        let shared = PoolUse { name: "swiotlb".to_owned(), used: 12, slots: 32768, highest: None };
        assert_eq!(pool_use(&old.1), [shared]);
        let never_used = SystemFiles::made_of(&[
            ("proc/self/mounts", "none /debug debugfs rw 0 0\n"),
            ("debug/swiotlb/io_tlb_nslabs", "32768\n"),
            ("debug/swiotlb/io_tlb_used", "0\n"),
            ("debug/swiotlb/io_tlb_used_hiwater", "0\n"),
        ]);
        assert_eq!(pool_use(&never_used.1), []);
    }

    #[test]
    fn no_pool_is_no_error() {
        let (_root, system) = SystemFiles::made_of(&[("proc/self/mounts", "none /debug debugfs rw 0 0\n")]);
        assert_eq!(pool_use(&system), []);
        let (_root, system) = SystemFiles::made_of(&[
            ("proc/self/mounts", "none /debug debugfs rw 0 0\n"),
            ("debug/swiotlb/io_tlb_nslabs", "0\n"),
            ("debug/swiotlb/io_tlb_used", "0\n"),
        ]);
        assert_eq!(pool_use(&system), []);
        let (_root, system) = SystemFiles::made_of(&[]);
        assert_eq!(pool_use(&system), []);
    }
}
