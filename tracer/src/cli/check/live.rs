//! Judging the running kernel.

use std::path::Path;

use rmapscope::Error;
use rmapscope::check::{Checker, Options, Verdict, kinds_for};
use rmapscope::event::{EventName, Tolerated};
use rmapscope::overhead::by_rule;
use rmapscope::trace_file::Writer;

use super::{CheckArgs, Judge};
use crate::cli::GlobalArgs;
use crate::cli::live::{self, Purpose};
use crate::cli::summary;

/// The verdict on a live session, and what went wrong with the trace file beside it.
///
/// # Errors
/// When there can be no session, or the command cannot be run.
pub fn run(
    args: &CheckArgs,
    options: Options,
    global: &GlobalArgs,
) -> Result<(Verdict, Option<Error>), Error> {
    if args.record.as_deref() == Some(Path::new("-")) {
        return Err(Error::failure(
            "standard output is used for the verdict and cannot be the trace file",
            "give --record a file name, or use `rmapscope record -o - | rmapscope check -i -`",
        ));
    }
    let events = kinds_for(&options.rules).into_iter().map(EventName::Event).collect();
    let mut session = live::open(&args.session, &args.tasks.choice(events), Purpose::Judge, global)?;
    let writer = args.record.as_deref().map(|path| Writer::create(path, &session.header)).transpose()?;
    let rules = options.rules;
    let judge = Judge { checker: Checker::new(&session.header, options), fail_fast: args.rules.fail_fast };
    session.announce("checking");
    let mut output = (Tolerated::new(writer), judge);
    let ended = session.run(&mut output, args.record.as_deref())?;
    let (recorded, judge) = output;
    let (writer, trouble) = match recorded.into_inner() {
        Ok(writer) => (writer, None),
        Err(error) => (None, Some(error)),
    };
    if args.session.overhead {
        summary::overhead(&ended, global.status());
        by_rule(&ended.costs, &rules).iter().for_each(|line| global.status().important(line));
    }
    let file = args.record.as_deref().zip(writer);
    let file = file.map(|(path, writer)| summary::file(path, writer.bytes_written()));
    summary::print(&ended, file.as_deref(), global.status());
    Ok((judge.checker.finish(None), trouble))
}
