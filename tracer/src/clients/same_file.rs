//! Which descriptors, of whatever processes, are one open file: duplicated, inherited or passed ones.

use std::cmp::Ordering;
use std::io;

/// A descriptor of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// The process.
    pub pid: u32,
    /// Its number there.
    pub number: u32,
}

/// `KCMP_FILE` (include/uapi/linux/kcmp.h).
const KCMP_FILE: libc::c_long = 0;

/// Where the kernel says whether two descriptors are one open file, and else which comes first in an order of its own
/// (kcmp(2)). Kernels with DRM have the call (5.12 drivers/gpu/drm/Kconfig, `select KCMP`).
///
/// # Errors
/// When it does not let us look at one of the processes, or one is gone.
pub fn compare(one: Descriptor, other: Descriptor) -> io::Result<Ordering> {
    let [pid1, pid2, number1, number2] =
        [one.pid, other.pid, one.number, other.number].map(libc::c_long::from);
    // SAFETY: all arguments are numbers.
    match unsafe { libc::syscall(libc::SYS_kcmp, pid1, pid2, KCMP_FILE, number1, number2) } {
        0 => Ok(Ordering::Equal),
        1 => Ok(Ordering::Less),
        2 => Ok(Ordering::Greater),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Open files, each with the first of its descriptors, in the kernel's order.
#[derive(Debug, Default)]
pub struct OpenFiles(Vec<(Descriptor, usize)>);

impl OpenFiles {
    /// What was put in for the same open file, or `new` if that is a new one; `compare` says which are the same.
    ///
    /// # Errors
    /// That of `compare`.
    pub fn find_or_insert(
        &mut self,
        descriptor: Descriptor,
        new: usize,
        compare: impl Fn(Descriptor, Descriptor) -> io::Result<Ordering>,
    ) -> io::Result<usize> {
        let (mut low, mut high) = (0, self.0.len());
        while low < high {
            let middle = low.midpoint(high);
            let (known, what) = self.0[middle];
            match compare(known, descriptor)? {
                Ordering::Equal => return Ok(what),
                Ordering::Less => low = middle + 1,
                Ordering::Greater => high = middle,
            }
        }
        self.0.insert(low, (descriptor, new));
        Ok(new)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::AsRawFd;

    use super::*;

    #[test]
    fn duplicates_are_one_open_file() {
        let files: Vec<File> = (0..5).map(|_| File::open("/dev/null").unwrap()).collect();
        let again: Vec<File> = files.iter().map(|file| file.try_clone().unwrap()).collect();
        let descriptor = |file: &File| Descriptor {
            pid: std::process::id(),
            number: u32::try_from(file.as_raw_fd()).unwrap(),
        };
        let mut known = OpenFiles::default();
        for _ in 0..2 {
            for (index, file) in files.iter().enumerate() {
                assert_eq!(known.find_or_insert(descriptor(file), index, compare).unwrap(), index);
            }
            for (index, file) in again.iter().enumerate() {
                assert_eq!(known.find_or_insert(descriptor(file), 9, compare).unwrap(), index);
            }
        }
        let gone = Descriptor { pid: std::process::id(), number: 1_000_000 };
        assert!(known.find_or_insert(gone, 9, compare).is_err());
    }
}
