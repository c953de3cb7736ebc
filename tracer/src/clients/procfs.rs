//! The processes of a procfs and the device nodes that they have open, by `openat` and `fstatat`: no long path is walked,
//! and the name of no file is asked for.
//!
//! A copy of a procfs, made on another machine or made up, has no device nodes behind its links. There the file that a
//! link in `fd` names holds the numbers of the device, such as `226:128`.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::Component;

use rustix::fs::{
    AtFlags, Dir, FileType, Mode, OFlags, PROC_SUPER_MAGIC, fstatfs, major, minor, openat, statat,
};

use super::nodes::DeviceNumber;
use crate::kernel::{ProcessStat, SystemFiles};

/// Most bytes of `stat`.
const MOST_STAT: u64 = 4096;

/// A folder with one folder for each process.
#[derive(Debug)]
pub struct Procfs {
    folder: OwnedFd,
    /// Where the files are that links of a copy name; `None` of the kernel's own procfs.
    copy_of: Option<SystemFiles>,
}

impl Procfs {
    /// `/proc` of this machine, or below a root.
    ///
    /// # Errors
    /// When there is none.
    pub fn open(system: &SystemFiles) -> io::Result<Self> {
        let folder = OwnedFd::from(File::open(system.path("/proc"))?);
        let is_live = fstatfs(&folder)?.f_type == PROC_SUPER_MAGIC;
        Ok(Self { folder, copy_of: (!is_live).then(|| system.clone()) })
    }

    /// Whether its process ids are this process's own: those of another procfs may be of another namespace.
    pub fn is_own(&self) -> bool {
        let own = rustix::fs::readlinkat(&self.folder, "self", Vec::new());
        self.copy_of.is_none()
            && own.is_ok_and(|pid| pid.to_bytes() == std::process::id().to_string().as_bytes())
    }

    /// The ids of all processes, in order.
    ///
    /// # Errors
    /// When the folder cannot be listed.
    pub fn pids(&self) -> io::Result<Vec<u32>> {
        numbers(&self.folder)
    }

    /// A process that is there now. What is read of it later is never another's that has its id then: a folder of procfs
    /// stays that of the process that it was opened for.
    ///
    /// # Errors
    /// When it is not there (any more), or may not be seen.
    pub fn process(&self, pid: u32) -> io::Result<ProcessFolder<'_>> {
        Ok(ProcessFolder { procfs: self, folder: open_folder(&self.folder, &pid.to_string())? })
    }
}

/// A process of a procfs.
#[derive(Debug)]
pub struct ProcessFolder<'a> {
    procfs: &'a Procfs,
    folder: OwnedFd,
}

