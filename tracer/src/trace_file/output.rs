//! Opening the output so that nothing of value is overwritten.

use std::fs::{self, File, OpenOptions};
use std::io::{self, IsTerminal, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Once;

use super::error::CreateError;
use super::preamble::MAGIC;
use crate::escape::escaped_path;
use crate::inherited;

/// Where a trace file goes: a regular file, a pipe or a device.
#[derive(Debug)]
pub struct Output {
    file: File,
    /// Bytes of whole writes to a regular file of our own making; `None` for anything else.
    whole: Option<u64>,
}

impl Output {
    /// Opens an output.
    ///
    /// * `-` and `/dev/stdout` are standard output, unless it is a terminal.
    /// * A FIFO (this waits for its reader), a character device, and a pipe under `/dev/fd` are written to.
    /// * An earlier trace file is renamed to `PATH.old`, in place of an earlier one of that name; an empty
    ///   file is replaced.
    /// * Anything else that exists is left alone. A new file is readable by its owner only.
    ///
    /// # Errors
    /// When the output cannot be opened or must not be overwritten.
    pub fn open(path: &Path) -> Result<Self, CreateError> {
        let failed = |source| CreateError::Io { path: escaped_path(path), source };
        if path == Path::new("-") || path == Path::new("/dev/stdout") {
            return Self::standard_output().map_err(failed)?.ok_or(CreateError::Terminal);
        }
        if path.starts_with("/dev/fd") || path.starts_with("/proc/self/fd") {
            return existing_stream(path, 0);
        }
        match fs::symlink_metadata(path) {
            Ok(metadata) if metadata.is_file() => set_aside(path)?,
            Ok(_) => return existing_stream(path, libc::O_NOFOLLOW),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(error)),
        }
        catch_file_size_signal();
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW)
            .open(path)
            .map_err(failed)?;
        Ok(Self { file, whole: Some(0) })
    }

    /// `None` when it is a terminal.
    fn standard_output() -> io::Result<Option<Self>> {
        let output = inherited::output()?;
        if output.is_terminal() {
            return Ok(None);
        }
        catch_file_size_signal();
        let file = File::from(output.as_fd().try_clone_to_owned()?);
        Ok(Some(Self { file, whole: None }))
    }
}

/// Opens something that exists and is no regular file.
fn existing_stream(path: &Path, flags: i32) -> Result<Output, CreateError> {
    let occupied = |what| CreateError::Occupied { path: escaped_path(path), what };
    let failed = |source| CreateError::Io { path: escaped_path(path), source };
    let metadata = if flags == 0 { fs::metadata(path) } else { fs::symlink_metadata(path) };
    let kind = metadata.map_err(failed)?.file_type();
    if kind.is_dir() {
        return Err(occupied("a directory"));
    } else if kind.is_symlink() {
        return Err(occupied("a symbolic link"));
    } else if kind.is_block_device() {
        return Err(occupied("a block device"));
    } else if kind.is_socket() {
        return Err(occupied("a socket"));
    } else if kind.is_file() {
        return Err(occupied("an open file"));
    }
    let file = OpenOptions::new().write(true).custom_flags(flags).open(path).map_err(failed)?;
    Ok(Output { file, whole: None })
}

/// Makes room for a new file where a regular file is.
fn set_aside(path: &Path) -> Result<(), CreateError> {
    let failed = |source| CreateError::Io { path: escaped_path(path), source };
    match contents(path).map_err(failed)? {
        Contents::Empty => fs::remove_file(path).map_err(failed),
        Contents::Trace => {
            let old = old_path(path);
            match contents(&old) {
                Ok(Contents::Empty | Contents::Trace) => {}
                Ok(Contents::Other) => {
                    let what = "not a trace file, so the earlier recording cannot be renamed to it";
                    return Err(CreateError::Occupied { path: escaped_path(&old), what });
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(source) => return Err(CreateError::Io { path: escaped_path(&old), source }),
            }
            fs::rename(path, old).map_err(failed)
        }
        Contents::Other => {
            Err(CreateError::Occupied { path: escaped_path(path), what: "not an rmapscope trace file" })
        }
    }
}

fn old_path(path: &Path) -> PathBuf {
    let mut old = path.as_os_str().to_owned();
    old.push(".old");
    old.into()
}

/// What a path that is to be replaced has in it.
enum Contents {
    Empty,
    Trace,
    /// Anything but a regular file that is empty or begins as a trace file.
    Other,
}

fn contents(path: &Path) -> io::Result<Contents> {
    if !fs::symlink_metadata(path)?.is_file() {
        return Ok(Contents::Other);
    }
    // Neither a link nor a FIFO that took the file's place since then can send us astray or stop us.
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let mut beginning = Vec::new();
    file.take(MAGIC.len() as u64).read_to_end(&mut beginning)?;
    Ok(match beginning.as_slice() {
        [] => Contents::Empty,
        beginning if beginning == MAGIC => Contents::Trace,
        _ => Contents::Other,
    })
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    /// Writes all or, to a file of our own, nothing: a part is cut off again.
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let result = self.file.write_all(bytes);
        if let Some(whole) = &mut self.whole {
            match result {
                Ok(()) => *whole += bytes.len() as u64,
                // When this fails too, the reader still stops at the last whole frame.
                Err(_) => drop(self.file.set_len(*whole)),
            }
        }
        result
    }

    /// Waits until a regular file is on its disk: some file systems tell only then that it is full.
    fn flush(&mut self) -> io::Result<()> {
        if self.whole.is_some() { self.file.sync_data() } else { Ok(()) }
    }
}

/// Past RLIMIT_FSIZE the kernel sends SIGXFSZ, which ends a process that does not catch it, before
/// write(2) can fail with EFBIG (mm/filemap.c, generic_write_check_limits). A handler, other than
/// ignoring, is not passed on to a traced command.
fn catch_file_size_signal() {
    static ONCE: Once = Once::new();
    extern "C" fn nothing(_: libc::c_int) {}
    ONCE.call_once(|| {
        // SAFETY: a zeroed sigaction is a valid one; the handler does nothing and so is safe in a signal.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = nothing as extern "C" fn(libc::c_int) as libc::sighandler_t;
            action.sa_flags = libc::SA_RESTART;
            libc::sigaction(libc::SIGXFSZ, &raw const action, std::ptr::null_mut());
        }
    });
}
