//! Which instruction comes after which: jumps that lead to jumps, jumps that lead nowhere else, and what is never reached.

use super::instruction::{Class, Instruction};
use super::program::Program;

/// The instructions that may come next.
pub fn next(program: &Program<'_>, at: usize) -> [Option<usize>; 2] {
    match program.code[at].class() {
        Some(Class::Exit) | None => [None, None],
        Some(Class::Jump) => [program.target(at), None],
        Some(Class::Branch(_)) => [program.target(at), Some(at + 1)],
        Some(Class::LoadWide) => [Some(at + 2), None],
        Some(_) => [Some(at + 1), None],
    }
}

/// Whether each instruction is reached.
pub fn reached(program: &Program<'_>) -> Vec<bool> {
    let mut reached = vec![false; program.code.len()];
    let mut open = vec![0];
    while let Some(at) = open.pop() {
        if at < reached.len() && !std::mem::replace(&mut reached[at], true) {
            open.extend(next(program, at).into_iter().flatten());
        }
    }
    reached
}

/// Makes jumps go where they end up, and lets what is never reached be gone through.
pub fn straighten(program: &mut Program<'_>) {
    // The next instruction from each on that does something.
    let mut doing: Vec<usize> = (0..program.code.len()).collect();
    for at in (0..program.code.len().saturating_sub(1)).rev() {
        if program.code[at] == Instruction::NOTHING {
            doing[at] = doing[at + 1];
        }
    }
    for at in 0..program.code.len() {
        if !matches!(program.code[at].class(), Some(Class::Jump | Class::Branch(_))) {
            continue;
        }
        let Some(end) = end_of_jumps(program, at, &doing) else { continue };
        if end > at && doing.get(at + 1).is_some_and(|next| *next >= end) {
            program.code[at] = Instruction::NOTHING;
        } else if let Ok(offset) = i16::try_from(end as i64 - at as i64 - 1) {
            program.code[at].offset = offset;
        }
    }
    fill(program);
}

/// Where a jump ends up.
fn end_of_jumps(program: &Program<'_>, at: usize, doing: &[usize]) -> Option<usize> {
    let mut end = doing[program.target(at)?];
    // Jumps in a circle are left alone.
    for _ in 0..program.code.len() {
        if program.code[end].class() != Some(Class::Jump) {
            return Some(end);
        }
        end = doing[program.target(end)?];
    }
    None
}

/// The verifier refuses what no instruction leads to (6.12 kernel/bpf/verifier.c, check_cfg). So what stands before such a
/// part, a jump or an end, moves to the end of it, and what is before that does nothing.
fn fill(program: &mut Program<'_>) {
    let mut reached = reached(program);
    for at in 0..reached.len() {
        // The second place goes with the first.
        if reached[at] && program.code[at].class() == Some(Class::LoadWide) {
            reached[at + 1] = true;
        }
    }
    let mut at = 1;
    while at < reached.len() {
        let length = reached[at..].iter().take_while(|is_reached| !**is_reached).count();
        let last = at + length - 1;
        if length != 0 {
            let before = program.code[at - 1];
            let moved = match before.class() {
                Some(Class::Jump) => i16::try_from(i64::from(before.offset) - length as i64)
                    .map(|offset| Instruction { offset, ..before })
                    .ok(),
                Some(Class::Exit) => Some(before),
                _ => None,
            };
            if let Some(moved) = moved {
                program.code[at - 1..last].fill(Instruction::NOTHING);
                program.code[last] = moved;
            }
        }
        at = last + 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::fold::program::Constants;

    #[test]
    fn jumps_are_shortened_and_nothing_is_unreached() {
        let code = |code, offset| Instruction { code, offset, ..Instruction::NOTHING };
        let (set, exit) = (code(0xb7, 0), code(0x95, 0));
        // A branch to a jump to the end, and behind the first end what nobody reaches.
        let before = vec![code(0x15, 2), set, exit, code(0x05, 2), set, set, exit];
        let constants = Constants::default();
        let mut program = Program { filled_in: vec![None; 7], code: before, constants: &constants };
        straighten(&mut program);
        let nothing = Instruction::NOTHING;
        assert_eq!(program.code, [code(0x15, 5), set, nothing, nothing, nothing, exit, exit]);
        assert!(reached(&program).into_iter().all(|is_reached| is_reached));
    }
}
