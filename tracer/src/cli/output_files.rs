//! Files that results go to, all opened before the work starts.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rmapscope::escape::escaped_path;
use rmapscope::{Error, open_files};

/// A file that must not be overwritten.
#[derive(Clone, Copy, Debug)]
pub struct Reserved<'a> {
    /// Its path.
    pub path: &'a Path,
    /// What it is, for people.
    pub what: &'a str,
}

/// Opens outputs, each its own file.
#[derive(Debug)]
pub struct OutputFiles<'a> {
    /// What goes into them, for people: `the verdict`.
    what: &'a str,
    reserved: &'a [Reserved<'a>],
    /// Device and inode of those opened so far.
    opened: Vec<(u64, u64)>,
}

impl<'a> OutputFiles<'a> {
    /// Nothing opened yet. `what` goes into the files, and those that are `reserved` are refused.
    pub const fn new(what: &'a str, reserved: &'a [Reserved<'a>]) -> Self {
        Self { what, reserved, opened: Vec::new() }
    }

    /// Opens and empties a file, so that nobody takes an old result for a new one.
    ///
    /// # Errors
    /// When it cannot be opened, is one that was opened already, or is reserved.
    pub fn open(&mut self, path: &Path) -> Result<File, Error> {
        let (what, shown) = (self.what, escaped_path(path));
        let failed = |error: io::Error| {
            let remedy = match error.kind() {
                io::ErrorKind::NotFound => "create the folder first",
                io::ErrorKind::PermissionDenied => "use a path that this user may write to",
                _ => open_files::remedy(&error, "use another file"),
            };
            Error::failure(format!("cannot write {what} to {shown}: {error}"), remedy)
        };
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if metadata.is_file() {
            let identity = (metadata.dev(), metadata.ino());
            let is_same = |other: &Path| {
                std::fs::metadata(other).is_ok_and(|other| (other.dev(), other.ino()) == identity)
            };
            let reserved = self.reserved.iter().find(|reserved| is_same(reserved.path));
            let taken = reserved.map(|reserved| reserved.what.to_owned());
            let taken = taken
                .or_else(|| self.opened.contains(&identity).then(|| format!("another output of {what}")));
            if let Some(taken) = taken {
                return Err(Error::failure(
                    format!("{shown} is {taken} already"),
                    "use a separate file for each output",
                ));
            }
            self.opened.push(identity);
            file.set_len(0).map_err(failed)?;
        }
        Ok(file)
    }
}
