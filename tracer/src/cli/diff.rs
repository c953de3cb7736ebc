//! `rmapscope diff`: two sides of trace files, compared.

mod outputs;

use std::path::{Path, PathBuf};

use clap::Args;
use rmapscope::check;
use rmapscope::compare::{
    Basis, BasisChoice, Comparison, Gate, GateOutcome, Options, Run, Sample, compare, json, text,
};
use rmapscope::escape::escaped_path;
use rmapscope::event::{Filter, Kind};
use rmapscope::flame::{self, Profile, difference_svg};
use rmapscope::suggest::unknown;
use rmapscope::trace_file::Reader;
use rmapscope::{Error, ExitCode};

use super::GlobalArgs;
use super::choice::event_list;
use super::filter::FilterArgs;
use super::flame_args::FlameArgs;
use super::standard_output::print;
use outputs::ReportArgs;

/// Compare trace files: which differences exceed the noise, and are budgets met?
///
/// One file per side shows only the noise within a run, so only differences beyond 25 % are reported. Several files per
/// side, of repeated runs of the same work, also show the noise between runs, so smaller differences can be reported;
/// see docs/diff.md.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  rmapscope diff old.data new.data                            two runs
  rmapscope diff --before a1 a2 a3 --after b1 b2 b3           repeated runs of each, which is far better
  rmapscope diff a.data b.data --per try_to_unmap             counts per unit of work, not per run or second
  rmapscope diff a.data b.data --flame diff.svg --weight time where it went
  rmapscope diff --before a? --after b? --gate 'try_to_unmap.p99 < +10%' --gate 'rules.violated == 0'
Gates: EVENT.QUANTITY with rate, count, time, mean, max, p50, p99, p999, …; lost, missed, dropped, unpaired,
rules.violated, rules.inconclusive; then < <= > >= == and a change (+10%), a number or a time (2ms).
Exit code: 1 when a gate fails, 3 when one is inconclusive, else 0.")]
pub struct DiffArgs {
    /// Trace files of the first side, A, and of the second, B.
    #[arg(value_names = ["A", "B"], num_args = 2, required_unless_present_all = ["before", "after"],
          conflicts_with_all = ["before", "after"])]
    files: Vec<PathBuf>,
    /// Trace files of the first side: repeats of the same work.
    #[arg(long, value_name = "FILE", num_args = 1.., requires = "after")]
    before: Vec<PathBuf>,
    /// Trace files of the second side.
    #[arg(long, value_name = "FILE", num_args = 1.., requires = "before")]
    after: Vec<PathBuf>,
    /// Basis of counts and total times: `run`, `second`, `event`, `page`, or the name of an event. Default: the run if
    /// all runs are of the same command, otherwise the second.
    #[arg(long, value_name = "BASIS")]
    per: Option<String>,
    /// Differences up to this percentage count as equal. Default: 25 with one file per side, otherwise 5.
    #[arg(long, value_name = "PERCENT", value_parser = floor)]
    floor: Option<f64>,
    /// Probability, in percent, that the comparison contains no false alarm.
    #[arg(long, value_name = "PERCENT", default_value = "95", value_parser = confidence)]
    confidence: f64,
    #[command(flatten)]
    reports: ReportArgs,
    /// A budget, such as 'try_to_unmap.p99 < +10%' or 'lost == 0'. May be given several times.
    #[arg(long, value_name = "EXPR", help_heading = "Gates")]
    gate: Vec<Gate>,
    /// Gates judge the plain numbers, regardless of noise.
    #[arg(long, requires = "gate", help_heading = "Gates")]
    gate_strict: bool,
    #[command(flatten)]
    flame: FlameArgs,
    #[command(flatten)]
    filter: FilterArgs,
}

fn floor(text: &str) -> Result<f64, &'static str> {
    match text.trim_end_matches('%').parse::<f64>() {
        Ok(percent) if (0.0..=1000.0).contains(&percent) => Ok(percent / 100.0),
        _ => Err("expected a percentage from 0 to 1000"),
    }
}

fn confidence(text: &str) -> Result<f64, &'static str> {
    match text.trim_end_matches('%').parse::<f64>() {
        Ok(percent) if (50.0..100.0).contains(&percent) => Ok(percent / 100.0),
        _ => Err("expected a percentage from 50 to below 100"),
    }
}

