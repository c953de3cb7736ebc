//! Instructions whose results nobody reads.

use super::flow;
use super::instruction::{Class, FRAME, Instruction};
use super::program::Program;
use super::values::{State, Value, Values};

/// Registers and places of the stack that are read later: a bit each.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Live {
    registers: u16,
    /// Eight bytes a bit, the lowest bit at the stack's end.
    stack: u64,
}

/// Replaces what nobody reads by [`Instruction::NOTHING`].
pub fn remove(program: &mut Program<'_>, values: &Values) {
    loop {
        let live = live(program, values);
        let mut changed = false;
        for at in 0..program.code.len() {
            let Some(live) = live[at] else { continue };
            if is_unused(program.code[at], values.states[at].as_ref(), values.escaped, live) {
                if program.code[at].class() == Some(Class::LoadWide) {
                    program.code[at + 1] = Instruction::NOTHING;
                }
                program.code[at] = Instruction::NOTHING;
                changed = true;
            }
        }
        if !changed {
            return;
        }
    }
}

/// What is read after each instruction; `None` of what is never reached.
fn live(program: &Program<'_>, values: &Values) -> Vec<Option<Live>> {
    let reached = flow::reached(program);
    let reached: Vec<usize> = (0..reached.len()).filter(|at| reached[*at]).collect();
    let mut after = vec![None; program.code.len()];
    let mut before = vec![Live::default(); program.code.len() + 2];
    loop {
        let mut changed = false;
        for &at in reached.iter().rev() {
            let mut out = Live::default();
            for next in flow::next(program, at).into_iter().flatten() {
                out.registers |= before[next].registers;
                out.stack |= before[next].stack;
            }
            let read = read(program.code[at], values.states[at].as_ref(), values.escaped, out);
            changed |= after[at] != Some(out) || before[at] != read;
            (after[at], before[at]) = (Some(out), read);
        }
        if !changed {
            return after;
        }
    }
}

/// Instructions that none leads to, less the second places of wide loads.
#[cfg(test)]
pub fn never_reached(program: &Program<'_>) -> Vec<usize> {
    let reached = flow::reached(program);
    let is_second = |at: usize| at != 0 && program.code[at - 1].class() == Some(Class::LoadWide);
    (0..program.code.len()).filter(|at| !reached[*at] && !is_second(*at)).collect()
}

/// What is read from an instruction on, when that is read after it. Jumps and ends that [moved](flow) have no state.
fn read(instruction: Instruction, state: Option<&State>, escaped: i64, after: Live) -> Live {
    let mut live = after;
    let bit = |register: u8| 1_u16 << register;
    let Some(class) = instruction.class() else { return live };
    match class {
        Class::LoadWide => live.registers &= !bit(instruction.dst),
        Class::Compute(_) => {
            live.registers &= !bit(instruction.dst);
            if instruction.reads_destination() {
                live.registers |= bit(instruction.dst);
            }
            if instruction.is_with_register() {
                live.registers |= bit(instruction.src);
            }
        }
        Class::Load => {
            live.registers &= !bit(instruction.dst);
            live.registers |= bit(instruction.src);
            if let Some(places) = places(state, instruction.src, instruction) {
                live.stack |= places;
            }
        }
        Class::StoreNumber | Class::Store => {
            if let Some(places) = places(state, instruction.dst, instruction)
                && instruction.bytes_moved() == 8
                && places.count_ones() == 1
            {
                live.stack &= !places;
            }
            live.registers |= bit(instruction.dst);
            if class == Class::Store {
                live.registers |= bit(instruction.src);
            }
        }
        Class::Atomic => {
            if let Some(register) = instruction.fetched() {
                live.registers &= !bit(register);
            }
            live.registers |= bit(instruction.dst) | bit(instruction.src);
            if instruction.compares() {
                live.registers |= bit(0);
            }
        }
        Class::Branch(_) => {
            live.registers |= bit(instruction.dst);
            if instruction.is_with_register() {
                live.registers |= bit(instruction.src);
            }
        }
        Class::Jump => {}
        Class::Call => {
            live.registers &= !0b11_1111;
            for register in 1..=instruction.arguments() {
                live.registers |= bit(register);
            }
        }
        Class::Exit => live.registers = bit(0),
    }
    live.registers |= bit(FRAME);
    // What others may read.
    live.stack |= above(escaped);
    live
}

/// The places of the stack that an instruction moves; `None` where it moves nothing that is followed there.
fn places(state: Option<&State>, base: u8, instruction: Instruction) -> Option<u64> {
    let Value::Stack(at) = state?.register(base) else { return None };
    let start = at + i64::from(instruction.offset);
    let end = start + i64::from(instruction.bytes_moved());
    Some(
        above(start.div_euclid(8) * 8)
            & !above(end.div_euclid(8) * 8 + if end.rem_euclid(8) == 0 { 0 } else { 8 }),
    )
}

/// The places from there up to the stack's end.
fn above(at: i64) -> u64 {
    match u32::try_from(-at / 8 + i64::from(at % 8 != 0)) {
        Ok(places) if places >= 64 => u64::MAX,
        Ok(places) => (1 << places) - 1,
        Err(_) => 0,
    }
}

/// Whether an instruction does nothing but write what nobody reads.
fn is_unused(instruction: Instruction, state: Option<&State>, escaped: i64, after: Live) -> bool {
    let is_read = |register: u8| after.registers >> register & 1 != 0;
    match instruction.class() {
        Some(Class::LoadWide | Class::Compute(_) | Class::Load) => !is_read(instruction.dst),
        Some(Class::StoreNumber | Class::Store) => places(state, instruction.dst, instruction)
            .is_some_and(|places| places & (after.stack | above(escaped)) == 0),
        Some(Class::Call) => instruction.is_pure_call() && !is_read(0),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::fold::program::Constants;
    use crate::session::fold::rewrite::rewrite;

    fn read_all(lines: &[(u8, u8, u8, i16, i32)]) -> Vec<Instruction> {
        lines
            .iter()
            .map(|&(code, dst, src, offset, imm)| Instruction { code, dst, src, offset, imm })
            .collect()
    }

    #[test]
    fn what_is_returned_is_used() {
        let constants = Constants::default();
        let code = read_all(&[
            (0x18, 0, 0, 0, 0),
            (0, 0, 0, 0, 1),
            (0x18, 4, 0, 0, 7),
            (0, 0, 0, 0, 1),
            (0x65, 4, 0, 1, 2),
            (0x95, 0, 0, 0, 0),
            (0x95, 0, 0, 0, 0),
        ]);
        let mut program = Program { filled_in: vec![None; code.len()], code, constants: &constants };
        let values = Values::of(&program).unwrap();
        rewrite(&mut program, &values);
        remove(&mut program, &values);
        let nothing = |at: usize| program.code[at] == Instruction::NOTHING;
        assert!(!nothing(0), "the result");
        assert!(nothing(2) && nothing(3), "what was compared");
    }
}
