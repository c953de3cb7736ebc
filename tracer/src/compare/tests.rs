//! The noise rule on processes whose truth is known: how often it is wrong, and what it finds.

use super::comparison::{Comparison, Options, compare};
use super::noise::Verdict;
use super::sample::{Run, Sample};
use crate::check;
use crate::event::synthetic::description;
use crate::event::{Body, Event, Family, Filter, Header, Item, Kind, Loss, LossCause, Sink, Summary};
use crate::trace_file::FileHeader;
use tracer_common::event::{FolioWalk, STACK_NONE};

/// Calls of which each resembles the one before.
#[derive(Clone, Copy)]
struct Process {
    calls: u64,
    /// Correlation of the logarithms of a call and the next.
    correlation: f64,
    /// Standard deviation of the logarithms.
    spread: f64,
    /// Standard deviation of a run's level.
    between: f64,
    /// By how much calls are slower.
    slower: f64,
}

const STEADY: Process = Process { calls: 1500, correlation: 0.9, spread: 0.3, between: 0.0, slower: 1.0 };

/// A standard normal number (Box and Muller).
fn normal(random: &mut fastrand::Rng) -> f64 {
    (-2.0 * (1.0 - random.f64()).ln()).sqrt() * (std::f64::consts::TAU * random.f64()).cos()
}

fn header() -> FileHeader {
    FileHeader { traced_command: Some(vec!["work".to_owned()]), ..FileHeader::new(description()) }
}

fn sample() -> Sample {
    let rules = check::Options { rules: check::Selection::none(), ..check::Options::default() };
    Sample::new("run".to_owned(), &header(), Filter::default(), rules)
}

fn call(sample: &mut Sample, time: u64, duration: u64) {
    let body = FolioWalk { page: 0, flags: 1, mapcount: 0, ttu_flags: 0, duration };
    let header = Header { time, tid: 1, pid: 1, kind: Kind::TryToUnmap as u16, cpu: 0, stack: STACK_NONE };
    sample.item(&Item::Event(Event { header, body: Body::TryToUnmap(body) })).unwrap();
}

impl Process {
    fn run(self, random: &mut fastrand::Rng) -> Run {
        let mut sample = sample();
        let level = (10_000.0 * self.slower).ln() + self.between * normal(random);
        let mut state = normal(random);
        let mut time = 1_000_000;
        for _ in 0..self.calls {
            state = self.correlation * state
                + (1.0 - self.correlation * self.correlation).sqrt() * normal(random);
            let duration = (level + self.spread * state).exp() as u64;
            // Calls follow each other at random, so that counts have noise, too.
            time += duration + (random.f64() * 40_000.0) as u64;
            call(&mut sample, time, duration);
        }
        sample.item(&Item::Summary(Summary { begin: 1_000_000, end: time, ..Summary::default() })).unwrap();
        sample.finish(None)
    }

    fn side(self, runs: usize, random: &mut fastrand::Rng) -> Vec<Run> {
        (0..runs).map(|_| self.run(random)).collect()
    }
}

fn differs(comparison: &Comparison) -> bool {
    comparison.rows.iter().any(|row| row.verdict.is_difference())
}

/// How many of `trials` comparisons tell a difference.
fn told(trials: u64, runs: usize, before: Process, after: Process, options: &Options) -> u64 {
    (0..trials)
        .filter(|seed| {
            let mut random = fastrand::Rng::with_seed(*seed);
            let (before, after) = (before.side(runs, &mut random), after.side(runs, &mut random));
            differs(&compare(before, after, options))
        })
        .count() as u64
}

/// Most false alarms of so many trials that a true level of 5 % gives in all but 1 of 1000 cases.
const TRIALS: u64 = 100;
const ALLOWED: u64 = 12;

fn without_floor() -> Options {
    Options { floor: Some(0.0), ..Options::default() }
}

#[test]
fn one_run_a_side_of_the_same_correlated_process_is_seldom_an_alarm() {
    let alarms = told(TRIALS, 1, STEADY, STEADY, &without_floor());
    assert!(alarms <= ALLOWED, "{alarms} of {TRIALS}");
}

