//! Which end of a function belongs to which beginning.
//!
//! Each task has a small stack of the probed functions that it is inside. Interrupts nest strictly on top of
//! the task that they interrupt and end before it runs on, so their functions go on the same stack; only the
//! idle tasks, which all have thread id 0, are told apart by their CPU.
//!
//! An end whose beginning was not seen (the program was attached in between, or the kernel skipped the
//! entry) and a beginning whose end never came are counted as unpaired.

use core::arch::asm;

use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, LruHashMap};
use tracer_common::counters::Counters;
use tracer_common::point::{MAX_ARGUMENTS, Point};

use crate::emit::cpu;
use crate::filter::Task;

/// Functions that one task can be inside at a time. A power of two, so that an index can be masked.
const DEPTH: usize = 8;

/// A function that was entered.
#[repr(C)]
pub struct Begun {
    /// When, in nanoseconds; 0 when no latency is measured.
    pub time: u64,
    /// The point's number + 1; 0 in an unused slot.
    point: u64,
    /// What the point keeps from its beginning to its end.
    pub kept: [u64; 4],
    /// The arguments, for programs that cannot see them at the end.
    pub arguments: [u64; MAX_ARGUMENTS],
}

/// The probed functions that a task is inside.
#[repr(C)]
struct TaskStack {
    depth: u64,
    begun: [Begun; DEPTH],
}

#[map]
static TASKS: LruHashMap<u64, TaskStack> = LruHashMap::with_max_entries(4096, 0);

/// One zeroed value to make new stacks of.
#[map]
static EMPTY: Array<TaskStack> = Array::with_max_entries(1, 0);

#[inline(always)]
fn key(task: Task) -> u64 {
    match task.tid() {
        0 => 1 << 32 | u64::from(cpu()),
        tid => u64::from(tid),
    }
}

#[inline(always)]
fn slot(stack: &mut TaskStack, mut index: u64) -> &'static mut Begun {
    // In assembly, which hides from the compiler how two indices are related: it would reach one slot from
    // the other, by a negative distance that the verifier cannot bound.
    // SAFETY: masks a register.
    unsafe {
        asm!("{index} &= {mask}", index = inout(reg) index, mask = const DEPTH - 1, options(nomem, nostack))
    };
    // SAFETY: the masked index is below the array's length, and the value outlives the program's run.
    unsafe { &mut *stack.begun.as_mut_ptr().add(index as usize) }
}

#[inline(always)]
fn stack_of(task: Task) -> Option<&'static mut TaskStack> {
    // SAFETY: only programs of this task (and interrupts on top of it) use its value.
    TASKS.get_ptr_mut(key(task)).map(|stack| unsafe { &mut *stack })
}

/// Notes that the task entered `point`. `None` when there is no room for the note.
#[inline(always)]
pub fn begin(point: Point, task: Task, counters: &mut Counters) -> Option<&'static mut Begun> {
    let stack = match stack_of(task) {
        Some(stack) => stack,
        None => {
            // SAFETY: the template is never written.
            TASKS.insert(key(task), unsafe { &*EMPTY.get_ptr(0)? }, 0).ok()?;
            stack_of(task)?
        }
    };
    let mut depth = stack.depth;
    if depth >= DEPTH as u64 {
        // Beginnings whose ends were skipped; real nesting never comes near.
        counters.unpaired[point.family() as usize] += depth;
        depth = 0;
    }
    stack.depth = depth + 1;
    let begun = slot(stack, depth);
    begun.point = point as u64 + 1;
    begun.kept = [0; 4];
    Some(begun)
}

/// The beginning of a point that ends now, and the function around it. Every part has a value even where there
/// is none of it: the compiler would keep an undefined one in a register, and the verifier would refuse that.
pub struct Ended {
    /// The beginning.
    pub begun: Option<&'static mut Begun>,
    /// The probed function that the task is still inside.
    pub outer: Option<&'static mut Begun>,
    stack: Option<&'static mut TaskStack>,
    depth: u64,
}

impl Ended {
    /// No beginning.
    pub const NONE: Self = Self { begun: None, outer: None, stack: None, depth: 0 };

    /// Gives the slot back. Not before the end is dealt with: an interrupt would take it.
    #[inline(always)]
    pub fn release(self) {
        if let Some(stack) = self.stack {
            stack.depth = self.depth;
        }
    }
}

impl Begun {
    /// Whether it is a beginning of that point.
    #[inline(always)]
    pub fn is(&self, point: Point) -> bool {
        self.point == point as u64 + 1
    }
}

/// Finds the beginning of `point` on the task's stack; what lies above it never ended.
#[inline(always)]
pub fn end(point: Point, task: Task, counters: &mut Counters) -> Ended {
    let unpaired = &mut counters.unpaired[point.family() as usize];
    if let Some(stack) = stack_of(task) {
        for _ in 0..DEPTH {
            let depth = stack.depth;
            if depth == 0 || depth > DEPTH as u64 {
                break;
            }
            let begun = slot(stack, depth - 1);
            if begun.is(point) {
                let outer = if depth >= 2 { Some(slot(stack, depth - 2)) } else { None };
                return Ended { begun: Some(begun), outer, stack: Some(stack), depth: depth - 1 };
            }
            *unpaired += 1;
            stack.depth = depth - 1;
        }
    }
    *unpaired += 1;
    Ended::NONE
}

/// The innermost function that the task is inside, when it is `point`.
#[inline(always)]
pub fn inside(point: Point, task: Task) -> Option<&'static mut Begun> {
    let stack = stack_of(task)?;
    let depth = stack.depth;
    if depth == 0 || depth > DEPTH as u64 {
        return None;
    }
    Some(slot(stack, depth - 1)).filter(|begun| begun.is(point))
}

/// Forgets a task that ended.
#[inline(always)]
pub fn forget(task: Task) {
    let _ = TASKS.remove(key(task));
}
