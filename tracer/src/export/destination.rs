//! Where an export goes: it is there whole, or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, IsTerminal};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::Out;
use crate::escape::escaped_path;
use crate::output::PrintError;
use crate::trace_file::Reader;
use crate::{Error, inherited, open_files};

/// Bytes that are collected before they are written.
const BUFFER: usize = 128 << 10;

/// An output that was opened.
///
/// A regular file is written beside its place and moved there by [`commit`](Self::commit). Dropped before, it leaves
/// what was there as it was.
#[derive(Debug)]
pub struct Destination {
    file: File,
    /// The file as it is written, and its place.
    moved: Option<(PathBuf, PathBuf)>,
}

impl Destination {
    /// Opens an output for a whole trace; `-` is standard output. A pipe or a device is written to as it is. A file is
    /// readable by its owner only, as a trace file is: it has the names of processes.
    ///
    /// # Errors
    /// When it cannot be opened, is a trace file, or is a terminal and the data `is_binary`.
    pub fn open(path: &Path, is_binary: bool) -> Result<Self, Error> {
        Self::with_mode(path, is_binary, 0o600)
    }

    /// The same for text that is made to be shown to others: who may read a file is for the umask to say.
    ///
    /// # Errors
    /// When it cannot be opened or is a trace file.
    pub fn shared(path: &Path) -> Result<Self, Error> {
        Self::with_mode(path, false, 0o666)
    }

    fn with_mode(path: &Path, is_binary: bool, mode: u32) -> Result<Self, Error> {
        let shown = escaped_path(path);
        let failed = |error: io::Error| {
            let remedy = match error.kind() {
                io::ErrorKind::NotFound => "create the directory first, or choose another file",
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                    "choose a file in a writable directory"
                }
                _ => open_files::remedy(&error, "choose another file"),
            };
            Error::failure(format!("cannot write {shown}: {error}"), remedy)
        };
        if path == Path::new("-") || path == Path::new("/dev/stdout") {
            let output = inherited::output().map_err(PrintError)?;
            if is_binary && output.is_terminal() {
                return Err(Error::failure(
                    "this format is binary and standard output is a terminal",
                    "use -o FILE, or redirect standard output",
                ));
            }
            let file = File::from(output.as_fd().try_clone_to_owned().map_err(failed)?);
            return Ok(Self { file, moved: None });
        }
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => {
                return Err(Error::failure(format!("{shown} is a directory"), "choose a file in it"));
            }
            Ok(metadata) if !metadata.is_file() => {
                let file = OpenOptions::new().write(true).open(path).map_err(failed)?;
                return Ok(Self { file, moved: None });
            }
            // What was recorded cannot be made again.
            Ok(metadata) if metadata.len() > 0 && Reader::open(path).is_ok() => {
                return Err(Error::failure(
                    format!("{shown} is a trace file and is not overwritten"),
                    "choose another file with -o; -i gives the trace to read",
                ));
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(error)),
        }
        // A link keeps its place: what it leads to is replaced.
        let place = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let mut part = place.clone().into_os_string();
        part.push(format!(".{}.part", std::process::id()));
        let part = PathBuf::from(part);
        let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&part).map_err(failed)?;
        Ok(Self { file, moved: Some((part, place)) })
    }

    /// A buffered writer to it. Only one of them can be used.
    ///
    /// # Errors
    /// When there are too many open files.
    pub fn writer(&self) -> Result<Out, PrintError> {
        Ok(Box::new(BufWriter::with_capacity(BUFFER, self.file.try_clone()?)))
    }

    /// Puts the file in its place.
    ///
    /// # Errors
    /// When it cannot be moved there.
    pub fn commit(mut self) -> Result<(), PrintError> {
        if let Some((part, place)) = &self.moved {
            fs::rename(part, place)?;
        }
        self.moved = None;
        Ok(())
    }
}

impl Drop for Destination {
    fn drop(&mut self) {
        if let Some((part, _)) = &self.moved {
            // Nothing is left to be done about it.
            let _ = fs::remove_file(part);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_file_is_there_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.json");
        fs::write(&path, "earlier").unwrap();
        let destination = Destination::open(&path, true).unwrap();
        destination.writer().unwrap().write_all(b"half").unwrap();
        drop(destination);
        assert_eq!(fs::read_to_string(&path).unwrap(), "earlier");

        let destination = Destination::open(&path, true).unwrap();
        destination.writer().unwrap().write_all(b"whole").unwrap();
        destination.commit().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "whole");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_for_others_follows_the_umask() {
        let folder = tempfile::tempdir().unwrap();
        let plain = folder.path().join("plain");
        File::create(&plain).unwrap();
        let shared = folder.path().join("shared.svg");
        Destination::shared(&shared).unwrap().commit().unwrap();
        let mode = |path| fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&shared), mode(&plain));
    }

    #[test]
    fn directories_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Destination::open(folder.path(), false).is_err());
        assert!(Destination::open(&folder.path().join("no/such"), false).is_err());
    }
}
