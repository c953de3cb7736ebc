//! A live session from its first probe to its summary.

mod finish;
mod start;

use std::mem::offset_of;
use std::time::Duration;

use aya_log::EbpfLogger;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, MissedTickBehavior, interval, interval_at, sleep_until};
use tracer_common::counters::Counters;
use tracer_common::event::Header;
use tracer_common::family::Family;

use super::attach::Probes;
use super::bell::Bell;
use super::buffers::{Buffers, Round};
use super::command::{Command, exit_code};
use super::costs::Costs;
use super::counters::CounterReader;
use super::counting::{CountReader, CountingOptions};
use super::endings::{Endings, cannot_wait};
use super::namespaces::Ids;
use super::program_log::ToStderr;
use super::silence::Monitor;
use super::stacks::Stacks;
use super::tally::Tally;
use super::window::Window;
use super::{clock, least_privilege};
use crate::Error;
use crate::event::{Item, Loss, LossCause, Silence, Sink};
use crate::kernel::{Description, Facts};
use crate::probe::{Plan, PointReport};
use crate::stat::{By, GroupKey, Missing, Reading};

pub use finish::Ended;
pub use start::Options;

/// The buffers are looked at so often when nothing wakes their reader.
const LOOK: Duration = Duration::from_millis(50);
/// Whether attached programs can fire is looked at so often.
const SELF_TEST: Duration = Duration::from_millis(100);
/// The sink is flushed so often.
const FLUSH: Duration = Duration::from_secs(1);
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
            Error::failure(
                format!("cannot give up privileges: {error}"),
                "this is a bug in rmapscope; please report it",
            )
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
                "drop the second -v",
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
