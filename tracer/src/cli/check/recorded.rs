//! Judging a trace file.

use std::path::Path;

use rmapscope::Error;
use rmapscope::check::{Checker, Options, Verdict};
use rmapscope::trace_file::Reader;

use super::Judge;

/// The verdict on a trace file. What is missing from the file is in the verdict: what is there was judged.
///
/// # Errors
/// When it cannot be opened or is no trace file.
pub fn run(path: &Path, options: Options, fail_fast: bool) -> Result<Verdict, Error> {
    let mut reader = Reader::open(path)?;
    let mut judge = Judge { checker: Checker::new(reader.header(), options), fail_fast };
    let incomplete = reader.drive(&mut judge)?;
    Ok(judge.checker.finish(incomplete))
}
