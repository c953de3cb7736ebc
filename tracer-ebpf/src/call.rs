//! What a handler sees of one call, and the three moments at which programs run: a function's entry where
//! that is all there is to know, its beginning, its return.

use aya_log_ebpf::debug;
use tracer_common::counters::Counters;
use tracer_common::event::Kind;
use tracer_common::point::{ARGUMENT_ABSENT, Point};

use crate::context::Context;
use crate::emit::{self, Reservation, count, counters, now};
use crate::filter::{Task, admits};
use crate::globals::{argument_position, global};
use crate::memory::{Memory, Readable};
use crate::pairing::{self, Ended, EntryState};

/// One call of a probed function.
pub struct Call<'a, C: Context> {
    /// The program's context.
    pub context: &'a C,
    /// This CPU's counters.
    pub counters: &'a mut Counters,
    /// Who called.
    pub task: Task,
    /// When the program ran.
    pub time: u64,
    /// Nanoseconds in the function; 0 when that is not measured.
    pub duration: u64,
    /// What was kept at the beginning; nothing where beginnings are not noted.
    pub begun: Option<&'a mut EntryState>,
    /// The probed function that the task is still inside, where beginnings are noted.
    pub outer: Option<&'a mut EntryState>,
    /// Which copy of the program it is; the first is 1.
    pub copy: u16,
    point: Point,
}

impl<C: Context> Call<'_, C> {
    /// The argument that the point calls number `index`; `None` when this kernel's function has none.
    #[inline(always)]
    pub fn find(&self, index: usize) -> Option<u64> {
        if C::HAS_ARGUMENTS {
            return self.context.argument(self.point, index);
        }
        if argument_position(self.point, index) == ARGUMENT_ABSENT {
            return None;
        }
        Some(self.begun.as_ref()?.arguments[index])
    }

    /// The same for an argument that the plan made sure of.
    #[inline(always)]
    pub fn argument(&self, index: usize) -> u64 {
        self.find(index).unwrap_or(0)
    }

    /// The function's result, all 64 bits; narrower results have rubbish above.
    #[inline(always)]
    pub fn result(&self) -> u64 {
        self.context.result(self.point)
    }

    /// Reservation for one record of this call; `None` when it is not asked for or there is none.
    #[inline(always)]
    pub fn reserve<B: 'static>(&mut self, kind: Kind) -> Option<Reservation<B>> {
        emit::reserve(self.context, self.counters, kind, self.task, self.time)
    }
}

/// A field of an object that an argument points to; [`Readable::UNREAD`] where this kernel has none, or it cannot be
/// read.
#[inline(always)]
pub fn field<C: Context, T: Readable>(base: u64, offset: u32) -> T {
    C::Memory::load(base, offset).unwrap_or(T::UNREAD)
}

/// Runs a handler that knows all at the entry.
#[inline(always)]
pub fn on_entry<C: Context>(context: &C, point: Point, copy: u16, handler: impl FnOnce(&mut Call<'_, C>)) {
    let Some(counters) = counters() else { return };
    count(&mut counters.hits[point as usize]);
    let task = Task::current();
    if admits(point, task) {
        handler(&mut Call {
            context,
            counters,
            task,
            time: now(),
            duration: 0,
            begun: None,
            outer: None,
            copy,
            point,
        });
    }
}

/// Notes a beginning, and what its end needs of it.
#[inline(always)]
pub fn on_begin<C: Context>(context: &C, point: Point, keep: impl FnOnce(&C, &mut EntryState)) {
    let Some(counters) = counters() else { return };
    let task = Task::current();
    if !admits(point, task) {
        return;
    }
    let Some(begun) = pairing::begin(point, task, counters) else {
        count(&mut counters.unpaired[point.family() as usize]);
        return;
    };
    if !C::Memory::IS_DIRECT {
        for index in 0..point.arguments().len() {
            begun.arguments[index] = context.argument(point, index).unwrap_or(0);
        }
    }
    keep(context, begun);
    begun.time = if global!(options.latency) != 0 { now() } else { 0 };
}

/// Whether a point's end needs its beginning.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Pairs {
    /// Always: the beginning keeps something.
    Always,
    /// Only for the time between them, and where the end cannot see the arguments.
    ForLatency,
    /// Only where the end cannot see the arguments: the time does not matter.
    ForArguments,
    /// As for latency, and for those calls whose beginning was noted all the same.
    WhereNoted,
    /// As for arguments, and most calls are not noted: nothing is missed when there is none.
    Rarely,
    /// Never.
    Never,
}

/// Runs a handler at a function's return.
#[inline(always)]
pub fn on_return<C: Context>(
    context: &C,
    point: Point,
    pairs: Pairs,
    copy: u16,
    handler: impl FnOnce(&mut Call<'_, C>),
) {
    let Some(counters) = counters() else { return };
    count(&mut counters.hits[point as usize]);
    let task = Task::current();
    if !admits(point, task) {
        return;
    }
    let latency = global!(options.latency) != 0;
    let paired = match pairs {
        Pairs::Always => true,
        Pairs::ForLatency => latency || !C::HAS_ARGUMENTS,
        Pairs::ForArguments => !C::HAS_ARGUMENTS,
        Pairs::WhereNoted => latency || !C::HAS_ARGUMENTS || pairing::inside(point, task).is_some(),
        Pairs::Rarely => {
            let noted = !C::HAS_ARGUMENTS && pairing::inside(point, task).is_some();
            if !C::HAS_ARGUMENTS && !noted {
                return;
            }
            noted
        }
        Pairs::Never => false,
    };
    let mut ended = Ended::NONE;
    if paired {
        ended = pairing::end(point, task, counters);
        if ended.begun.is_none() {
            debug!(context, "point {} ended without its beginning", point as u8);
            return;
        }
    }
    let time = now();
    let mut duration = 0;
    if latency && let Some(begun) = ended.begun.as_ref() {
        duration = time.saturating_sub(begun.time);
    }
    let is_timed = matches!(pairs, Pairs::Always | Pairs::ForLatency | Pairs::WhereNoted);
    if !is_timed || !latency || duration >= global!(options.min_latency) {
        let (begun, outer) = (ended.begun.as_deref_mut(), ended.outer.as_deref_mut());
        handler(&mut Call { context, counters, task, time, duration, begun, outer, copy, point });
    }
    ended.release();
}