/// Compares, prints the comparison, writes what else was asked for.
///
/// # Errors
/// When a file cannot be read or written. What is missing from a file is told.
pub fn run(args: &DiffArgs, global: &GlobalArgs) -> Result<u8, Error> {
    let Some(events) = args.filter.events()? else {
        return print(&event_list());
    };
    let selection = events.into_iter().collect();
    let options = Options {
        basis: basis(args.per.as_deref())?,
        floor: args.floor,
        confidence: args.confidence,
        gates: args.gate.clone(),
        strict: args.gate_strict,
    };
    let (before, after) = match args.files.split_first() {
        Some((first, rest)) => (std::slice::from_ref(first), rest),
        None => (&args.before[..], &args.after[..]),
    };
    let all = || before.iter().chain(after);
    if all().filter(|path| *path == Path::new("-")).count() > 1 {
        return Err(Error::failure("standard input can be read only once", "give the other inputs as files"));
    }
    let inputs: Vec<&Path> = all().map(PathBuf::as_path).collect();
    let outputs = args.reports.open(&inputs)?;
    let flame_file = args.flame.open()?;
    let filter = args.filter.filter(selection);
    let (before, profile_before) = side(before, args, &filter, global)?;
    let (after, profile_after) = side(after, args, &filter, global)?;
    let comparison = compare(before, after, &options);
    if let (Some(file), Some(before), Some(after)) = (flame_file, profile_before, profile_after) {
        let basis = flame::Basis::new(comparison.basis.name(), comparison.exposures);
        let style = args.flame.style();
        file.write(basis.and_then(|basis| difference_svg(&before, &after, &basis, &style)))?;
    }
    outputs.write(&comparison)?;
    let shown = if args.reports.json {
        json(&comparison).map_err(|error| {
            Error::failure(
                format!("the comparison cannot be written: {error}"),
                "this is a bug in rmapscope; please report it",
            )
        })?
    } else {
        text(&comparison, args.reports.top, global.colors_output())
    };
    print(&shown)?;
    Ok(code(&comparison) as u8)
}

fn basis(name: Option<&str>) -> Result<BasisChoice, Error> {
    let Some(name) = name else { return Ok(BasisChoice::Auto) };
    Basis::from_name(name).map(BasisChoice::Fixed).ok_or_else(|| {
        let kinds = Kind::ALL.iter().map(|kind| kind.name());
        let all = ["run", "second", "event", "page"].into_iter().chain(kinds);
        unknown("basis", name, all, "use run, second, event, page, or the name of an event")
    })
}

/// The runs of a side, and their stacks where a flame graph is asked for.
fn side(
    paths: &[PathBuf],
    args: &DiffArgs,
    filter: &Filter,
    global: &GlobalArgs,
) -> Result<(Vec<Run>, Option<Profile>), Error> {
    let mut runs = Vec::new();
    let mut profile: Option<Profile> = None;
    for path in paths {
        let mut reader = Reader::open(path)?;
        let name = path.to_string_lossy().into_owned();
        let sample = Sample::new(name, reader.header(), filter.clone(), check::Options::default());
        let profiler = args.flame.profiler(reader.header(), filter);
        let mut both = (sample, profiler);
        let incomplete = reader.drive(&mut both)?;
        if let Some(incomplete) = &incomplete {
            global.status().important(&format!("{}: {incomplete}", escaped_path(path)));
        }
        let (sample, profiler) = both;
        runs.push(sample.finish(incomplete.clone()));
        if let Some(more) = profiler.map(|profiler| profiler.finish(incomplete)) {
            match &mut profile {
                Some(profile) => profile.merge(more),
                None => profile = Some(more),
            }
        }
    }
    Ok((runs, profile))
}

fn code(comparison: &Comparison) -> ExitCode {
    let has = |outcome| comparison.gates.iter().any(|gate| gate.outcome == outcome);
    if has(GateOutcome::Fail) {
        ExitCode::Violation
    } else if has(GateOutcome::Inconclusive) {
        ExitCode::Inconclusive
    } else {
        ExitCode::Success
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bases_by_name() {
        assert!(matches!(basis(None), Ok(BasisChoice::Auto)));
        assert!(matches!(basis(Some("try_to_unmap")), Ok(BasisChoice::Fixed(Basis::Kind(Kind::TryToUnmap)))));
        assert!(basis(Some("secund")).unwrap_err().remedy.contains("`second`"));
    }

    #[test]
    fn per_cents_have_bounds() {
        assert_eq!(floor("5%"), Ok(0.05));
        assert!(floor("-1").is_err() && floor("x").is_err() && floor("NaN").is_err());
        assert_eq!(confidence("99"), Ok(0.99));
        assert!(confidence("100").is_err() && confidence("0.95").is_err());
    }
}
