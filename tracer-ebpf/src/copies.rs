//! Copies of a trampoline program, which run where the kernel skips it.
//!
//! The kernel runs no program inside itself on a CPU: what tells is a counter of each program and CPU
//! (kernel/bpf/trampoline.c, `__bpf_prog_enter_recur`). Where it preempts tasks in the kernel, a program's task
//! can be taken off its CPU in the middle, and until it is back that program is skipped there for every other
//! task. On any kernel a program is skipped for an interrupt that comes in its middle and calls its function. So
//! it is attached three times, the copies run one after the other, and the first that the kernel does not skip
//! does the work. All of them are skipped only where three tasks were preempted one on top of the other, each in
//! another copy.
//!
//! A copy that runs notes that with where the call is: a call's frame is at one place of one stack, which is the
//! same for all of its copies. A later copy that finds this note has nothing to do. What it finds may also be left
//! from an earlier call at that place, the later copies of which were all skipped. Then it does nothing either,
//! and the kernel's count says that the call was missed: skips of the first copy, less the calls that another
//! copy [rescued](tracer_common::counters::Counters::rescued), are exactly those that nobody saw. Nothing is ever
//! done twice: that would be told as an event that never was.

use core::arch::asm;

use aya_ebpf::bindings::pt_regs;
use aya_ebpf::helpers::generated::{bpf_get_current_task_btf, bpf_task_pt_regs};
use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, PerCpuArray};
use tracer_common::copies::{self, NOTES, Phase};
use tracer_common::point::Point;

use crate::buffer::{count, counters};
use crate::context::Context;
use crate::globals::global;
use crate::memory::{Direct, Memory};

/// Notes of tasks, by thread id. Only the task itself touches its own: interrupts have a stack of their own.
#[map]
static TASK_NOTES: Array<[u16; NOTES]> = Array::with_max_entries(1, 0);

/// Calls that can be open on one interrupt stack: a hard interrupt on top of a soft one, and notes whose last
/// copy was skipped.
const LEVELS: usize = 3;

/// Notes of interrupts, which stay on their CPU.
#[map]
static INTERRUPT_NOTES: PerCpuArray<[u64; LEVELS]> = PerCpuArray::with_max_entries(1, 0);

/// What is nearer than this below a task's saved registers is on its own stack: no kernel has smaller ones.
const TASK_STACK: u64 = 16 << 10;
/// What is nearer than this may be.
const LARGEST_STACK: u64 = 128 << 10;

/// Whether that copy (the first is 1) of the program at a phase of `point` has the call's work to do.
#[inline(always)]
pub fn has_work<C: Context>(context: &C, point: Point, phase: Phase, copy: u16) -> bool {
    if !copies::have(global!(options.copies), point.family()) {
        return true;
    }
    let has_work = match is_done(context, phase, copy) {
        Some(is_done) => !is_done,
        // There is no place for notes of this call.
        None => copy == 1,
    };
    if copy != 1
        && has_work
        && let Some(counters) = counters()
    {
        count(&mut counters.rescued[point.family() as usize]);
    }
    has_work
}

/// Leaves this copy's note, and says whether there was one of an earlier copy; `None` where there is no place for it.
#[inline(always)]
fn is_done<C: Context>(context: &C, phase: Phase, copy: u16) -> Option<bool> {
    // SAFETY: the helpers have no preconditions but a task.
    let task = unsafe { bpf_get_current_task_btf() };
    // SAFETY: as above.
    let registers = unsafe { bpf_task_pt_regs(task) } as *const pt_regs;
    // How far up the call's frame is on the task's stack, at the top of which are the saved registers.
    let below = distance(registers.cast(), context.as_ptr().cast_const().cast());
    if below >= TASK_STACK {
        return if below < LARGEST_STACK { None } else { is_done_in_interrupt(context, phase, copy) };
    }
    let tid = Direct::load::<u32>(task as u64, global!(layout.task_pid)).unwrap_or(0);
    // The idle tasks, one for each CPU, share that id.
    if tid == 0 {
        return None;
    }
    let notes = TASK_NOTES.get_ptr_mut(tid / NOTES as u32)?;
    // SAFETY: the index is within the array.
    let slot = unsafe { notes.cast::<u16>().add(tid as usize % NOTES) };
    let note = copies::note(below, phase, copy);
    // SAFETY: this task's own word.
    let found = unsafe { slot.read() };
    // SAFETY: as above.
    unsafe { slot.write(note as u16) };
    Some(copies::is_done(u64::from(found), note))
}

/// The same on an interrupt stack. Interrupts on top of each other have their notes one after the other.
#[inline(always)]
fn is_done_in_interrupt<C: Context>(context: &C, phase: Phase, copy: u16) -> Option<bool> {
    let notes = INTERRUPT_NOTES.get_ptr_mut(0)?;
    let place = distance(context.as_ptr().cast_const().cast(), notes.cast_const().cast());
    let (notes, note): (*mut u64, u64) = (notes.cast(), copies::note(place, phase, copy));
    // Not a loop: the compiler would make a function of its body.
    let level = match () {
        () if !copies::is_of_call_below(found(notes, 0), note) => 0,
        () if !copies::is_of_call_below(found(notes, 1), note) => 1,
        () if !copies::is_of_call_below(found(notes, 2), note) => 2,
        () => return None,
    };
    let is_done = copies::is_done(found(notes, level), note);
    // SAFETY: a level of the array, which is this CPU's own; interrupts on top leave what is below them alone.
    unsafe { notes.add(level).write_volatile(note) };
    Some(is_done)
}

/// The note at a level.
#[inline(always)]
fn found(notes: *const u64, level: usize) -> u64 {
    // SAFETY: callers name levels of the array, which is this CPU's own.
    unsafe { notes.add(level).read_volatile() }
}

/// `to - from` of two pointers. In assembly: the verifier takes the difference of two pointers for a number, but
/// no other sum with one, which the compiler might make of it.
#[inline(always)]
fn distance(to: *const u8, from: *const u8) -> u64 {
    let mut distance = to as u64;
    // SAFETY: subtracts two registers.
    unsafe {
        asm!("{to} -= {from}", to = inout(reg) distance, from = in(reg) from, options(pure, nomem, nostack))
    };
    distance
}
