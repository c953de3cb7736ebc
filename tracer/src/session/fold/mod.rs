//! A session's constants, put into its programs before the kernel gets them.
//!
//! Programs read what a session is from constants: what is asked for, where the kernel has its fields. The kernel's
//! verifier knows their values and drops what they switch off, but leaves the loads of them, the computations with
//! them, and what the compiler saved on the stack for the ways that are switched off: a third of what a program runs for an
//! event. Here the numbers are written into the instructions, as a compiler would have done that knew them, and what nobody
//! reads any more gives way to instructions that do nothing, which the verifier removes. No instruction moves, so jumps, lines and
//! types of the object stay as they are.
//!
//! What is not understood stays as it is: a function with an unknown instruction, a load of an unknown constant.

use object::read::elf::ElfFile64;
use object::{Object, ObjectSection, ObjectSymbol, SymbolIndex};

use instruction::{CALL, Instruction, LOAD_WIDE, SIZE};
use program::{Constants, Program};
use values::{Value, Values};

mod flow;
mod instruction;
mod number;
mod program;
mod rewrite;
#[cfg(test)]
mod run;
mod unused;
mod values;

/// Bytes of a relocation (`Elf64_Rel`): where, then the symbol's number above the type.
const RELOCATION: usize = 16;

/// Puts constants, named as in the object with their bytes, into the functions that `is_wanted` names and into those that
/// any may call.
pub fn fold(object: &mut [u8], constants: &[(&str, &[u8])], is_wanted: impl Fn(&str) -> bool) {
    let Some(plan) = plan(object, constants, is_wanted) else { return };
    for function in &plan.functions {
        let Some(code) = object.get(function.start..function.start + function.size) else { continue };
        let mut program = Program {
            code: code
                .chunks_exact(SIZE)
                .filter_map(|bytes| bytes.first_chunk())
                .map(Instruction::read)
                .collect(),
            filled_in: vec![None; function.size / SIZE],
            constants: &plan.constants,
        };
        for relocation in &function.relocations {
            let known = relocation
                .constant
                .map(|at| Value::Constant(at + i64::from(program.code[relocation.at].imm)));
            program.filled_in[relocation.at] = Some(known.unwrap_or(Value::Unknown));
        }
        if simplify(&mut program).is_none() {
            continue;
        }
        for (bytes, instruction) in object[function.start..].chunks_exact_mut(SIZE).zip(&program.code) {
            bytes.copy_from_slice(&instruction.bytes());
        }
        drop_relocations(object, function, &program);
    }
}

/// Makes a function simpler; `None` where it is not understood.
fn simplify(program: &mut Program<'_>) -> Option<()> {
    let values = Values::of(program)?;
    rewrite::rewrite(program, &values);
    flow::straighten(program);
    unused::remove(program, &values);
    Some(())
}

/// The loader would fill in places that have another instruction now: it is sent to one that no function has.
fn drop_relocations(object: &mut [u8], function: &Function, program: &Program<'_>) {
    for relocation in &function.relocations {
        if !matches!(program.code[relocation.at].code, LOAD_WIDE | CALL)
            && let Some(place) = object.get_mut(relocation.entry..relocation.entry + 8)
        {
            place.copy_from_slice(&NOWHERE.to_le_bytes());
        }
    }
}

/// Beyond every function, at an instruction's start.
const NOWHERE: u64 = u64::MAX - (SIZE as u64 - 1);

/// What is to be done, by places in the file.
struct Plan {
    constants: Constants,
    functions: Vec<Function>,
}

/// A function in the file.
struct Function {
    start: usize,
    size: usize,
    relocations: Vec<Relocation>,
}

/// What the loader fills in.
struct Relocation {
    /// Which instruction.
    at: usize,
    /// Where the file says so.
    entry: usize,
    /// Where the symbol is in the section of the constants, if it is there.
    constant: Option<i64>,
}

