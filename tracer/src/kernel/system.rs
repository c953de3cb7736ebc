//! The files in which the kernel tells about itself.

use std::ffi::CStr;
use std::io;
use std::mem::MaybeUninit;
use std::path::{Path, PathBuf};

/// Access to `/proc`, `/sys` and `/boot`, of this machine or of a copy in a folder.
#[derive(Clone, Debug)]
pub struct SystemFiles {
    root: PathBuf,
}

impl SystemFiles {
    /// Those of the running kernel.
    pub fn live() -> Self {
        Self::below("/")
    }

    /// Those in a folder.
    pub fn below(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Where a file is, from its absolute path on the machine described.
    pub fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// A file's text; bytes that are no UTF-8 are replaced.
    pub fn text(&self, path: impl AsRef<Path>) -> io::Result<String> {
        std::fs::read(self.path(path)).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    /// A file's only line, without white space around it; `None` when it cannot be read.
    pub fn line(&self, path: impl AsRef<Path>) -> Option<String> {
        self.text(path).ok().map(|text| text.trim().to_owned())
    }

    /// A file's only number; `None` when it cannot be read or is no number.
    pub fn number(&self, path: impl AsRef<Path>) -> Option<i64> {
        self.line(path)?.parse().ok()
    }

    /// Where a file system of that type is mounted: the first place in `/proc/self/mounts`. Nothing is
    /// mounted by asking, which touching `/sys/kernel/debug/tracing` could do.
    pub fn mount_point(&self, file_system: &str) -> Option<PathBuf> {
        let mounts = self.text("/proc/self/mounts").ok()?;
        mounts.lines().find_map(|line| {
            let mut fields = line.split(' ').skip(1);
            let (place, kind) = (fields.next()?, fields.next()?);
            (kind == file_system).then(|| PathBuf::from(unescape(place)))
        })
    }

    /// `uname -r`; empty where the files of another machine do not tell it.
    pub fn release(&self) -> String {
        let told = self.line("/proc/sys/kernel/osrelease");
        // A container's /proc may be without /proc/sys (subset=pid).
        let asked = || if self.root == Path::new("/") { running_release() } else { None };
        told.or_else(asked).unwrap_or_default()
    }
}

#[cfg(test)]
impl SystemFiles {
    /// A machine that has these files alone, by their paths below its root; it lives as long as the folder.
    pub(crate) fn made_of(files: &[(&str, &str)]) -> (tempfile::TempDir, Self) {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let system = Self::below(root.path());
        (root, system)
    }
}

/// The running kernel's release, asked of itself.
fn running_release() -> Option<String> {
    let mut names = MaybeUninit::<libc::utsname>::uninit();
    // SAFETY: a place for the answer.
    if unsafe { libc::uname(names.as_mut_ptr()) } != 0 {
        return None;
    }
    // SAFETY: filled in by the successful call.
    let names = unsafe { names.assume_init() };
    // SAFETY: the kernel ends each name with a NUL.
    let release = unsafe { CStr::from_ptr(names.release.as_ptr()) };
    release.to_str().ok().map(str::to_owned)
}

/// Undoes the octal escapes of `/proc/self/mounts` (6.12 fs/proc_namespace.c, mangle).
fn unescape(text: &str) -> String {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let escaped = tail.get(..3).filter(|_| *first == b'\\').and_then(|digits| {
            digits.iter().try_fold(0_u8, |value, digit| {
                let digit = digit.checked_sub(b'0').filter(|digit| *digit < 8)?;
                value.checked_mul(8)?.checked_add(digit)
            })
        });
        plain.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { &tail[3..] } else { tail };
    }
    String::from_utf8_lossy(&plain).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_points_are_found_by_type_and_unescaped() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("proc/self")).unwrap();
        let mounts = "proc /proc proc rw 0 0\nnodev /a\\040b\\134c tracefs rw 0 0\n";
        std::fs::write(root.path().join("proc/self/mounts"), mounts).unwrap();
        let system = SystemFiles::below(root.path());
        assert_eq!(system.mount_point("tracefs"), Some(PathBuf::from("/a b\\c")));
        assert_eq!(system.mount_point("debugfs"), None);
    }

    #[test]
    fn the_running_kernel_tells_its_release_without_proc() {
        assert_eq!(running_release(), SystemFiles::live().line("/proc/sys/kernel/osrelease"));
        // Of another machine nothing is guessed.
        assert_eq!(SystemFiles::below("/no/such/machine").release(), "");
    }

    #[test]
    fn escapes_that_are_none_stay() {
        assert_eq!(unescape("\\04"), "\\04");
        assert_eq!(unescape("\\999x"), "\\999x");
        assert_eq!(unescape("\\777"), "\\777");
    }
}
