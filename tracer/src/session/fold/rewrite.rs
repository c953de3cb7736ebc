//! Instructions that what is known makes simpler.

use super::instruction::{Class, Instruction, Operation, WITH_REGISTER};
use super::number;
use super::program::Program;
use super::values::{State, Value, Values};

/// Writes numbers where they are known, and decides the branches that they decide.
pub fn rewrite(program: &mut Program<'_>, values: &Values) {
    for (at, state) in values.states.iter().enumerate() {
        let Some(state) = state else { continue };
        let Some(class) = program.code[at].class() else { continue };
        if class == Class::LoadWide {
            shorten(program, at);
            continue;
        }
        let next = values.states.get(at + 1).and_then(Option::as_ref);
        program.code[at] = simpler(program.code[at], class, state, next);
    }
}

/// A wide load of a small number takes one place.
fn shorten(program: &mut Program<'_>, at: usize) {
    if let Value::Number(number) = program.wide(at)
        && let Some(short) = Instruction::assign(program.code[at].dst, number)
    {
        program.code[at] = short;
        program.code[at + 1] = Instruction::NOTHING;
    }
}

/// The same instruction, simpler. `next` is what is known after it where it goes on.
fn simpler(instruction: Instruction, class: Class, state: &State, next: Option<&State>) -> Instruction {
    match class {
        Class::Load | Class::Compute(_) => {
            // What is known after it holds for every way there, this one among them; so it is looked for here.
            let result = match class {
                Class::Compute(is_wide) => state.computed(instruction, is_wide),
                _ => next.and_then(|next| next.number(instruction.dst)),
            };
            result
                .and_then(|number| Instruction::assign(instruction.dst, number))
                .unwrap_or_else(|| without_effect(with_number(instruction, class, state)))
        }
        Class::Store => {
            match state.number(instruction.src).and_then(|number| i32::try_from(number.cast_signed()).ok()) {
                // Class 2 instead of 3.
                Some(imm) => Instruction { code: instruction.code & !1, src: 0, imm, ..instruction },
                None => instruction,
            }
        }
        Class::Branch(is_wide) => {
            match (state.decides(instruction, is_wide), state.number(instruction.dst)) {
                (Some(taken), _) => {
                    Instruction { offset: if taken { instruction.offset } else { 0 }, ..Instruction::NOTHING }
                }
                (None, Some(left)) if instruction.is_with_register() => {
                    let mirrored = Instruction {
                        code: number::mirrored(instruction.operation()) | instruction.code & 0x0f,
                        dst: instruction.src,
                        ..instruction
                    };
                    number_in(mirrored, is_wide, left).unwrap_or(instruction)
                }
                _ => with_number(instruction, class, state),
            }
        }
        _ => instruction,
    }
}

/// Nothing in place of a computation that leaves all 64 bits as they are.
fn without_effect(instruction: Instruction) -> Instruction {
    let is_neutral = matches!(
        instruction.operation(),
        Operation::ADD
            | Operation::SUBTRACT
            | Operation::OR
            | Operation::XOR
            | Operation::SHIFT_LEFT
            | Operation::SHIFT_RIGHT
            | Operation::SHIFT_SIGNED
    );
    match instruction.class() {
        Some(Class::Compute(true))
            if is_neutral && !instruction.is_with_register() && instruction.imm == 0 =>
        {
            Instruction::NOTHING
        }
        _ => instruction,
    }
}

/// The same with a number in place of a register that holds it.
fn with_number(instruction: Instruction, class: Class, state: &State) -> Instruction {
    let (Class::Compute(is_wide) | Class::Branch(is_wide)) = class else { return instruction };
    if !instruction.is_with_register() {
        return instruction;
    }
    match state.number(instruction.src) {
        Some(right) => number_in(instruction, is_wide, right).unwrap_or(instruction),
        None => instruction,
    }
}

fn number_in(instruction: Instruction, is_wide: bool, number: u64) -> Option<Instruction> {
    let is_computation = matches!(instruction.class(), Some(Class::Compute(_)));
    let number = match instruction.operation() {
        // The verifier refuses a division by 0 that is never reached, and shifts by more than there are bits.
        Operation::DIVIDE | Operation::REMAINDER if is_computation => return None,
        Operation::SHIFT_LEFT | Operation::SHIFT_RIGHT | Operation::SHIFT_SIGNED if is_computation => {
            number & if is_wide { 63 } else { 31 }
        }
        _ => number,
    };
    let imm = if is_wide { i32::try_from(number.cast_signed()).ok()? } else { (number as u32).cast_signed() };
    Some(Instruction { code: instruction.code & !WITH_REGISTER, src: 0, imm, ..instruction })
}
