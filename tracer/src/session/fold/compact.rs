//! Code without the instructions that do nothing.

use super::instruction::{Class, Instruction};
use super::program::Program;

/// Takes them out; gives the new place of every instruction, of one that is gone that of the next. `None`, and nothing
/// changes, where the code calls a function by the distance to it, or a jump would be too long.
pub fn compact(program: &mut Program<'_>, is_relocated: &[bool]) -> Option<Vec<usize>> {
    let code = &program.code;
    let mut map = Vec::with_capacity(code.len() + 1);
    let mut kept = 0;
    for instruction in code {
        map.push(kept);
        kept += usize::from(*instruction != Instruction::NOTHING);
    }
    map.push(kept);
    let mut compacted = Vec::with_capacity(kept);
    let mut filled_in = Vec::with_capacity(kept);
    for (at, instruction) in
        code.iter().enumerate().filter(|(_, instruction)| **instruction != Instruction::NOTHING)
    {
        let mut instruction = *instruction;
        match instruction.class() {
            Some(Class::Jump | Class::Branch(_)) => {
                let target = map[program.target(at)?] as i64;
                instruction.offset = i16::try_from(target - map[at] as i64 - 1).ok()?;
            }
            Some(Class::Call) if instruction.src != 0 && !is_relocated[at] => return None,
            _ => {}
        }
        compacted.push(instruction);
        filled_in.push(program.filled_in[at]);
    }
    (program.code, program.filled_in) = (compacted, filled_in);
    Some(map)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::fold::program::Constants;

    #[test]
    fn jumps_go_where_they_went() {
        let code = |code, offset| Instruction { code, offset, ..Instruction::NOTHING };
        let (branch, jump, exit) = (code(0x15, 3), code(0x05, -5), code(0x95, 0));
        let before = vec![branch, Instruction::NOTHING, Instruction::NOTHING, exit, jump];
        let constants = Constants::default();
        let mut program = Program { filled_in: vec![None; 5], code: before, constants: &constants };
        let map = compact(&mut program, &[false; 5]).unwrap();
        assert_eq!(map, [0, 1, 1, 1, 2, 3]);
        assert_eq!(program.code, [code(0x15, 1), exit, code(0x05, -3)]);
    }
}