#[test]
fn runs_of_different_levels_are_seldom_an_alarm() {
    let process = Process { calls: 300, between: 0.1, ..STEADY };
    for runs in [2, 4] {
        let alarms = told(TRIALS, runs, process, process, &without_floor());
        assert!(alarms <= ALLOWED, "{alarms} of {TRIALS} with {runs} runs a side");
    }
    let alarms = told(TRIALS, 1, process, process, &Options::default());
    assert!(alarms <= ALLOWED, "{alarms} of {TRIALS} with the floor of single runs");
}

#[test]
fn a_slow_down_of_20_percent_shows_with_several_runs() {
    let process = Process { calls: 2000, between: 0.02, ..STEADY };
    let slower = Process { slower: 1.2, ..process };
    let found = told(30, 5, process, slower, &Options::default());
    assert!(found >= 24, "{found} of 30");
}

#[test]
fn a_slow_down_by_a_half_shows_with_one_run() {
    let found = told(
        30,
        1,
        Process { calls: 6000, ..STEADY },
        Process { calls: 6000, slower: 1.5, ..STEADY },
        &Options::default(),
    );
    assert!(found >= 24, "{found} of 30");
}

#[test]
fn missing_events_keep_counts_from_being_compared() {
    let run = |calls, lost| steady(calls, lost, None);
    let verdict = |comparison: &Comparison, name: &str| {
        comparison.rows.iter().find(|row| row.quantity.to_string() == name).map(|row| row.verdict.clone())
    };
    let options = Options {
        basis: super::BasisChoice::Fixed(super::Basis::Run),
        floor: Some(0.05),
        ..Options::default()
    };
    let whole = compare(vec![run(4000, 0), run(4000, 0)], vec![run(2000, 0), run(2000, 0)], &options);
    assert_eq!(verdict(&whole, "rate"), Some(Verdict::Fewer));
    let lossy = compare(vec![run(4000, 0), run(4000, 0)], vec![run(2000, 2000), run(2000, 2000)], &options);
    assert_eq!(verdict(&lossy, "rate"), Some(Verdict::Unclear));
    let Some(Verdict::Incomparable(because)) = verdict(&lossy, "p99") else { panic!("{:?}", lossy.rows) };
    assert_eq!(because, "0.0% of A's and 50.0% of B's rmap events are missing");
    assert!(lossy.after[0].missing.contains(&("rmap", 0.5)));
}

#[test]
fn gates_fail_only_beyond_noise() {
    let mut random = fastrand::Rng::with_seed(7);
    let process = Process { calls: 1000, between: 0.02, ..STEADY };
    let before = process.side(3, &mut random);
    let after = Process { slower: 1.4, ..process }.side(3, &mut random);
    let outcome = |gate: &str, strict: bool| {
        let gates = vec![gate.parse().expect("a gate")];
        let options = Options { gates, strict, ..Options::default() };
        let comparison = compare(before.clone(), after.clone(), &options);
        comparison.gates[0].outcome
    };
    use super::GateOutcome::{Fail, Inconclusive, Pass};
    assert_eq!(outcome("try_to_unmap.p50 < +10%", false), Fail);
    assert_eq!(outcome("try_to_unmap.p50 < +60%", false), Pass);
    assert_eq!(outcome("try_to_unmap.p50 < 1ms", false), Pass);
    assert_eq!(outcome("try_to_unmap.p50 < 1us", false), Fail);
    assert_eq!(outcome("try_to_unmap.count == 1000", false), Pass);
    assert_eq!(outcome("copy_page_range.p99 < 2ms", false), Inconclusive);
    assert_eq!(outcome("copy_page_range.count == 0", false), Pass);
    assert_eq!(outcome("lost == 0", false), Pass);
    assert_eq!(outcome("try_to_unmap.max < +0%", true), Fail);
    assert_eq!(outcome("try_to_unmap.p9999 < -20%", false), Inconclusive);
}

/// A run of calls of 9 to 10 us, and of so many more that were lost.
fn steady(calls: u64, lost: u64, incomplete: Option<&str>) -> Run {
    let mut sample = sample();
    (0..calls).for_each(|call| self::call(&mut sample, 1_000_000 + call * 20_000, 9_000 + call % 1000));
    let family = Some(Family::Rmap as u8);
    if lost > 0 {
        let loss =
            Loss { cause: LossCause::Lost, family, count: lost, after: 0, before: u64::MAX, kind: None };
        sample.item(&Item::Loss(loss)).unwrap();
    }
    sample
        .item(&Item::Summary(Summary { begin: 1_000_000, end: 100_000_000, ..Summary::default() }))
        .unwrap();
    sample.finish(incomplete.map(str::to_owned))
}

