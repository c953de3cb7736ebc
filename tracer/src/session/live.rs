//! A live session from its first probe to its summary.

use std::mem::offset_of;
use std::ops::Range;
use std::time::Duration;

use aya::maps::{RingBuf, StackTraceMap};
use aya_log::EbpfLogger;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tracer_common::copies;
use tracer_common::counters::Counters;
use tracer_common::event::Header;
use tracer_common::family::Family;
use tracer_common::globals::Globals;
use tracer_common::point::Point;

use super::attach::{self, ObjectOptions, Probes};
use super::command::{Command, exit_code};
use super::counters::{CounterReader, by_family};
use super::endings::Endings;
use super::filters::Filters;
use super::namespaces::Ids;
use super::object::STACKS;
use super::program_log::ToStderr;
use super::ring::{ROUND, Ring};
use super::silence::Monitor;
use super::stacks::Stacks;
use super::switches::Switches;
use super::tally::Tally;
use super::{clock, least_privilege};
use crate::check::{Silences, SilentProbes};
use crate::event::{Item, Loss, LossCause, Silence, Sink, Summary};
use crate::kernel::{Description, Facts, SystemFiles};
use crate::probe::{Plan, PointReport, Request};
use crate::{Error, open_files};

/// What a session is asked for.
#[derive(Clone, Debug)]
pub struct Options {
    /// Events, latency, ways to attach.
    pub request: Request,
    /// Who is watched.
    pub filters: Filters,
    /// Take kernel stacks.
    pub stacks: bool,
    /// Bytes of the ring; rounded up to a power of two of pages.
    pub ring_bytes: u32,
    /// How long at most.
    pub duration: Option<Duration>,
    /// Level of the programs' own log, 0 for none.
    pub log_level: u8,
}

/// The ring is looked at so often when nothing wakes its reader.
const LOOK: Duration = Duration::from_millis(50);
/// Whether attached programs can fire is looked at so often.
const SELF_TEST: Duration = Duration::from_millis(100);
/// The sink is flushed so often.
const FLUSH: Duration = Duration::from_secs(1);
/// What the kernel skipped is asked for at most so often at the end, to see whether a copy was still to come.
const LOOKS_AT_MISSED: usize = 10;
/// And so long apart.
const BETWEEN_LOOKS: Duration = Duration::from_millis(5);
/// A command that was asked to end has so long before the session ends without it.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Attached probes and everything to read them with.
pub struct Live {
    facts: Facts,
    plan: Plan,
    probes: Probes,
    ring: Ring,
    meter: CounterReader,
    /// Calls that nobody saw before what is to be watched began, by family. Negative where copies of programs were
    /// attached before the programs themselves.
    unseen_before: [i64; Family::COUNT],
    stacks: Stacks,
    tally: Tally,
    monitor: Monitor,
    /// Stretches of silence that are still to be put into the stream.
    silent: Vec<Loss>,
    begin: u64,
    duration: Option<Duration>,
    names_tasks: bool,
    ids: Ids,
    log: bool,
}

