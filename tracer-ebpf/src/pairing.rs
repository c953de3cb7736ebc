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

use crate::buffer::{add, compare_exchange, cpu};
use crate::filter::Task;

/// Functions that one task can be inside at a time. A power of two, so that an index can be masked.
const DEPTH: usize = 8;

/// A function that was entered.
#[repr(C)]
pub struct EntryState {
    /// When, in nanoseconds; 0 when no latency is measured.
    pub time: u64,
    /// The point's number + 1; 0 in an unused slot.
    point: u64,
    /// What the point keeps from its beginning to its end, if its [phase](tracer_common::point::AttachPhase::keeps) does.
    pub kept: [u64; 4],
    /// The arguments, for programs that cannot see them at the end.
    pub arguments: [u64; MAX_ARGUMENTS],
}

/// The probed functions that a task is inside.
#[repr(C)]
struct TaskStack {
    /// Key of the task that has the place, and above it ([`DEPTH_SHIFT`]) the depth; 0 when it is free. One word,
    /// so that an interrupt, which goes on the stack of the task below it, finds both or none.
    state: u64,
    /// 1 when a task ever found the place taken. Not used in the overflow map.
    spilled: u64,
    begun: [EntryState; DEPTH],
}

/// Where the depth begins in [`TaskStack::state`]; a key has 33 bits.
const DEPTH_SHIFT: u64 = 40;

/// The state of a stack.
#[inline(always)]
const fn state(key: u64, depth: u64) -> u64 {
    key | depth << DEPTH_SHIFT
}

impl TaskStack {
    /// Whether it is that task's.
    #[inline(always)]
    fn is_of(&self, key: u64) -> bool {
        self.state & (state(0, 1) - 1) == key
    }

    /// Functions on it.
    #[inline(always)]
    fn depth(&self) -> u64 {
        self.state >> DEPTH_SHIFT
    }

    /// Sets its depth; at 0 the place is free. Volatile: nothing may be written to it after that.
    #[inline(always)]
    fn set_depth(&mut self, key: u64, depth: u64) {
        let state = if depth == 0 { 0 } else { state(key, depth) };
        // SAFETY: a word of a map value, which only this task and interrupts on top of it write.
        unsafe { core::ptr::write_volatile(&raw mut self.state, state) };
    }
}

/// Places of the table; a power of two.
const PLACES: u32 = 1024;

/// Stacks of the tasks that are inside a probed function now, each at the place that its key points to. Much
/// cheaper than a hash map, whose look-up costs more than all the rest of a program.
#[map]
static TASKS: Array<TaskStack> = Array::with_max_entries(PLACES, 0);

/// Stacks of tasks that found their place taken.
#[map]
static OVERFLOW: LruHashMap<u64, TaskStack> = LruHashMap::with_max_entries(1024, 0);

/// One zeroed value to make new stacks of.
#[map]
static EMPTY: Array<TaskStack> = Array::with_max_entries(1, 0);

/// Never 0: the idle tasks, which share thread id 0, are told apart by their CPU. Their keys end in the upper half of the
/// places, away from the small ids of the first processes.
#[inline(always)]
fn key(task: Task) -> u64 {
    match task.tid() {
        0 => 1 << 32 | u64::from(cpu() + PLACES / 2),
        tid => u64::from(tid),
    }
}

#[inline(always)]
fn place(key: u64) -> Option<&'static mut TaskStack> {
    // SAFETY: whoever does not own the place only looks at its owner.
    TASKS.get_ptr_mut(key as u32 % PLACES).map(|stack| unsafe { &mut *stack })
}

#[inline(always)]
fn overflow(key: u64) -> Option<&'static mut TaskStack> {
    // SAFETY: only programs of this task (and interrupts on top of it) use its value.
    OVERFLOW.get_ptr_mut(key).map(|stack| unsafe { &mut *stack })
}

/// The stack of a task that is inside a probed function. Most calls of some functions look for one in vain, so the map of
/// the others is asked only where a task ever had to go there: it noted that first.
#[inline(always)]
fn stack_of(key: u64) -> Option<&'static mut TaskStack> {
    let stack = place(key)?;
    match stack.is_of(key) {
        true => Some(stack),
        false if stack.spilled == 0 => None,
        false => overflow(key),
    }
}

/// The stack of a task that enters one, and how many it is inside already. The first to write its key into a free
/// place has it; a task that has begun in the overflow map goes on there.
#[inline(always)]
fn enter(key: u64) -> Option<(&'static mut TaskStack, u64)> {
    let stack = place(key)?;
    if stack.is_of(key) {
        return deeper(stack, key);
    }
    if stack.spilled != 0
        && let Some(stack) = overflow(key).filter(|stack| stack.depth() > 0)
    {
        return deeper(stack, key);
    }
    // SAFETY: a word of a map value; several CPUs may try at once.
    if stack.state == 0 && unsafe { compare_exchange(&raw mut stack.state, 0, state(key, 1)) } == 0 {
        return Some((stack, 0));
    }
    stack.spilled = 1;
    if let Some(stack) = overflow(key) {
        return deeper(stack, key);
    }
    // SAFETY: the template is never written.
    OVERFLOW.insert(key, unsafe { &*EMPTY.get_ptr(0)? }, 0).ok()?;
    deeper(overflow(key)?, key)
}