impl ProcessFolder<'_> {
    /// Its name and start.
    ///
    /// # Errors
    /// When it is gone.
    pub fn stat(&self) -> io::Result<ProcessStat> {
        let bytes = read(&self.folder, "stat", MOST_STAT)?;
        Ok(ProcessStat::parse(&String::from_utf8_lossy(&bytes)))
    }

    /// What the link of a descriptor names.
    pub fn target(&self, descriptor: u32) -> Option<String> {
        let target = rustix::fs::readlinkat(&self.folder, format!("fd/{descriptor}"), Vec::new()).ok()?;
        Some(target.to_string_lossy().into_owned())
    }

    /// Its open files; calls `found` for each that is a character device, and returns how many there are.
    ///
    /// # Errors
    /// When they may not be looked at, or the process is gone.
    pub fn devices(&self, mut found: impl FnMut(u32, DeviceNumber)) -> io::Result<u64> {
        let folder = open_folder(&self.folder, "fd")?;
        let mut count = 0;
        for descriptor in numbers(&folder)? {
            count += 1;
            match self.device(&folder, descriptor) {
                Ok(Some(number)) => found(descriptor, number),
                Ok(None) => {}
                // Closed meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(count)
    }

    fn device(&self, folder: &OwnedFd, descriptor: u32) -> io::Result<Option<DeviceNumber>> {
        let name = descriptor.to_string();
        let Some(system) = &self.procfs.copy_of else {
            let stat = statat(folder, name.as_str(), AtFlags::empty())?;
            let is_device = FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice;
            return Ok(
                is_device.then(|| DeviceNumber { major: major(stat.st_rdev), minor: minor(stat.st_rdev) })
            );
        };
        let Ok(target) = rustix::fs::readlinkat(folder, name.as_str(), Vec::new()) else { return Ok(None) };
        let target = target.to_string_lossy().into_owned();
        let is_plain = std::path::Path::new(&target)
            .components()
            .all(|component| matches!(component, Component::RootDir | Component::Normal(_)));
        if !is_plain || !target.starts_with("/dev/") || !system.path(&target).is_file() {
            return Ok(None);
        }
        Ok(system.line(&target).as_deref().and_then(DeviceNumber::parse))
    }

    /// What the kernel prints of a descriptor, up to `most` bytes.
    ///
    /// # Errors
    /// When it may not be read, or the descriptor is closed.
    pub fn fdinfo(&self, descriptor: u32, most: u64) -> io::Result<Vec<u8>> {
        read(&self.folder, &format!("fdinfo/{descriptor}"), most)
    }
}

fn open_folder(folder: &OwnedFd, name: &str) -> io::Result<OwnedFd> {
    Ok(openat(folder, name, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
}

fn read(folder: &OwnedFd, name: &str, most: u64) -> io::Result<Vec<u8>> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = File::from(openat(folder, name, flags, Mode::empty())?);
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The names in a folder that are numbers, in order.
fn numbers(folder: &OwnedFd) -> io::Result<Vec<u32>> {
    let mut numbers = Vec::new();
    for entry in Dir::read_from(folder)? {
        numbers.extend(entry?.file_name().to_str().ok().and_then(|name| name.parse::<u32>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn this_process_is_seen_with_its_devices() {
        let null = File::open("/dev/null").unwrap();
        let system = SystemFiles::live();
        let procfs = Procfs::open(&system).unwrap();
        assert!(procfs.is_own() && procfs.pids().unwrap().contains(&std::process::id()));
        let process = procfs.process(std::process::id()).unwrap();
        let stat = process.stat().unwrap();
        assert!(stat.start > 0 && !stat.comm.is_empty());
        let mut nulls = 0;
        process
            .devices(|_, number| nulls += u32::from(number == DeviceNumber { major: 1, minor: 3 }))
            .unwrap();
        assert!(nulls > 0);
        drop(null);
        assert!(procfs.process(4_194_303).is_err());
    }

    #[test]
    fn a_copy_names_devices_by_files_below_its_dev() {
        let files = [
            ("proc/7/stat", "7 (a b) S 1"),
            ("proc/7/fdinfo/3", "pos:\t0\n"),
            ("dev/dri/renderD128", "226:128\n"),
            ("secret", "226:1\n"),
            ("dev/odd", "odd\n"),
        ];
        let (root, system) = SystemFiles::made_of(&files);
        let folder = root.path().join("proc/7/fd");
        std::fs::create_dir(&folder).unwrap();
        let targets =
            ["/dev/dri/renderD128", "/dev/../secret", "/secret", "/dev/odd", "/dev/none", "socket:[1]"];
        for (number, target) in targets.iter().enumerate() {
            symlink(target, folder.join((number + 3).to_string())).unwrap();
        }
        std::fs::write(folder.join("90"), "226:1").unwrap();
        let procfs = Procfs::open(&system).unwrap();
        assert!(!procfs.is_own());
        assert_eq!(procfs.pids().unwrap(), [7]);
        let process = procfs.process(7).unwrap();
        let mut found = Vec::new();
        let count = process.devices(|descriptor, number| found.push((descriptor, number))).unwrap();
        assert_eq!((count, found), (7, vec![(3, DeviceNumber { major: 226, minor: 128 })]));
        assert_eq!(process.target(3).as_deref(), Some("/dev/dri/renderD128"));
        assert_eq!(process.stat().unwrap().comm, "a b");
        assert_eq!(process.fdinfo(3, 4).unwrap(), b"pos:");
        assert!(process.fdinfo(4, 4).is_err());
    }
}
