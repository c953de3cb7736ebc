//! A live session from its first probe to its summary.

use std::mem::offset_of;
use std::ops::Range;
use std::os::fd::AsFd;
use std::time::Duration;

use aya::maps::{Map, RingBuf, StackTraceMap};
use aya_log::EbpfLogger;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, MissedTickBehavior, interval, interval_at, sleep_until};
use tracer_common::copies;
use tracer_common::counters::Counters;
use tracer_common::event::Header;
use tracer_common::family::Family;
use tracer_common::globals::{Globals, MemoryMap, WalkFormat};
use tracer_common::point::Point;

use super::attach::{self, ObjectOptions, Probes};
use super::bell::Bell;
use super::buffers::{Buffers, Round};
use super::command::{Command, exit_code};
use super::costs::Costs;
use super::counters::{CounterReader, by_family};
use super::counting::{self, CountReader, CountingOptions};
use super::endings::{Endings, cannot_wait};
use super::filters::Filters;
use super::namespaces::Ids;
use super::object::STACKS;
use super::program_log::ToStderr;
use super::silence::Monitor;
use super::stacks::Stacks;
use super::switches::Switches;
use super::tally::Tally;
use super::window::Window;
use super::{clock, least_privilege, object};
use crate::Error;
use crate::check::{Silences, SilentProbes};
use crate::event::{Item, Loss, LossCause, Silence, Sink, Summary};
use crate::kernel::{Description, Facts, SystemFiles};
use crate::overhead::ProgramCost;
use crate::probe::{Plan, PointReport, Request};
use crate::stat::{By, GroupKey, Missing, Reading};

/// What a session is asked for.
#[derive(Clone, Debug)]
pub struct Options {
    /// Events, latency, ways to attach.
    pub request: Request,
    /// Who is watched.
    pub filters: Filters,
    /// Take kernel stacks.
    pub stacks: bool,
    /// Bytes of records in each CPU's buffer; a power of two.
    pub buffer_bytes: u32,
    /// How long at most.
    pub duration: Option<Duration>,
    /// Level of the programs' own log, 0 for none.
    pub log_level: u8,
    /// Count events instead of sending them.
    pub counting: Option<CountingOptions>,
    /// Let the kernel measure what the programs cost.
    pub overhead: bool,
}

impl Options {
    /// Count events instead of sending them, and attach what that needs.
    pub fn count(&mut self, counting: CountingOptions) {
        let question = counting.question;
        self.request.latency |= question.needs_latency();
        self.stacks |= question.by == By::Stack;
        self.request.entries_only = question.is_early() && !self.request.latency;
        self.counting = Some(counting);
    }
}