impl Live {
    /// Loads and attaches what `plan` names.
    ///
    /// # Errors
    /// When a filter is impossible or the kernel refuses the object.
    pub fn start(facts: Facts, mut plan: Plan, options: &Options) -> Result<Self, Error> {
        let mut globals = Globals::EMPTY;
        globals.layout = facts.layout;
        globals.entry = facts.entry;
        if options.request.probe_read {
            globals.walk = facts.walk;
        }
        globals.options.tracer_pid = std::process::id();
        globals.options.wakeup_bytes = options.ring_bytes / 4;
        globals.options.latency = u8::from(options.request.latency);
        globals.options.visits_for_rules = u8::from(options.request.visits_for_rules);
        globals.options.copies = copies::families(facts.preempts);
        globals.options.stacks = u8::from(options.stacks);
        globals.options.read_kernel = u8::from(options.request.probe_read);
        for kind in &options.request.kinds {
            globals.options.ask_for(*kind);
        }
        options.filters.write(&mut globals.options)?;
        clock::check()?;
        let ids = Ids::find(&facts.btf)?;
        let object = ObjectOptions { ring_bytes: options.ring_bytes, log_level: options.log_level };
        let begin = clock::now();
        // Before anything is attached: what is written from now on is noticed.
        let switches = Switches::open(&SystemFiles::live());
        let mut probes = attach::attach(&mut plan, &mut globals, &object, &options.filters, &ids, &facts)?;
        let self_test = probes.self_test.take().unwrap_or_default();
        let mut monitor = Monitor::new(self_test, switches, &plan, begin);
        let silent = monitor.look();
        let mut take = |name: &'static str| {
            probes.ebpf.take_map(name).ok_or_else(|| {
                Error::failure(
                    format!("the eBPF object has no map {name}"),
                    "build rmapscope and its object together",
                )
            })
        };
        let shape = |error: aya::maps::MapError| {
            Error::failure(
                format!("a map of the eBPF object: {error}"),
                "build rmapscope and its object together",
            )
        };
        let ring = Ring::new(RingBuf::try_from(take("EVENTS")?).map_err(shape)?);
        let meter = CounterReader::new(take("COUNTERS")?, begin).map_err(shape)?;
        let stacks = Stacks::new(StackTraceMap::try_from(take("STACKS")?).map_err(shape)?, STACKS);
        let mut facts = facts;
        facts.description.vmemmap_base = probes.vmemmap_base;
        Ok(Self {
            facts,
            plan,
            probes,
            ring,
            meter,
            unseen_before: [0; Family::COUNT],
            stacks,
            tally: Tally::new(),
            monitor,
            silent,
            begin,
            duration: options.duration,
            names_tasks: options.filters.name_tasks(),
            ids,
            log: options.log_level > 0,
        })
    }

    /// The kernel, as a trace file describes it.
    pub fn kernel(&self) -> &Description {
        &self.facts.description
    }

    /// What became of every point.
    pub fn reports(&self) -> Vec<PointReport> {
        self.plan.reports()
    }

    /// Attached points that could not fire when they were attached.
    pub fn silences(&self) -> Vec<Silence> {
        self.monitor.silences()
    }

    /// Releases the command, hands everything to `sink` until the session ends, and ends it in order:
    /// probes detached, ring emptied, losses counted.
    ///
    /// # Errors
    /// When the sink takes no more; what it has is whole.
    pub async fn run<S: Sink>(
        mut self,
        mut command: Option<&mut Command>,
        sink: &mut S,
    ) -> Result<Ended, Error> {
        let setup = |error: std::io::Error| {
            let remedy = open_files::remedy(&error, "this should not happen; report it");
            Error::failure(format!("cannot wait for events: {error}"), remedy)
        };
        let mut endings = Endings::listen().map_err(setup)?;
        let mut child = signal(SignalKind::child()).map_err(setup)?;
        let mut log = self.logger()?;
        for process in self.ids.living(&mut self.probes.ebpf) {
            sink.item(&Item::Process(process))?;
        }
        self.look_for_silence(sink)?;
        self.meter.begin();
        self.unseen_before = self.unseen();
        let attached = clock::now();
        if let Some(command) = command.as_deref_mut() {
            command.release()?;
        }
        least_privilege::keep_only_bpf().map_err(|error| {
            Error::failure(format!("cannot give up privileges: {error}"), "this should not happen; report it")
        })?;

        let deadline = self.duration.map(|duration| Instant::now() + duration);
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut flushed, mut tested) = (Instant::now(), Instant::now());
        let descriptor = self.ring.descriptor().map_err(setup)?;
        // SAFETY: the descriptor belongs to `ready`, which keeps it open as long as it is registered.
        let ready = unsafe { AsyncFd::register_with_interest(descriptor, Interest::READABLE) }
            .map_err(|error| setup(error.into()))?;
        let reason = loop {
            tokio::select! {
                guard = ready.readable() => guard.map_err(setup)?.clear_ready(),
                _ = look.tick() => {}
                _ = child.recv() => {}
                signal = endings.next() => break signal.to_owned(),
                () = until(deadline) => break "duration".to_owned(),
            }
            if self.drain(sink)? {
                look.reset_immediately();
            }
            if let Some(reason) = sink.enough() {
                break reason.to_owned();
            }
            if let Some(status) = status(&mut command)? {
                break format!("the command ended with status {status}");
            }
            if tested.elapsed() >= SELF_TEST {
                tested = Instant::now();
                self.look_for_silence(sink)?;
            }
            if flushed.elapsed() >= FLUSH {
                flushed = Instant::now();
                self.report_losses(sink)?;
                sink.flush()?;
                if let Some(log) = log.as_mut() {
                    log.flush();
                }
            }
        };
        let decided = clock::now();
        // A second signal ends the program at once, also while a command that was asked to end does not.
        endings.give_up();
        if let Some(command) = command.as_deref_mut() {
            self.end_command(command, sink).await?;
        }
        self.look_for_silence(sink)?;
        let missed = self.missed().await;
        let missed_forks = if self.names_tasks { self.probes.skipped_forks(&self.plan) } else { 0 };
        // Of these a copy of the program may have seen some.
        let missed_forks = missed_forks.min(missed[Family::Process as usize]);
        if missed_forks > 0 {
            // Whether the children were to be watched nobody knows: anything of theirs may be missing.
            let (cause, before) = (LossCause::Missed, clock::now());
            sink.item(&Item::Loss(Loss {
                cause,
                family: None,
                count: missed_forks,
                after: self.begin,
                before,
            }))?;
        }
        // Counted before: while the programs are detached one after the other, calls lose one of their ends, and
        // those that are detached last are hit alone.
        let watched = self.meter.totals();
        self.probes.detach(&self.plan);
        drop(ready);
        while self.drain(sink)? {}
        self.report_losses(sink)?;
        let command_status = match command {
            Some(command) => command.try_wait().ok().flatten().map(exit_code),
            None => None,
        };
        self.finish(reason, command_status, missed, &watched, attached..decided, sink)
    }

    /// The programs' own log, when it was asked for.
    fn logger(&mut self) -> Result<Option<EbpfLogger<ToStderr>>, Error> {
        if !self.log {
            return Ok(None);
        }
        match EbpfLogger::init_with_logger(&mut self.probes.ebpf, ToStderr) {
            Ok(logger) => Ok(Some(logger)),
            Err(error) => Err(Error::failure(
                format!("the programs' log cannot be read: {error}"),
                "leave the second -v out",
            )),
        }
    }

    /// Hands on what waits in the ring, up to one round; whether there may be more.
    fn drain<S: Sink>(&mut self, sink: &mut S) -> Result<bool, Error> {
        let Self { ring, tally, stacks, facts, .. } = self;
        let taken = ring.drain(|record| {
            let Some((kind, stack)) = kind_and_stack(record) else { return Ok(()) };
            tally.count(kind);
            if stack >= 0
                && let Some(stack) = stacks.first_seen(stack, &facts.symbols)
            {
                sink.item(&Item::Stack(stack))?;
            }
            sink.record(record)
        })?;
        Ok(taken == ROUND)
    }

    /// Looks whether the attached programs can fire, and puts into the stream what came of it.
    fn look_for_silence<S: Sink>(&mut self, sink: &mut S) -> Result<(), Error> {
        self.silent.extend(self.monitor.look());
        for loss in self.silent.drain(..) {
            sink.item(&Item::Loss(loss))?;
        }
        Ok(())
    }

    /// Calls that nobody saw since the probes are attached, by family: what the kernel skipped, less what copies of
    /// the skipped programs saw.
    fn unseen(&self) -> [i64; Family::COUNT] {
        // In this order a call that is skipped in between counts as unseen, and none that was is left out.
        let rescued = self.meter.totals().rescued;
        let skipped = self.probes.skipped(&self.plan);
        std::array::from_fn(|family| skipped[family].wrapping_sub(rescued[family]).cast_signed())
    }

    /// Calls that nobody saw while what was to be watched went on, by family. A call that is just between the
    /// program that was skipped and its copy counts as one, and soon does not any more. Were there fewer skips than
    /// calls that copies saw, so many were seen twice, and the count of what happened is as wrong.
    async fn missed(&self) -> [u64; Family::COUNT] {
        let since = || -> [u64; Family::COUNT] {
            let unseen = self.unseen();
            std::array::from_fn(|family| (unseen[family] - self.unseen_before[family]).unsigned_abs())
        };
        let mut missed = since();
        for _ in 0..LOOKS_AT_MISSED {
            if missed == [0; Family::COUNT] {
                break;
            }
            tokio::time::sleep(BETWEEN_LOOKS).await;
            let again = since();
            missed = std::array::from_fn(|family| missed[family].min(again[family]));
        }
        missed
    }

    fn report_losses<S: Sink>(&mut self, sink: &mut S) -> Result<(), Error> {
        for loss in self.meter.losses(clock::now()) {
            sink.item(&Item::Loss(loss))?;
        }
        Ok(())
    }

    /// Ends a command that outlived the session's end: asks, waits, and leaves it alone if it does not.
    async fn end_command<S: Sink>(&mut self, command: &mut Command, sink: &mut S) -> Result<(), Error> {
        let deadline = Instant::now() + LAST_WORDS;
        command.signal(libc::SIGTERM);
        while Instant::now() < deadline && status(&mut Some(&mut *command))?.is_none() {
            tokio::time::sleep(LOOK).await;
            self.drain(sink)?;
        }
        Ok(())
    }

    fn finish<S: Sink>(
        self,
        reason: String,
        command_status: Option<i32>,
        missed: [u64; Family::COUNT],
        watched: &Counters,
        while_watched: Range<u64>,
        sink: &mut S,
    ) -> Result<Ended, Error> {
        let totals = self.meter.totals();
        let end = clock::now();
        for family in Family::ALL.into_iter().filter(|family| missed[*family as usize] > 0) {
            sink.item(&Item::Loss(Loss {
                cause: LossCause::Missed,
                family: Some(family as u8),
                count: missed[family as usize],
                after: self.begin,
                before: end,
            }))?;
        }
        let attached = |point: &&Point| self.plan.point(**point).report.outcome.is_attached();
        let by_point = |hits: &dyn Fn(Point) -> u64| {
            let named = |point: &Point| (self.plan.point(*point).report.point.clone(), hits(*point));
            Point::ALL.iter().filter(attached).map(named).collect()
        };
        let summary = Summary {
            events: self.tally.by_name(),
            emitted: by_family(&totals.emitted),
            lost: by_family(&totals.lost),
            missed: by_family(&missed),
            dropped: Default::default(),
            unpaired: by_family(&self.meter.unpaired(watched)),
            stacks_lost: totals.stacks_lost,
            hits: by_point(&|point| totals.hits[point as usize]),
            watched_hits: by_point(&|point| self.meter.hits(watched, point)),
            silenced: self.monitor.silences(),
            begin: self.begin,
            end,
            attached: while_watched.start,
            decided: while_watched.end,
            reason,
            command_status,
        };
        sink.item(&Item::Summary(summary.clone()))?;
        let reports = self.plan.reports();
        let silences = Silences::new(&reports, self.facts.description.possible_cpus, &summary);
        Ok(Ended { silent: silences.told(), reports, summary })
    }
}

/// How a session ended.
pub struct Ended {
    /// What the sink was given last.
    pub summary: Summary,
    /// What became of every point.
    pub reports: Vec<PointReport>,
    /// Points that were attached and could not fire, or did not when they had to.
    pub silent: Vec<SilentProbes>,
}

/// Number of the kind, and stack, of a record: all that this end must know of it. `None` for what is shorter than
/// a header, which no program sends.
fn kind_and_stack(record: &[u8]) -> Option<(u16, i32)> {
    let kind = record.get(offset_of!(Header, kind)..)?.first_chunk()?;
    let stack = record.get(offset_of!(Header, stack)..)?.first_chunk()?;
    Some((u16::from_ne_bytes(*kind), i32::from_ne_bytes(*stack)))
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// The command's exit code, when it has ended.
fn status(command: &mut Option<&mut Command>) -> Result<Option<i32>, Error> {
    let Some(command) = command else { return Ok(None) };
    let ended = command.try_wait().map_err(|error| {
        Error::failure(
            format!("cannot wait for the command: {error}"),
            "run it without rmapscope to see what it does",
        )
    })?;
    Ok(ended.map(exit_code))
}
