//! A session's constants, put into its programs before the kernel gets them.
//!
//! Programs read what a session is from constants: what is asked for, where the kernel has its fields. The kernel's
//! verifier knows their values and drops what they switch off, but leaves the loads of them, the computations with
//! them, and what the compiler saved on the stack for the ways that are switched off: a third of what a program runs for an
//! event. Here the numbers are written into the instructions, as a compiler would have done that knew them, and what nobody
//! reads any more is left out. The verifier would remove it, too, but one instruction at a time, each time moving all that it
//! knows of the later ones: that took nearly half of a session's start.
//!
//! What is not understood stays as it is: a function with an unknown instruction, a load of an unknown constant.

use std::collections::HashMap;

use object_file::ObjectFile;
use program::Program;
use values::Values;

mod compact;
mod flow;
mod instruction;
mod lines;
mod number;
mod object_file;
mod program;
mod rewrite;
#[cfg(test)]
mod run;
mod unused;
mod values;

/// Puts constants, named as in the object with their bytes, into the functions that `is_wanted` names and into those that
/// any may call.
pub fn fold(object: &mut [u8], constants: &[(&str, &[u8])], is_wanted: impl Fn(&str) -> bool) {
    let Some(file) = ObjectFile::read(object, constants, is_wanted) else { return };
    let mut moved = HashMap::new();
    for function in &file.functions {
        let Some(mut program) = file.program(object, function) else { continue };
        if simplify(&mut program).is_none() {
            continue;
        }
        let map =
            if function.is_shared { None } else { compact::compact(&mut program, &function.relocated()) };
        function.write(object, &program, map.as_deref());
        if let Some(map) = map {
            moved.insert((function.section.clone(), function.address), map);
        }
    }
    lines::rewrite(object, &file.sections, &moved);
}

/// Makes a function simpler; `None` where it is not understood.
fn simplify(program: &mut Program<'_>) -> Option<()> {
    let values = Values::of(program)?;
    rewrite::rewrite(program, &values);
    flow::straighten(program);
    unused::remove(program, &values);
    flow::straighten(program);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::instruction::Instruction;
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

    #[test]
    fn a_folded_program_does_what_it_did() {
        let (mut steps, mut folded_steps, mut runs) = (0, 0, 0);
        for set in 0..4 {
            let globals = made_up(set);
            let file = ObjectFile::read(OBJECT, &[("GLOBALS", &globals)], |_| true).unwrap();
            for function in &file.functions {
                let mut program = file.program(OBJECT, function).unwrap();
                let before: Vec<_> =
                    (0..6).map(|seed| Run::of(&program, seed).map(|run| (run.steps, run.seen))).collect();
                simplify(&mut program).expect("every instruction is known");
                assert_eq!(unused::never_reached(&program), [0; 0], "the verifier refuses these");
                compact::compact(&mut program, &function.relocated()).expect("nothing is too far");
                let nothing = program.code.iter().filter(|code| **code == Instruction::NOTHING).count();
                assert_eq!(nothing, 0);
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

    #[test]
    fn the_object_is_folded() {
        use object::{Object, ObjectSymbol};

        let size = |object: &[u8], name| {
            let file = object::File::parse(object).unwrap();
            file.symbol_by_name(name).unwrap().size()
        };
        let mut object = OBJECT.to_vec();
        let globals = vec![0; size_of::<Globals>()];
        fold(&mut object, &[("GLOBALS", &globals), ("AYA_LOG_LEVEL", &[0])], |name| {
            name == "fexit_try_to_unmap"
        });
        assert_eq!(object.len(), OBJECT.len());
        assert!(size(&object, "fexit_try_to_unmap") * 2 < size(OBJECT, "fexit_try_to_unmap"));
        assert_eq!(size(&object, "fexit_try_to_migrate"), size(OBJECT, "fexit_try_to_migrate"), "not wanted");
    }
}
