//! Judging a trace file.

use std::path::Path;

use rmapscope::Error;
use rmapscope::check::{Checker, Options, Verdict};
use rmapscope::event::Sink;
use rmapscope::trace_file::{Ending, Frame, Reader};

/// The verdict on a trace file. What is missing from the file is in the verdict: what is there was judged.
///
/// # Errors
/// When it cannot be opened or is no trace file.
pub fn run(path: &Path, options: Options, fail_fast: bool) -> Result<Verdict, Error> {
    let mut reader = Reader::open(path)?;
    let mut checker = Checker::new(reader.header(), options);
    let incomplete = loop {
        match reader.next_frame() {
            Ok(Some(Frame::Events(mut events))) => {
                while let Some(record) = events.next_record() {
                    checker.record(record);
                }
            }
            Ok(Some(Frame::Items(items))) => {
                for item in &items {
                    let Ok(()) = checker.take(item);
                }
            }
            Ok(None) => match reader.ending() {
                Some(Ending::Complete) => break None,
                Some(ending) => break Some(ending.to_string()),
                None => break Some(Ending::NoSummary.to_string()),
            },
            Err(error) => break Some(error.to_string()),
        }
        if fail_fast && checker.is_violated() {
            break Some("reading ended at the first violation (--fail-fast)".to_owned());
        }
    };
    Ok(checker.finish(incomplete))
}