#[inline(always)]
fn deeper(stack: &'static mut TaskStack, key: u64) -> Option<(&'static mut TaskStack, u64)> {
    let depth = stack.depth();
    stack.set_depth(key, depth + 1);
    Some((stack, depth))
}

#[inline(always)]
fn slot(stack: &mut TaskStack, mut index: u64) -> &'static mut EntryState {
    // In assembly, which hides from the compiler how two indices are related: it would reach one slot from
    // the other, by a negative distance that the verifier cannot bound.
    // SAFETY: masks a register.
    unsafe {
        asm!("{index} &= {mask}", index = inout(reg) index, mask = const DEPTH - 1, options(nomem, nostack))
    };
    // SAFETY: the masked index is below the array's length, and the value outlives the program's run.
    unsafe { &mut *stack.begun.as_mut_ptr().add(index as usize) }
}

/// Notes that the task entered `point`. `None` when there is no room for the note.
#[inline(always)]
pub fn begin(point: Point, task: Task, counters: &mut Counters) -> Option<&'static mut EntryState> {
    let key = key(task);
    let (stack, mut depth) = enter(key)?;
    if depth >= DEPTH as u64 {
        // Beginnings whose ends were skipped; real nesting never comes near.
        add(&mut counters.unpaired[point.family() as usize], depth);
        depth = 0;
        stack.set_depth(key, 1);
    }
    let begun = slot(stack, depth);
    begun.point = point as u64 + 1;
    if point.phase().keeps() {
        for word in &mut begun.kept {
            // SAFETY: a word of a map value. Volatile: the compiler would call memset, which stores single bytes.
            unsafe { core::ptr::write_volatile(word, 0) };
        }
    }
    Some(begun)
}

/// The beginning of a point that ends now, and the function around it. Every part has a value even where there
/// is none of it: the compiler would keep an undefined one in a register, and the verifier would refuse that.
pub struct Ended {
    /// The beginning.
    pub begun: Option<&'static mut EntryState>,
    /// The probed function that the task is still inside.
    pub outer: Option<&'static mut EntryState>,
    stack: Option<&'static mut TaskStack>,
    key: u64,
    depth: u64,
}

impl Ended {
    /// No beginning.
    pub const NONE: Self = Self { begun: None, outer: None, stack: None, key: 0, depth: 0 };

    /// Gives the slot back. Not before the end is dealt with: an interrupt would take it.
    #[inline(always)]
    pub fn release(self) {
        if let Some(stack) = self.stack {
            stack.set_depth(self.key, self.depth);
        }
    }
}

impl EntryState {
    /// Whether it is a beginning of that point.
    #[inline(always)]
    pub fn is(&self, point: Point) -> bool {
        self.point == point as u64 + 1
    }
}

/// Finds the beginning of `point` on the task's stack; what lies above it never ended. Where there is none, what is
/// on the stack stays: its ends may come. The caller counts that.
#[inline(always)]
pub fn end(point: Point, task: Task, counters: &mut Counters) -> Ended {
    let unpaired = &mut counters.unpaired[point.family() as usize];
    let key = key(task);
    if let Some(stack) = stack_of(key) {
        let top = stack.depth();
        let mut depth = top;
        for _ in 0..DEPTH {
            if depth == 0 || depth > DEPTH as u64 {
                break;
            }
            depth -= 1;
            let begun = slot(stack, depth);
            if begun.is(point) {
                let skipped = top - 1 - depth;
                if skipped != 0 {
                    add(unpaired, skipped);
                }
                let outer = if depth >= 1 { Some(slot(stack, depth - 1)) } else { None };
                return Ended { begun: Some(begun), outer, stack: Some(stack), key, depth };
            }
        }
    }
    Ended::NONE
}

/// The innermost function that the task is inside, when it is `point`.
#[inline(always)]
pub fn inside(point: Point, task: Task) -> Option<&'static mut EntryState> {
    let stack = stack_of(key(task))?;
    let depth = stack.depth();
    if depth == 0 || depth > DEPTH as u64 {
        return None;
    }
    Some(slot(stack, depth - 1)).filter(|begun| begun.is(point))
}

/// Forgets a task that ended.
#[inline(always)]
pub fn forget(task: Task) {
    let key = key(task);
    let Some(stack) = place(key) else { return };
    if stack.is_of(key) {
        stack.set_depth(key, 0);
    }
    if stack.spilled != 0 {
        let _ = OVERFLOW.remove(key);
    }
}
