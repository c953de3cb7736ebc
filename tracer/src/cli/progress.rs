//! How far a long read is.

use std::io::{self, Read};
use std::path::Path;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use rmapscope::trace_file::{ReadError, Reader, source};

use super::status::Status;

/// Reads that take less are not worth a bar.
const PATIENCE: Duration = Duration::from_millis(500);

/// Opens a trace file, `-` for standard input; how far its reading is shows where `status` has a place for it.
///
/// # Errors
/// When it cannot be opened or is no trace file that can be read.
pub fn open(path: &Path, status: Status) -> Result<Reader<Box<dyn Read>>, ReadError> {
    let (file, length) = source(path)?;
    if status.shows_progress() {
        Reader::new(Box::new(Progress::new(file, length)))
    } else {
        Reader::new(file)
    }
}

/// Bytes with a bar on standard error, once reading takes long.
struct Progress<R> {
    source: R,
    bar: ProgressBar,
    began: Instant,
}

impl<R> Progress<R> {
    /// Of `length` bytes, where that is known.
    fn new(source: R, length: Option<u64>) -> Self {
        let bar = ProgressBar::with_draw_target(length, ProgressDrawTarget::hidden());
        let template = match length {
            Some(_) => "rmapscope: {bytes} of {total_bytes} read [{bar:30}] {bytes_per_sec}, {eta} left",
            None => "rmapscope: {bytes} read {spinner} {bytes_per_sec}",
        };
        // A template that cannot be read, which these are not, leaves the bar in its first style.
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("#. "));
        }
        Self { source, bar, began: Instant::now() }
    }
}

impl<R: Read> Read for Progress<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.source.read(buffer)?;
        if length == 0 {
            // What is said after the end needs the line.
            self.bar.finish_and_clear();
            return Ok(length);
        }
        self.bar.inc(length as u64);
        if self.bar.is_hidden() && self.began.elapsed() >= PATIENCE {
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
        Ok(length)
    }
}

impl<R> Drop for Progress<R> {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