fn plan(object: &[u8], constants: &[(&str, &[u8])], is_wanted: impl Fn(&str) -> bool) -> Option<Plan> {
    let file = ElfFile64::<object::LittleEndian>::parse(object).ok()?;
    let mut home = None;
    let mut parts = Vec::new();
    for (name, bytes) in constants {
        let symbol = file.symbol_by_name(name)?;
        let section = symbol.section_index()?;
        if *home.get_or_insert(section) != section {
            return None;
        }
        parts.push((i64::try_from(symbol.address()).ok()?, bytes.to_vec()));
    }
    let mut functions = Vec::new();
    for symbol in
        file.symbols().filter(|symbol| symbol.kind() == object::SymbolKind::Text && symbol.size() != 0)
    {
        let section = file.section_by_index(symbol.section_index()?).ok()?;
        let name = section.name().ok()?;
        if name != ".text" && !symbol.name().is_ok_and(&is_wanted) {
            continue;
        }
        let (begin, _) = section.file_range()?;
        let entries =
            match file.section_by_name(&format!(".rel{name}")).and_then(|section| section.file_range()) {
                Some((start, size)) => usize::try_from(start).ok()?..usize::try_from(start + size).ok()?,
                None => 0..0,
            };
        let own = symbol.address()..symbol.address() + symbol.size();
        let mut relocations = Vec::new();
        for entry in entries.step_by(RELOCATION) {
            let word = |at: usize| object.get(at..)?.first_chunk().copied().map(u64::from_le_bytes);
            let (place, symbol) = (word(entry)?, word(entry + 8)? >> 32);
            if !own.contains(&place) {
                continue;
            }
            let symbol = file.symbol_by_index(SymbolIndex(usize::try_from(symbol).ok()?)).ok()?;
            let constant = (symbol.section_index() == home).then_some(symbol.address().cast_signed());
            relocations.push(Relocation {
                at: usize::try_from(place - own.start).ok()? / SIZE,
                entry,
                constant,
            });
        }
        functions.push(Function {
            start: usize::try_from(begin + own.start - section.address()).ok()?,
            size: usize::try_from(symbol.size()).ok()?,
            relocations,
        });
    }
    Some(Plan { constants: Constants { parts }, functions })
}

#[cfg(test)]
mod tests {
    use super::run::Run;
    use super::*;
    use crate::session::object::OBJECT;
    use tracer_common::globals::Globals;

    /// Globals of all kinds: much is 0, 1 or absent in real ones.
    fn made_up(seed: u64) -> Vec<u8> {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut random = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        let mut bytes = Vec::new();
        while bytes.len() < size_of::<Globals>() {
            let number: u32 = match random() % 5 {
                0 => 0,
                1 => 1,
                2 => u32::MAX,
                3 => (random() % 128) as u32,
                _ => random() as u32,
            };
            bytes.extend(number.to_le_bytes());
        }
        bytes.truncate(size_of::<Globals>());
        bytes
    }

    fn programs<'a>(plan: &'a Plan, object: &[u8]) -> Vec<Program<'a>> {
        let program = |function: &Function| {
            let code = object[function.start..][..function.size].chunks_exact(SIZE);
            let code: Vec<_> = code.map(|bytes| Instruction::read(bytes.first_chunk().unwrap())).collect();
            let mut filled_in = vec![None; code.len()];
            for relocation in &function.relocations {
                let constant = relocation.constant.map(|at| at + i64::from(code[relocation.at].imm));
                filled_in[relocation.at] = Some(constant.map_or(Value::Unknown, Value::Constant));
            }
            Program { code, filled_in, constants: &plan.constants }
        };
        plan.functions.iter().map(program).collect()
    }

    #[test]
    fn a_folded_program_does_what_it_did() {
        let (mut steps, mut folded_steps, mut runs) = (0, 0, 0);
        for set in 0..4 {
            let globals = made_up(set);
            let plan = plan(OBJECT, &[("GLOBALS", &globals)], |_| true).unwrap();
            for mut program in programs(&plan, OBJECT) {
                let before: Vec<_> =
                    (0..6).map(|seed| Run::of(&program, seed).map(|run| (run.steps, run.seen))).collect();
                simplify(&mut program).expect("every instruction is known");
                assert_eq!(unused::never_reached(&program), [0; 0], "the verifier refuses these");
                for (seed, before) in before.into_iter().enumerate() {
                    let Some((before_steps, before)) = before else { continue };
                    let run = Run::of(&program, seed as u64).expect("no longer than before");
                    assert_eq!(run.seen, before, "set {set}, seed {seed}");
                    assert!(run.steps <= before_steps);
                    (steps, folded_steps, runs) = (steps + before_steps, folded_steps + run.steps, runs + 1);
                }
            }
        }
        assert!(runs > 1000, "{runs} runs");
        assert!(folded_steps * 10 < steps * 9, "{folded_steps} of {steps} instructions");
    }
}