fn gate(gate: &str, before: &[Run], after: &[Run], strict: bool) -> super::GateOutcome {
    let gates = vec![gate.parse().expect("a gate")];
    let options = Options { gates, strict, ..Options::default() };
    compare(before.to_vec(), after.to_vec(), &options).gates[0].outcome
}

#[test]
fn no_gate_passes_on_an_incomplete_side() {
    use super::GateOutcome::{Fail, Inconclusive, Pass};
    let whole = [steady(1000, 0, None)];
    let cut = [steady(1000, 0, None), steady(1000, 1, Some("the trace file is cut"))];
    for strict in [false, true] {
        for (text, of_whole, of_cut) in [
            ("lost == 0", Pass, Fail),
            ("lost == 1", Fail, Inconclusive),
            ("lost <= 1", Pass, Inconclusive),
            ("missed == 0", Pass, Inconclusive),
            ("rules.violated == 0", Pass, Inconclusive),
            ("rules.inconclusive == 0", Pass, Inconclusive),
            ("try_to_unmap.p50 < 1s", Pass, Inconclusive),
            ("try_to_unmap.max < 1ns", Fail, Inconclusive),
            ("try_to_unmap.count < 1001", Pass, Inconclusive),
            ("try_to_unmap.count < 10", Fail, Fail),
            ("try_to_unmap.count >= 10", Pass, Inconclusive),
            ("copy_page_range.count == 0", Pass, Inconclusive),
            ("try_to_unmap.p50 < +10%", Pass, Inconclusive),
        ] {
            assert_eq!(gate(text, &whole, &whole, strict), of_whole, "{text}");
            assert_eq!(gate(text, &whole, &cut, strict), of_cut, "{text}");
        }
        // The first side is asked only by changes.
        assert_eq!(gate("missed == 0", &cut, &whole, strict), Pass);
        assert_eq!(gate("try_to_unmap.p50 < +10%", &cut, &whole, strict), Inconclusive);
    }
}

#[test]
fn no_gate_passes_by_events_that_are_missing() {
    use super::GateOutcome::{Fail, Inconclusive, Pass};
    let (whole, lossy) = ([steady(1000, 0, None)], [steady(900, 100, None)]);
    for (text, expected) in [
        ("try_to_unmap.count < 950", Inconclusive),
        ("try_to_unmap.count == 1000", Inconclusive),
        ("try_to_unmap.count <= 1001", Pass),
        ("try_to_unmap.count < 900", Fail),
        ("try_to_unmap.max < 1s", Inconclusive),
        ("try_to_unmap.max < 1us", Fail),
        ("try_to_migrate.count == 0", Inconclusive),
        ("copy_page_range.count == 0", Pass),
        ("lost == 100", Pass),
        ("lost == 0", Fail),
    ] {
        assert_eq!(gate(text, &whole, &lossy, true), expected, "{text}");
    }
    // Where one run has none of it, a mean of the others is no answer.
    let none = [steady(1000, 0, None), steady(0, 0, None)];
    assert_eq!(gate("try_to_unmap.count >= 1", &whole, &none, false), Inconclusive);
}

#[test]
fn differing_recordings_are_told() {
    let mut random = fastrand::Rng::with_seed(1);
    let before = STEADY.run(&mut random);
    let mut after = STEADY.run(&mut random);
    after.header.options.per_vma = true;
    after.header.traced_command = Some(vec!["other".to_owned()]);
    let comparison = compare(vec![before], vec![after], &Options::default());
    let what: Vec<_> = comparison.differences.iter().map(|difference| difference.what).collect();
    assert_eq!(what, ["command", "--per-vma"]);
    assert_eq!(comparison.basis, super::Basis::Second);
    let is_told = |name: &str| {
        let row = comparison.rows.iter().find(|row| row.quantity.to_string() == name).expect("a row");
        matches!(&row.verdict, Verdict::Incomparable(because) if because.starts_with("--per-vma differs"))
    };
    assert!(is_told("p50") && is_told("mean") && !is_told("rate"));
}
