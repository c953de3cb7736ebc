//! Judging the running kernel.

use std::path::Path;

use rmapscope::check::{Checker, Options, Verdict, kinds_for};
use rmapscope::session::endings::how_to_end;
use rmapscope::session::{Collected, Live, Tee, Tolerated, prepare};
use rmapscope::trace_file::Writer;
use rmapscope::{Error, ExitCode};

use super::{CheckArgs, Judge};
use crate::cli::GlobalArgs;
use crate::cli::record::{discard, size};
use crate::cli::session_args::{Choice, fork, runtime};
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
            "standard output is for the verdict, not for the trace file",
            "give --record a file, or use `rmapscope record -o - | rmapscope check -i -`",
        ));
    }
    let status = global.status();
    let mut command = fork(&args.command)?;
    let choice = Choice {
        events: kinds_for(&options.rules).iter().map(|kind| kind.name().to_owned()).collect(),
        pids: args.pid.clone(),
        tids: args.tid.clone(),
        names: args.comm.clone(),
        min_latency: None,
    };
    // The command is not told to the filters: kswapd, kcompactd and interrupts act for everybody.
    let mut session = args.session.options(choice.clone(), None, global.verbose)?;
    session.request.visits_for_rules = !args.session.per_vma;
    let (facts, plan) = prepare(&mut session.request, &args.session.facts())?;
    let live = Live::start(facts, plan, &session)?;
    summary::begun(&live, status);
    let mut header = args.session.header(&choice, &args.command, &live);
    let narrowed = !(args.pid.is_empty() && args.tid.is_empty() && args.comm.is_empty())
        || args.session.cgroup.is_some();
    header.options.insert("all".to_owned(), (!narrowed).into());
    let writer = args.record.as_deref().map(|path| Writer::create(path, &header)).transpose()?;
    let judge = Judge { checker: Checker::new(&header, options), fail_fast: args.rules.fail_fast };
    if command.is_none() && session.duration.is_none() {
        status.note(&format!("checking; {}", how_to_end()));
    }
    let mut output = Tee(Tolerated::new(writer), Collected(judge));
    let ended = runtime()?.block_on(live.run(command.as_mut(), &mut output)).inspect_err(|error| {
        if matches!(error.code, ExitCode::CommandNotFound | ExitCode::CommandNotExecutable)
            && let Some(path) = &args.record
        {
            discard(path);
        }
    })?;
    let Tee(recorded, Collected(judge)) = output;
    let (writer, trouble) = match recorded.into_inner() {
        Ok(writer) => (writer, None),
        Err(error) => (None, Some(error)),
    };
    let file = args.record.as_deref().zip(writer);
    let file = file.map(|(path, writer)| format!("{} {}", path.display(), size(writer.bytes_written())));
    summary::print(&ended, file.as_deref(), status);
    Ok((judge.checker.finish(None), trouble))
}
