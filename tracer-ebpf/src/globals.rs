//! The constants that user space filled in.
//!
//! Each is read on its own, volatile: the verifier knows the value of every byte of the frozen `.rodata`
//! and drops the branches that it switches off.

use aya_ebpf::Global;
use tracer_common::globals::Globals;
use tracer_common::point::{ARGUMENT_ABSENT, Argument, BEHIND, Point};

#[unsafe(no_mangle)]
static GLOBALS: Global<Globals> = Global::new(Globals::EMPTY);

/// The block itself; only for [`global!`], which reads single fields of it.
#[inline(always)]
pub fn block() -> *const Globals {
    (&raw const GLOBALS).cast()
}

/// The value of one field of the block, `global!(options.latency)`.
macro_rules! global {
    ($($field:ident).+) => {
        // SAFETY: the block is a whole `Globals` for the life of the program.
        unsafe { core::ptr::read_volatile(&raw const (*$crate::globals::block()).$($field).+) }
    };
}
pub(crate) use global;

/// Where the running kernel's function has an argument of `point`.
#[inline(always)]
pub fn argument_position(point: Point, argument: Argument) -> u8 {
    position_in_slot(point, slot(point, argument))
}

/// The place of an argument of `point` in the block and in what beginnings keep.
#[inline(always)]
pub fn slot(point: Point, argument: Argument) -> usize {
    match point.slot(argument) {
        Some(slot) => slot,
        None => argument_that_the_point_does_not_list(),
    }
}

/// Not in the object, unless a handler reads such an argument. Then the build fails (tracer/build.rs).
#[inline(never)]
fn argument_that_the_point_does_not_list() -> ! {
    loop {}
}

/// Where the running kernel's function has the argument in a slot.
#[inline(always)]
pub fn position_in_slot(point: Point, slot: usize) -> u8 {
    // SAFETY: slots are those of the point's arguments, so both indices are constants within the arrays.
    unsafe {
        core::ptr::read_volatile((&raw const (*block()).arguments[point as usize]).cast::<u8>().add(slot))
    }
}

/// Whether that argument is a pointer to what `point` wants.
#[inline(always)]
pub fn is_behind(point: Point, argument: Argument) -> bool {
    let position = argument_position(point, argument);
    position != ARGUMENT_ABSENT && position & BEHIND != 0
}

/// Number of arguments of the running kernel's function.
#[inline(always)]
pub fn arity(point: Point) -> u8 {
    // SAFETY: the index is a constant within the array.
    unsafe { core::ptr::read_volatile((&raw const (*block()).arity).cast::<u8>().add(point as usize)) }
}
