//! What computations and branches make of numbers, as the kernel's interpreter does (6.12 kernel/bpf/core.c,
//! ___bpf_prog_run).

use super::instruction::{Instruction, Operation};

/// `left op right` of a computation; `None` of those that are left to the kernel.
pub fn compute(instruction: Instruction, is_wide: bool, left: u64, right: u64) -> Option<u64> {
    if instruction.offset != 0 {
        return None;
    }
    let (left, right) = if is_wide { (left, right) } else { (left & HALF, right & HALF) };
    let shift = right as u32 & if is_wide { 63 } else { 31 };
    let result = match instruction.operation() {
        Operation::ADD => left.wrapping_add(right),
        Operation::SUBTRACT => left.wrapping_sub(right),
        Operation::MULTIPLY => left.wrapping_mul(right),
        Operation::OR => left | right,
        Operation::AND => left & right,
        Operation::SHIFT_LEFT => left << shift,
        Operation::SHIFT_RIGHT => left >> shift,
        Operation::NEGATE => left.wrapping_neg(),
        Operation::XOR => left ^ right,
        Operation::ASSIGN => right,
        Operation::SHIFT_SIGNED if is_wide => (left.cast_signed() >> shift).cast_unsigned(),
        Operation::SHIFT_SIGNED => u64::from(((left as u32).cast_signed() >> shift).cast_unsigned()),
        _ => return None,
    };
    Some(if is_wide { result } else { result & HALF })
}

/// The lower 32 bits.
const HALF: u64 = u32::MAX as u64;

/// Whether a branch is taken.
pub fn is_taken(instruction: Instruction, is_wide: bool, left: u64, right: u64) -> bool {
    let (left, right, signed) = if is_wide {
        (left, right, (left.cast_signed(), right.cast_signed()))
    } else {
        let half = |number: u64| i64::from((number as u32).cast_signed());
        (left & HALF, right & HALF, (half(left), half(right)))
    };
    match instruction.operation() {
        0x10 => left == right,
        0x20 => left > right,
        0x30 => left >= right,
        0x40 => left & right != 0,
        0x50 => left != right,
        0x60 => signed.0 > signed.1,
        0x70 => signed.0 >= signed.1,
        0xa0 => left < right,
        0xb0 => left <= right,
        0xc0 => signed.0 < signed.1,
        _ => signed.0 <= signed.1,
    }
}

/// The branch's operation with both sides exchanged.
pub fn mirrored(operation: u8) -> u8 {
    match operation {
        0x20 => 0xa0,
        0xa0 => 0x20,
        0x30 => 0xb0,
        0xb0 => 0x30,
        0x60 => 0xc0,
        0xc0 => 0x60,
        0x70 => 0xd0,
        0xd0 => 0x70,
        same => same,
    }
}
