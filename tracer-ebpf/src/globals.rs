//! The constants that user space filled in.
//!
//! Each is read on its own, volatile: the verifier knows the value of every byte of the frozen `.rodata`
//! and drops the branches that it switches off.

use aya_ebpf::Global;
use tracer_common::globals::Globals;
use tracer_common::point::{ARGUMENT_ABSENT, BEHIND, Point};

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

/// Where the running kernel's function has the argument that `point` calls number `index`.
#[inline(always)]
pub fn argument_position(point: Point, index: usize) -> u8 {
    // SAFETY: callers name arguments of the point, so both indices are constants within the arrays.
    unsafe {
        core::ptr::read_volatile((&raw const (*block()).arguments[point as usize]).cast::<u8>().add(index))
    }
}

/// Whether that argument is a pointer to what `point` wants.
#[inline(always)]
pub fn is_behind(point: Point, index: usize) -> bool {
    let position = argument_position(point, index);
    position != ARGUMENT_ABSENT && position & BEHIND != 0
}

/// Number of arguments of the running kernel's function.
#[inline(always)]
pub fn arity(point: Point) -> u8 {
    // SAFETY: the index is a constant within the array.
    unsafe { core::ptr::read_volatile((&raw const (*block()).arity).cast::<u8>().add(point as usize)) }
}
