//! Records: reserve, count a failed reserve, fill, commit.

use aya_ebpf::helpers::bpf_ktime_get_ns;
use aya_ebpf::macros::map;
use aya_ebpf::maps::StackTrace;
use tracer_common::buffer::CpuBuffer;
use tracer_common::counters::Counters;
use tracer_common::event::{Kind, STACK_NONE};

use crate::buffer::{self, count, cpu};
use crate::context::Context;
use crate::counting;
use crate::filter::Task;
use crate::globals::{block, global};

/// Kernel stacks by their id. User space sets the number.
#[map]
static STACKS: StackTrace = StackTrace::with_max_entries(16384, 0);

/// One record in a buffer: a [`Header`](tracer_common::event::Header) and a body.
#[repr(C)]
struct Record<B> {
    time: u64,
    pid_tgid: u64,
    commit: u64,
    body: B,
}

/// Reservation for one record. It must be sent.
pub struct Reservation<B: 'static> {
    /// Null where it is counted instead; then the group is in the place of the time.
    record: *mut Record<B>,
    time: u64,
    task: Task,
    /// Kind, CPU and stack.
    commit: u64,
}

/// Reservation for a record of `kind`, taken at `time`. `None` when its family was not asked for, the buffer is full, or
/// the session counts such events and needs to know no more of this one.
#[inline(always)]
pub fn reserve<C: Context, B: 'static>(
    context: &C,
    buffer: &mut CpuBuffer,
    kind: Kind,
    task: Task,
    time: u64,
    duration: u64,
) -> Option<Reservation<B>> {
    let family = kind.family() as usize;
    if !is_asked(kind) {
        return None;
    }
    let stack = stack(context, &mut buffer.counters);
    count(&mut buffer.counters.emitted[family]);
    if counting::counts(kind) {
        let group = counting::group(task.tid(), task.pid(), stack as u32);
        if counting::needs_body() {
            return Some(Reservation {
                record: core::ptr::null_mut(),
                time: group,
                task,
                commit: kind as u64,
            });
        }
        counting::count_early(kind, group, duration);
        return None;
    }
    let Some(record) = buffer::reserve(buffer, size_of::<Record<B>>() as u64) else {
        count(&mut buffer.counters.lost[family]);
        return None;
    };
    let commit = kind as u64 | u64::from(cpu() as u16) << 16 | u64::from(stack as u32) << 32;
    Some(Reservation { record: record.cast(), time, task, commit })
}

/// Counts an event of `kind` where its call begins.
#[inline(always)]
pub fn count_at_entry<C: Context>(context: &C, buffer: &mut CpuBuffer, kind: Kind, task: Task) {
    if is_asked(kind) {
        let stack = stack(context, &mut buffer.counters);
        count(&mut buffer.counters.emitted[kind.family() as usize]);
        counting::count_at_entry(kind, task.tid(), task.pid(), stack as u32);
    }
}

impl<B: Copy + 'static> Reservation<B> {
    /// Fills the room and gives the record to the reader.
    #[inline(always)]
    pub fn send(self, body: B) {
        let Self { record, time, task, commit } = self;
        // Asked for first: then a session that does not count by bodies has nothing of that left in its programs.
        if counting::needs_body() && record.is_null() {
            return counting::count_body(commit as u16, time, body);
        }
        // SAFETY: room for such a record, which is this program's until it is committed.
        unsafe {
            (&raw mut (*record).time).write(time);
            (&raw mut (*record).pid_tgid).write(task.pid_tgid);
            (&raw mut (*record).body).write(body);
            buffer::commit(record.cast(), commit);
        }
    }
}

/// Nanoseconds of `CLOCK_MONOTONIC`.
#[inline(always)]
pub fn now() -> u64 {
    // SAFETY: the helper has no preconditions.
    unsafe { bpf_ktime_get_ns() }
}

/// Whether events of that kind are to be sent.
#[inline(always)]
pub fn is_asked(kind: Kind) -> bool {
    // SAFETY: a family's number is below the array's length.
    let asked = unsafe {
        core::ptr::read_volatile(
            (&raw const (*block()).options.kinds).cast::<u32>().add(kind.family() as usize),
        )
    };
    asked & kind.bit() != 0
}

#[inline(always)]
fn stack<C: Context>(context: &C, counters: &mut Counters) -> i32 {
    if global!(options.stacks) == 0 {
        return STACK_NONE;
    }
    let id = context.stack(&STACKS);
    if id < 0 {
        count(&mut counters.stacks_lost);
    }
    id
}
