//! Arguments and results of the probed function, whatever the program hangs on.

use core::arch::asm;

use aya_ebpf::EbpfContext;
use aya_ebpf::programs::tracing::{StackIdContext, StackTraceMap};
use aya_ebpf::programs::{
    BtfTracePointContext, FEntryContext, FExitContext, ProbeContext, RawTracePointContext, RetProbeContext,
};
use tracer_common::point::{ARGUMENT_ABSENT, Argument, BEHIND, Point};

use crate::globals::{arity, is_behind, position_in_slot, slot};
use crate::memory::{Direct, Memory, Probed};

/// One 8-byte word of the context, at a constant offset. In assembly, because the compiler merges loads at
/// several offsets into one at a computed offset, and the verifier wants constants here.
macro_rules! word {
    ($context:expr, $offset:expr) => {{
        let value: u64;
        // SAFETY: the verifier checks that the offset lies within the context.
        unsafe {
            asm!("{value} = *(u64 *)({context} + {offset})", value = out(reg) value,
                context = in(reg) $context.as_ptr(), offset = const $offset, options(nostack, readonly));
        }
        value
    }};
}

/// Context of a program: where its arguments are and how it may read what they point to.
pub trait Context: EbpfContext + StackIdContext {
    /// How its pointer arguments may be followed.
    type Memory: Memory;

    /// How many of the innermost stack frames belong to the tracing itself.
    const OWN_FRAMES: u64;

    /// Whether the arguments can be seen from here.
    const HAS_ARGUMENTS: bool = true;

    /// The argument at that position of the function.
    fn at(&self, position: u8) -> u64;

    /// The function's result; 0 in a program that runs before it.
    #[inline(always)]
    fn result(&self, _point: Point) -> u64 {
        0
    }

    /// An argument of `point`; `None` when this kernel's function has none.
    #[inline(always)]
    fn argument(&self, point: Point, argument: Argument) -> Option<u64> {
        self.argument_in_slot(point, slot(point, argument))
    }

    /// The same by its slot.
    #[inline(always)]
    fn argument_in_slot(&self, point: Point, slot: usize) -> Option<u64> {
        let position = position_in_slot(point, slot);
        if position == ARGUMENT_ABSENT { None } else { Some(self.at(position & !BEHIND)) }
    }

    /// The same where some kernels have it behind a pointer, there at that offset.
    #[inline(always)]
    fn argument_or_member(&self, point: Point, argument: Argument, offset: u32) -> Option<u64> {
        let value = self.argument(point, argument)?;
        if is_behind(point, argument) { Self::Memory::load(value, offset) } else { Some(value) }
    }

    /// Kernel stack id in `map`, or a negative errno.
    #[inline(always)]
    fn stack(&self, map: &impl StackTraceMap) -> i32 {
        match self.get_stackid(map, Self::OWN_FRAMES) {
            Ok(id) => id as i32,
            Err(errno) => errno,
        }
    }
}

/// A context of the trampoline and tracepoint kinds: an array of the arguments, then the result.
macro_rules! array_context {
    ($context:ty, $memory:ty, $own_frames:literal) => {
        impl Context for $context {
            type Memory = $memory;
            const OWN_FRAMES: u64 = $own_frames;

            #[inline(always)]
            fn at(&self, position: u8) -> u64 {
                match position {
                    0 => word!(self, 0),
                    1 => word!(self, 8),
                    2 => word!(self, 16),
                    3 => word!(self, 24),
                    4 => word!(self, 32),
                    5 => word!(self, 40),
                    6 => word!(self, 48),
                    7 => word!(self, 56),
                    8 => word!(self, 64),
                    _ => 0,
                }
            }

            #[inline(always)]
            fn result(&self, point: Point) -> u64 {
                self.at(arity(point))
            }
        }
    };
}

// The trampoline's frames: the program and the trampoline itself.
array_context!(FEntryContext, Direct, 2);
array_context!(FExitContext, Direct, 2);
array_context!(BtfTracePointContext, Direct, 0);
array_context!(RawTracePointContext, Probed, 0);

/// Offsets in `struct pt_regs` of the first six integer arguments and of the result
/// (arch/x86/include/asm/ptrace.h: rdi, rsi, rdx, rcx, r8, r9; rax).
#[cfg(bpf_target_arch = "x86_64")]
mod registers {
    pub const ARGUMENTS: [i32; 6] = [112, 104, 96, 88, 72, 64];
    pub const RESULT: i32 = 80;
}

/// Offsets in `struct user_pt_regs` (arch/arm64/include/uapi/asm/ptrace.h: x0 to x7; x0).
#[cfg(bpf_target_arch = "aarch64")]
mod registers {
    pub const ARGUMENTS: [i32; 8] = [0, 8, 16, 24, 32, 40, 48, 56];
    pub const RESULT: i32 = 0;
}

impl Context for ProbeContext {
    type Memory = Probed;
    const OWN_FRAMES: u64 = 0;

    #[inline(always)]
    fn at(&self, position: u8) -> u64 {
        match position {
            0 => word!(self, registers::ARGUMENTS[0]),
            1 => word!(self, registers::ARGUMENTS[1]),
            2 => word!(self, registers::ARGUMENTS[2]),
            3 => word!(self, registers::ARGUMENTS[3]),
            4 => word!(self, registers::ARGUMENTS[4]),
            5 => word!(self, registers::ARGUMENTS[5]),
            #[cfg(bpf_target_arch = "aarch64")]
            6 => word!(self, registers::ARGUMENTS[6]),
            #[cfg(bpf_target_arch = "aarch64")]
            7 => word!(self, registers::ARGUMENTS[7]),
            _ => 0,
        }
    }
}

impl Context for RetProbeContext {
    type Memory = Probed;
    const OWN_FRAMES: u64 = 0;
    const HAS_ARGUMENTS: bool = false;

    /// The registers of the arguments are gone at return; [`crate::call::Call`] has them from the entry.
    #[inline(always)]
    fn at(&self, _position: u8) -> u64 {
        0
    }

    #[inline(always)]
    fn result(&self, _point: Point) -> u64 {
        word!(self, registers::RESULT)
    }
}