/// The buffers are looked at so often when nothing wakes their reader.
const LOOK: Duration = Duration::from_millis(50);
/// Whether attached programs can fire is looked at so often.
const SELF_TEST: Duration = Duration::from_millis(100);
/// The sink is flushed so often.
const FLUSH: Duration = Duration::from_secs(1);
/// What the kernel skipped is asked for at most so often at the end, to see whether a copy was still to come.
const LOOKS_AT_MISSED: usize = 10;
/// And so long apart.
const BETWEEN_LOOKS: Duration = Duration::from_millis(5);
/// Records that are not committed are waited for so long at the end.
const LAST_RECORDS: Duration = Duration::from_secs(2);
/// A command that was asked to end has so long before the session ends without it.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Attached probes and everything to read them with.
pub struct Live {
    facts: Facts,
    plan: Plan,
    probes: Probes,
    buffers: Buffers,
    bell: Bell,
    window: Window,
    meter: CounterReader,
    /// Calls that nobody saw before what is to be watched began, by family. Negative where copies of programs were
    /// attached before the programs themselves.
    unseen_before: [i64; Family::COUNT],
    /// `None` when none are taken.
    stacks: Option<Stacks>,
    counts: Option<CountReader>,
    counting: Option<CountingOptions>,
    overhead: bool,
    /// Measures what the programs cost, while it is there.
    costs: Option<Costs>,
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
            globals.memory_map = facts.memory_map.clone().unwrap_or(MemoryMap::UNKNOWN);
            globals.walk = facts.walk.clone().unwrap_or(WalkFormat::NONE);
            globals.walk.loops = u32::from(facts.has_loops());
        }
        globals.options.tracer_pid = std::process::id();
        globals.options.buffer_mask = options.buffer_bytes - 1;
        globals.options.latency = u8::from(options.request.latency);
        globals.options.visits_for_rules = u8::from(options.request.visits_for_rules);
        globals.options.copies = copies::families(facts.preempts);
        globals.options.ttu_ignore_mlock = ttu_ignore_mlock(&facts);
        globals.options.stacks = u8::from(options.stacks);
        globals.options.read_kernel = u8::from(options.request.probe_read);
        for kind in &options.request.kinds {
            globals.options.ask_for(*kind);
        }
        options.filters.write(&mut globals.options)?;
        if let Some(CountingOptions { question, .. }) = options.counting {
            question.write(&mut globals, facts.description.page_size, options.request.latency);
            counting::write(&mut globals.options)?;
        }
        clock::check()?;
        let ids = Ids::find(&facts.btf)?;
        let object = ObjectOptions { log_level: options.log_level };
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
        let bell = Bell::new(RingBuf::try_from(take("BELL")?).map_err(shape)?);
        let buffers = match take("BUFFERS")? {
            Map::Array(map) => {
                Buffers::new(map.fd().as_fd(), object::cpus()?, globals.options.buffer_mask + 1)
            }
            _ => Err(std::io::Error::other("not an array")),
        };
        let buffers = buffers.map_err(|error| {
            Error::failure(
                format!("the buffers cannot be mapped into this process's memory: {error}"),
                "ask for less with --buffer, or raise the limit of address space (ulimit -v)",
            )
        })?;
        let mut counts = options
            .counting
            .map(|counting| CountReader::new(counting.question, &globals.options, &mut take))
            .transpose()?;
        // In this order: what is lost in between counts as lost.
        let before = buffers.counters();
        if let Some(counts) = &mut counts {
            counts.begin();
        }
        let window = Window::new(clock::now(), before);
        let stacks = StackTraceMap::try_from(take("STACKS")?).map_err(shape)?;
        let stacks = options.stacks.then(|| Stacks::new(stacks, STACKS));
        let mut facts = facts;
        facts.description.vmemmap_base = probes.vmemmap_base;
        Ok(Self {
            facts,
            plan,
            probes,
            buffers,
            bell,
            meter: CounterReader::new(begin),
            window,
            unseen_before: [0; Family::COUNT],
            stacks,
            counts,
            counting: options.counting,
            overhead: options.overhead,
            costs: None,
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

    /// Bytes of the buffers of all CPUs.
    pub fn buffer_bytes(&self) -> u64 {
        self.buffers.bytes()
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
    /// probes detached, buffers emptied, losses counted. Signals end it where `endings` listens to them.
    ///
    /// # Errors
    /// When the sink takes no more; what it has is whole.
    pub async fn run<S: Sink>(
        mut self,
        mut command: Option<&mut Command>,
        sink: &mut S,
        mut endings: Endings,
    ) -> Result<Ended, Error> {
        let mut child = signal(SignalKind::child()).map_err(cannot_wait)?;
        let mut log = self.logger()?;
        for process in self.ids.living(&mut self.probes.ebpf) {
            sink.item(&Item::Process(process))?;
        }
        self.look_for_silence(sink)?;
        self.meter.begin(self.buffers.counters());
        self.unseen_before = self.unseen();
        let attached = self.window.from();
        if self.overhead {
            self.costs = Some(Costs::begin(&self.probes, &self.plan)?);
        }
        if let Some(command) = command.as_deref_mut() {
            command.release()?;
        }
        least_privilege::keep_only_bpf().map_err(|error| {
            Error::failure(format!("cannot give up privileges: {error}"), "this should not happen; report it")
        })?;

        let deadline = self.duration.map(|duration| Instant::now() + duration);
        let mut ticks = self.counting.and_then(|counting| counting.interval).map(|length| {
            let mut ticks = interval_at(Instant::now() + length, length);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
            ticks
        });
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut flushed, mut tested) = (Instant::now(), Instant::now());
        let descriptor = self.bell.descriptor().map_err(cannot_wait)?;
        // SAFETY: the descriptor belongs to `ready`, which keeps it open as long as it is registered.
        let ready = unsafe { AsyncFd::register_with_interest(descriptor, Interest::READABLE) }
            .map_err(|error| cannot_wait(error.into()))?;
        let reason = loop {
            let mut ends_interval = false;
            tokio::select! {
                guard = ready.readable() => {
                    guard.map_err(cannot_wait)?.clear_ready();
                    self.bell.silence();
                }
                _ = look.tick() => {}
                _ = child.recv() => {}
                signal = endings.next() => break signal.to_owned(),
                () = until(deadline) => break "duration".to_owned(),
                () = tick(&mut ticks) => ends_interval = true,
            }
            if self.drain(sink)? == Round::More {
                look.reset_immediately();
            }
            if ends_interval {
                self.report_counts(sink, attached, true)?;
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
                self.report_losses(&self.buffers.counters(), sink)?;
                self.report_counts(sink, attached, false)?;
                sink.flush()?;
                if let Some(log) = log.as_mut() {
                    log.flush();
                }
            }
        };
        let decided = clock::now();
        // A second signal ends the program at once, also while a command that was asked to end does not.
        endings.give_up();
        if let Some(command) = command.as_deref_mut()
            && !sink.leaves_command()
        {
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
                kind: None,
            }))?;
        }
        // Counted before: while the programs are detached one after the other, calls lose one of their ends, and
        // those that are detached last are hit alone.
        self.window.close(clock::now());
        if let Some(counts) = &mut self.counts {
            counts.close();
        }
        let watched = self.buffers.counters();
        let costs = self.costs.take().map(|costs| costs.end(&self.probes, &self.plan)).unwrap_or_default();
        self.probes.detach(&self.plan);
        drop(ready);
        self.empty(sink).await?;
        self.report_losses(&watched, sink)?;
        self.report_counts(sink, attached, false)?;
        let command_status = match command {
            Some(command) => command.try_wait().ok().flatten().map(exit_code),
            None => None,
        };
        let ended = self.finish(reason, command_status, missed, &watched, attached..decided, sink)?;
        Ok(Ended { costs, ..ended })
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

    /// Hands on what waits in the buffers, up to one round.
    fn drain<S: Sink>(&mut self, sink: &mut S) -> Result<Round, Error> {
        let Self { buffers, window, tally, stacks, facts, .. } = self;
        buffers.drain(clock::now(), |run| {
            window.parts(run).try_for_each(|run| {
                tally.count(run.kind(), run.count());
                if let Some(stacks) = stacks {
                    for id in run.records().filter_map(stack_of) {
                        if let Some(stack) = stacks.first_seen(id, &facts.symbols) {
                            sink.item(&Item::Stack(stack))?;
                        }
                    }
                }
                sink.run(run)
            })
        })
    }

    /// Hands on the rest, when the programs are detached: one that still runs gets some time to commit its record.
    async fn empty<S: Sink>(&mut self, sink: &mut S) -> Result<(), Error> {
        let deadline = Instant::now() + LAST_RECORDS;
        loop {
            match self.drain(sink)? {
                Round::Done => return Ok(()),
                Round::Waiting if Instant::now() >= deadline => return Ok(()),
                Round::Waiting => tokio::time::sleep(BETWEEN_LOOKS).await,
                Round::More => {}
            }
        }
    }

    /// Tells the sink what the programs counted, with the stacks that they named.
    fn report_counts<S: Sink>(
        &mut self,
        sink: &mut S,
        attached: u64,
        ends_interval: bool,
    ) -> Result<(), Error> {
        let Self { counts: Some(counts), stacks, facts, tally, .. } = self else { return Ok(()) };
        let at = clock::now().saturating_sub(attached);
        let counted = counts.read();
        tally.set_counted(counted.iter().map(|(key, cell)| (key.kind, cell.count)));
        if self.counting.is_some_and(|counting| counting.question.by == By::Stack)
            && let Some(stacks) = stacks
        {
            for (key, _) in &counted {
                if let GroupKey::Number(id) = key.group
                    && let Some(stack) = stacks.first_seen((id as u32).cast_signed(), &facts.symbols)
                {
                    sink.item(&Item::Stack(stack))?;
                }
            }
        }
        let missing = ends_interval.then(|| self.missing());
        sink.counts(&Reading { at, ends_interval, counted, missing })
    }

    /// What is missing so far.
    fn missing(&self) -> Missing {
        let totals = self.buffers.counters();
        let unseen = self.unseen();
        let missed = (0..Family::COUNT).map(|family| (unseen[family] - self.unseen_before[family]).max(0));
        Missing {
            missed: missed.sum::<i64>().unsigned_abs(),
            unpaired: self.meter.unpaired(&totals).iter().sum(),
            stacks: totals.stacks_lost,
        }
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
        let rescued = self.buffers.counters().rescued;
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

    fn report_losses<S: Sink>(&mut self, totals: &Counters, sink: &mut S) -> Result<(), Error> {
        for loss in self.meter.losses(self.window.lost(totals), clock::now()) {
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
        mut self,
        reason: String,
        command_status: Option<i32>,
        missed: [u64; Family::COUNT],
        watched: &Counters,
        while_watched: Range<u64>,
        sink: &mut S,
    ) -> Result<Ended, Error> {
        let totals = self.buffers.counters();
        for (kind, count) in self.counts.iter().flat_map(CountReader::outside) {
            self.window.leave_out(kind as u16, count);
        }
        let end = clock::now();
        // Behind a record that its program never committed.
        let dropped: [u64; Family::COUNT] = std::array::from_fn(|family| {
            let sent = totals.emitted[family] - totals.lost[family];
            let family = Family::ALL[family];
            sent.saturating_sub(self.tally.of(family) + self.window.outside(family))
        });
        let lost = self.window.lost(watched);
        // Less what lies outside of the time in which every probe was attached.
        let emitted: [u64; Family::COUNT] = std::array::from_fn(|family| {
            let lost_outside = totals.lost[family] - lost[family];
            totals.emitted[family] - lost_outside - self.window.outside(Family::ALL[family])
        });
        for (cause, counts) in [(LossCause::Missed, &missed), (LossCause::Dropped, &dropped)] {
            for family in Family::ALL.into_iter().filter(|family| counts[*family as usize] > 0) {
                sink.item(&Item::Loss(Loss {
                    cause,
                    family: Some(family as u8),
                    kind: None,
                    count: counts[family as usize],
                    after: self.begin,
                    before: end,
                }))?;
            }
        }
        let attached = |point: &&Point| self.plan.point(**point).report.outcome.is_attached();
        let by_point = |hits: &dyn Fn(Point) -> u64| {
            let named = |point: &Point| (self.plan.point(*point).report.point.clone(), hits(*point));
            Point::ALL.iter().filter(attached).map(named).collect()
        };
        let summary = Summary {
            events: self.tally.by_name(),
            emitted: by_family(&emitted),
            lost: by_family(&lost),
            missed: by_family(&missed),
            dropped: by_family(&dropped),
            unpaired: by_family(&self.meter.unpaired(watched)),
            stacks_lost: totals.stacks_lost,
            hits: by_point(&|point| totals.hits[point as usize]),
            watched_hits: by_point(&|point| self.window.hits(watched, point)),
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
        Ok(Ended { silent: silences.told(), reports, summary, costs: Vec::new() })
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
    /// What the programs themselves cost, where that was asked for.
    pub costs: Vec<ProgramCost>,
}

/// The kernel's value of TTU_IGNORE_MLOCK; 0 when unknown.
fn ttu_ignore_mlock(facts: &Facts) -> u32 {
    let flags = facts.btf.enumeration("ttu_flags");
    flags.iter().find(|flag| flag.name == "TTU_IGNORE_MLOCK").map_or(0, |flag| flag.value as u32)
}

/// The stack that a record names; `None` for what is shorter than a header, which no program sends.
fn stack_of(record: &[u8]) -> Option<i32> {
    Some(i32::from_ne_bytes(*record.get(offset_of!(Header, stack)..)?.first_chunk()?))
}

/// The next tick; never where there are none.
async fn tick(ticks: &mut Option<tokio::time::Interval>) {
    match ticks {
        Some(ticks) => drop(ticks.tick().await),
        None => std::future::pending().await,
    }
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
