//! What can go wrong with a trace file, and what to do about it.

use std::io;

use crate::error::Error;
use crate::event::MalformedRecord;
use crate::open_files;

/// Why a trace file could not be created.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// Something stands at that path that is no trace file; it stays as it is.
    #[error("{path} exists and is {what}; it was not overwritten")]
    Occupied {
        /// The path, escaped.
        path: String,
        /// What is there.
        what: &'static str,
    },
    /// The data would go to a terminal.
    #[error("standard output is a terminal and a trace file is binary")]
    Terminal,
    /// A system call failed.
    #[error("cannot create {path}: {source}")]
    Io {
        /// The path, escaped.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// Writing the header failed.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// Why a trace file could not be written on.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// A record that no version of this program makes; it was not written, the next may be.
    #[error(transparent)]
    Malformed(#[from] MalformedRecord),
    /// The output takes no more. Everything up to the last whole frame is readable.
    #[error("cannot write the trace file after {written} bytes: {source}")]
    Io {
        /// Bytes of whole frames before.
        written: u64,
        /// What the system said.
        source: io::Error,
    },
    /// An item or the header is larger than any reader takes.
    #[error("{what} of {size} bytes is too large for a trace file")]
    TooLarge {
        /// What.
        what: &'static str,
        /// Its bytes.
        size: usize,
    },
    /// An item came after the summary or after a failed write.
    #[error("the trace file has ended already")]
    Ended,
    /// An item or the header cannot be encoded.
    #[error("cannot encode for the trace file: {0}")]
    Json(#[from] serde_json::Error),
    /// The compressor failed.
    #[error("cannot compress for the trace file: {0}")]
    Zstd(io::Error),
}

/// Why a trace file cannot be read at all. What is missing from a file that can be read is its
/// [`Ending`](super::Ending).
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file cannot be opened.
    #[error("cannot open {path}: {source}")]
    Open {
        /// The path, escaped.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// Reading failed in the middle.
    #[error("cannot read the trace file at byte {offset}: {source}")]
    Io {
        /// Offset in the file.
        offset: u64,
        /// What the system said.
        source: io::Error,
    },
    /// No byte in it.
    #[error("the trace file is empty")]
    Empty,
    /// Another tool's file, or no tool's.
    #[error("not an rmapscope trace file but {0}")]
    Foreign(&'static str),
    /// A later version of the format.
    #[error("the trace file has format version {found}; this program reads version {known}")]
    NewerFormat {
        /// In the file.
        found: u16,
        /// Highest that is known.
        known: u16,
    },
    /// A later version of the events.
    #[error("the trace file has event version {found}; this program reads up to version {known}")]
    NewerEvents {
        /// In the file.
        found: u32,
        /// Highest that is known.
        known: u32,
    },
    /// The file ends inside its header.
    #[error("the trace file ends inside its header, after {0} bytes")]
    HeaderCut(u64),
    /// The header is not what was written.
    #[error("the header of the trace file is damaged: {0}")]
    HeaderDamaged(String),
}

impl From<CreateError> for Error {
    fn from(error: CreateError) -> Self {
        let cause = error.to_string();
        match error {
            CreateError::Write(error) => error.into(),
            CreateError::Occupied { .. } => {
                Self::failure(cause, "choose another file, or move the existing one")
            }
            CreateError::Terminal => {
                Self::failure(cause, "redirect standard output to a file or a pipe, or choose a file")
            }
            CreateError::Io { source, .. } => match source.kind() {
                io::ErrorKind::NotFound => {
                    Self::failure(cause, "create the directory first, or choose another file")
                }
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                    Self::failure(cause, "choose a file in a writable directory")
                }
                _ => write_error(cause, &source),
            },
        }
    }
}

impl From<WriteError> for Error {
    fn from(error: WriteError) -> Self {
        let cause = error.to_string();
        match &error {
            WriteError::Io { source, .. } => write_error(cause, source),
            WriteError::TooLarge { .. } => Self::failure(cause, "ask for fewer probes or shorter stacks"),
            WriteError::Malformed(_) | WriteError::Ended | WriteError::Json(_) | WriteError::Zstd(_) => {
                Self::failure(cause, "this is a bug in rmapscope; please report it")
            }
        }
    }
}

fn write_error(cause: String, source: &io::Error) -> Error {
    let remedy = match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "free disk space or choose a file on another disk; the part already written is readable"
        }
        io::ErrorKind::FileTooLarge => {
            "raise the file size limit (ulimit -f) or record for a shorter time; the part already written is readable"
        }
        io::ErrorKind::BrokenPipe => {
            "the reader of the pipe exited first; record to a file to keep everything"
        }
        _ => open_files::remedy(
            source,
            "check the kernel log for disk errors, or choose a file on another disk",
        ),
    };
    Error::failure(cause, remedy)
}

impl From<ReadError> for Error {
    fn from(error: ReadError) -> Self {
        let remedy = match &error {
            ReadError::Open { source, .. } => match source.kind() {
                io::ErrorKind::NotFound => "record one with `rmapscope record`, or give the file with -i",
                io::ErrorKind::PermissionDenied => {
                    "trace files are readable by their owner only: ask for a copy"
                }
                _ => open_files::remedy(source, "use a regular file or a pipe"),
            },
            ReadError::Io { .. } => "copy the file to another disk and try again",
            ReadError::Empty => "the recording ended before anything was written: record again",
            ReadError::HeaderCut(_) => "copy the whole file again; if the disk was full, record again",
            ReadError::Foreign(_) => "use a file written by `rmapscope record`",
            ReadError::NewerFormat { .. } | ReadError::NewerEvents { .. } => {
                "read it with the version of rmapscope that recorded it, or a later one"
            }
            ReadError::HeaderDamaged(_) => "get an undamaged copy of the file",
        };
        Self::failure(error.to_string(), remedy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_is_one_line_with_a_remedy() {
        let full = || io::Error::from(io::ErrorKind::StorageFull);
        let errors: Vec<Error> = vec![
            CreateError::Occupied { path: "a".into(), what: "a directory" }.into(),
            CreateError::Terminal.into(),
            CreateError::Io { path: "a".into(), source: full() }.into(),
            CreateError::Write(WriteError::Ended).into(),
            WriteError::Io { written: 1, source: full() }.into(),
            WriteError::TooLarge { what: "a stack", size: 1 }.into(),
            ReadError::Empty.into(),
            ReadError::Foreign("a PNG image").into(),
            ReadError::NewerFormat { found: 2, known: 1 }.into(),
        ];
        for error in errors {
            assert!(!error.cause.is_empty() && !error.cause.contains('\n'), "{error:?}");
            assert!(!error.remedy.is_empty() && !error.remedy.contains('\n'), "{error:?}");
            assert_eq!(error.code, crate::ExitCode::Failure);
        }
    }
}
