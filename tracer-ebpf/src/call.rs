//! What a handler sees of one call, and the three moments at which programs run: a function's entry where
//! that is all there is to know, its beginning, its return.

use aya_log_ebpf::debug;
use tracer_common::buffer::CpuBuffer;
use tracer_common::event::Kind;
use tracer_common::point::{ARGUMENT_ABSENT, Argument, AttachPhase, Point};

use crate::buffer::{buffer, count};
use crate::context::Context;
use crate::counting;
use crate::emit::{self, Reservation, now};
use crate::filter::{Task, admits};
use crate::globals::{argument_position, global, slot};
use crate::memory::{Memory, Readable};
use crate::pairing::{self, Ended, EntryState};

/// One call of a probed function.
pub struct Call<'a, C: Context> {
    /// The program's context.
    pub context: &'a C,
    /// This CPU's buffer.
    pub buffer: &'a mut CpuBuffer,
    /// Who called.
    pub task: Task,
    /// When the program ran; 0 until the first record where it [is taken late](takes_time_late).
    time: u64,
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
    /// An argument of the point; `None` when this kernel's function has none.
    #[inline(always)]
    pub fn find(&self, argument: Argument) -> Option<u64> {
        if C::HAS_ARGUMENTS {
            return self.context.argument(self.point, argument);
        }
        if argument_position(self.point, argument) == ARGUMENT_ABSENT {
            return None;
        }
        Some(self.begun.as_ref()?.arguments[slot(self.point, argument)])
    }

    /// The same for an argument that the plan made sure of.
    #[inline(always)]
    pub fn argument(&self, argument: Argument) -> u64 {
        self.find(argument).unwrap_or(0)
    }

    /// The function's result, all 64 bits; narrower results have rubbish above.
    #[inline(always)]
    pub fn result(&self) -> u64 {
        self.context.result(self.point)
    }

    /// Reservation for one record of this call; `None` when it is not asked for or there is none.
    #[inline(always)]
    pub fn reserve<B: 'static>(&mut self, kind: Kind) -> Option<Reservation<B>> {
        if takes_time_late(self.point) && self.time == 0 && counting::needs_time(self.point) {
            self.time = now();
        }
        emit::reserve(self.context, self.buffer, kind, self.task, self.time, self.duration)
    }

    /// Counts an event of this call, in a session that [counts](counting) and needs to know no more of it.
    #[inline(always)]
    pub fn count(&mut self, kind: Kind) {
        emit::count_at_entry(self.context, self.buffer, kind, self.task);
    }
}

/// Whether the clock is read when a record is made, not before: most visits of an rmap walk make none.
#[inline(always)]
const fn takes_time_late(point: Point) -> bool {
    matches!(
        point,
        Point::TryToUnmapOne
            | Point::TryToMigrateOne
            | Point::PageMlockOne
            | Point::PageMakeDeviceExclusiveOne
    )
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
    let Some(buffer) = buffer() else { return };
    count(&mut buffer.counters.hits[point as usize]);
    let task = Task::current();
    if admits(point, task) {
        handler(&mut Call {
            context,
            buffer,
            task,
            time: if counting::needs_time(point) { now() } else { 0 },
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
    let Some(buffer) = buffer() else { return };
    let task = Task::current();
    if !admits(point, task) {
        return;
    }
    let Some(begun) = pairing::begin(point, task, &mut buffer.counters) else {
        count(&mut buffer.counters.unpaired[point.family() as usize]);
        return;
    };
    if !C::Memory::IS_DIRECT {
        for slot in 0..point.arguments().len() {
            begun.arguments[slot] = context.argument_in_slot(point, slot).unwrap_or(0);
        }
    }
    keep(context, begun);
    begun.time = if global!(options.latency) != 0 { now() } else { 0 };
}

/// Runs a handler at a function's return.
#[inline(always)]
pub fn on_return<C: Context>(context: &C, point: Point, copy: u16, handler: impl FnOnce(&mut Call<'_, C>)) {
    on_return_where(context, point, copy, |_| true, handler);
}

/// Runs a handler at a function's return, of a point whose beginning is noted for nothing but its time, where the call
/// looks like one to tell of. Where the beginning is noted, its end has to be dealt with in any case.
#[inline(always)]
pub fn on_return_where<C: Context>(
    context: &C,
    point: Point,
    copy: u16,
    is_wanted: impl FnOnce(&C) -> bool,
    handler: impl FnOnce(&mut Call<'_, C>),
) {
    let Some(buffer) = buffer() else { return };
    count(&mut buffer.counters.hits[point as usize]);
    if C::HAS_ARGUMENTS && global!(options.latency) == 0 && !is_wanted(context) {
        return;
    }
    let task = Task::current();
    let latency = global!(options.latency) != 0;
    let paired = match point.phase() {
        AttachPhase::Both | AttachPhase::EntryAnd(_) => true,
        AttachPhase::Return => latency || !C::HAS_ARGUMENTS,
        AttachPhase::Untimed => !C::HAS_ARGUMENTS,
        AttachPhase::BothWhere => latency || !C::HAS_ARGUMENTS || pairing::inside(point, task).is_some(),
        AttachPhase::UntimedWhere => {
            let noted = !C::HAS_ARGUMENTS && pairing::inside(point, task).is_some();
            if !C::HAS_ARGUMENTS && !noted {
                return;
            }
            noted
        }
        AttachPhase::Result | AttachPhase::Entry => false,
    };
    let mut ended = Ended::NONE;
    if paired {
        ended = pairing::end(point, task, &mut buffer.counters);
    }
    // A beginning was noted of a task that is watched: nobody needs to ask again.
    if ended.begun.is_none() {
        if !admits(point, task) {
            return;
        }
        if paired {
            count(&mut buffer.counters.unpaired[point.family() as usize]);
            debug!(context, "point {} ended without its beginning", point as u8);
            return;
        }
    }
    let is_late = takes_time_late(point) && !latency;
    let time = if !is_late && counting::needs_time(point) { now() } else { 0 };
    let mut duration = 0;
    if latency && let Some(begun) = ended.begun.as_ref() {
        duration = time.saturating_sub(begun.time);
    }
    let is_timed = !matches!(
        point.phase(),
        AttachPhase::Untimed | AttachPhase::UntimedWhere | AttachPhase::Result | AttachPhase::Entry
    );
    if !is_timed || !latency || duration >= global!(options.min_latency) {
        let (begun, outer) = (ended.begun.as_deref_mut(), ended.outer.as_deref_mut());
        handler(&mut Call { context, buffer, task, time, duration, begun, outer, copy, point });
    }
    ended.release();
}
