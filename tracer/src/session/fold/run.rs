//! Runs a function as the kernel would, in made-up memory, and notes all that others see of it.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::instruction::{Class, FRAME, Instruction, REGISTERS};
use super::number;
use super::program::Program;
use super::values::Value;

/// Where the stack ends, the constants' section begins, and the context is.
const STACK: u64 = 0x7000_0000_0000;
const CONSTANTS: u64 = 0x5000_0000_0000;
const CONTEXT: u64 = 0x6000_0000_0000;

/// What others see of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Where, how many bytes, which.
    Stored(u64, u8, u64),
    /// The atomic operation, where, with what.
    Changed(i32, u64, u64),
    /// What was called, with which arguments, and the bytes on the stack that one of them points to.
    Called(Instruction, Vec<u64>, Vec<u8>),
    /// The result.
    Returned(u64),
}

/// A run in progress. Memory that nobody wrote has bytes that follow from `seed` and the address.
pub struct Run<'a> {
    program: &'a Program<'a>,
    seed: u64,
    registers: [u64; REGISTERS],
    memory: HashMap<u64, u8>,
    calls: u64,
    /// Instructions that were run, less those that do nothing.
    pub steps: usize,
    /// What others saw.
    pub seen: Vec<Seen>,
}

fn mixed(value: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

impl<'a> Run<'a> {
    /// Runs a function to its end; `None` where that takes too long.
    pub fn of(program: &'a Program<'a>, seed: u64) -> Option<Self> {
        let mut registers = [0xdead_0000_dead; REGISTERS];
        (registers[1], registers[usize::from(FRAME)]) = (CONTEXT, STACK);
        let mut run =
            Self { program, seed, registers, memory: HashMap::new(), calls: 0, steps: 0, seen: Vec::new() };
        let mut at = 0;
        while run.steps < 20_000 {
            match run.step(at) {
                Some(next) => at = next,
                None => return Some(run),
            }
        }
        None
    }

    fn get(&self, register: u8) -> u64 {
        self.registers[usize::from(register)]
    }

    fn set(&mut self, register: u8, value: u64) {
        self.registers[usize::from(register)] = value;
    }

    fn is_stack(at: u64) -> bool {
        (STACK - 512..STACK).contains(&at)
    }

    fn load(&self, at: u64, bytes: u8) -> u64 {
        let from_constants = at.cast_signed().wrapping_sub(CONSTANTS.cast_signed());
        if let Some(number) = self.program.constants.number(from_constants, bytes) {
            return number;
        }
        (0..bytes).rev().fold(0, |number, index| {
            let at = at.wrapping_add(index.into());
            let unwritten = || if Self::is_stack(at) { 0 } else { self.unwritten(at) };
            number << 8 | u64::from(self.memory.get(&at).copied().unwrap_or_else(unwritten))
        })
    }

    /// Half of all memory is 0: programs go further there.
    fn unwritten(&self, at: u64) -> u8 {
        let mixed = mixed((self.seed, at / 8));
        if mixed & 1 == 0 { 0 } else { (mixed >> (8 * (at % 8))) as u8 }
    }

    fn store(&mut self, at: u64, bytes: u8, number: u64) {
        for index in 0..bytes {
            self.memory.insert(at.wrapping_add(index.into()), (number >> (8 * index)) as u8);
        }
    }

    /// Runs an instruction; the next one, or `None` at the end.
    fn step(&mut self, at: usize) -> Option<usize> {
        let instruction = self.program.code[at];
        self.steps += usize::from(instruction != Instruction::NOTHING);
        let (dst, src) = (self.get(instruction.dst), self.get(instruction.src));
        let right =
            if instruction.is_with_register() { src } else { i64::from(instruction.imm).cast_unsigned() };
        let address = |base: u64| base.wrapping_add_signed(instruction.offset.into());
        let bytes = instruction.bytes_moved();
        match instruction.class().expect("known") {
            Class::LoadWide => {
                let value = match self.program.wide(at) {
                    Value::Number(number) => number,
                    Value::Constant(from) => CONSTANTS.wrapping_add_signed(from),
                    _ => mixed(instruction.imm) >> 16,
                };
                self.set(instruction.dst, value);
                return Some(at + 2);
            }
            Class::Compute(is_wide) => {
                let made = number::compute(instruction, is_wide, dst, right);
                self.set(instruction.dst, made.unwrap_or_else(|| mixed((dst, right, instruction))));
            }
            Class::Load => self.set(instruction.dst, self.load(address(src), bytes)),
            Class::Store | Class::StoreNumber => {
                let number = if instruction.class() == Some(Class::Store) {
                    src
                } else {
                    i64::from(instruction.imm).cast_unsigned()
                };
                let number = number & (u64::MAX >> (64 - 8 * u32::from(bytes)));
                self.store(address(dst), bytes, number);
                if !Self::is_stack(address(dst)) {
                    self.seen.push(Seen::Stored(address(dst), bytes, number));
                }
            }
            Class::Atomic => self.change(instruction, address(dst), src),
            Class::Branch(is_wide) if number::is_taken(instruction, is_wide, dst, right) => {
                return self.program.target(at);
            }
            Class::Branch(_) => {}
            Class::Jump => return self.program.target(at),
            Class::Call => self.call(instruction),
            Class::Exit => {
                self.seen.push(Seen::Returned(self.get(0)));
                return None;
            }
        }
        Some(at + 1)
    }

    fn change(&mut self, instruction: Instruction, at: u64, by: u64) {
        let bytes = instruction.bytes_moved();
        let found = self.load(at, bytes);
        if !instruction.compares() {
            self.store(at, bytes, found.wrapping_add(by));
        } else if found == self.get(0) {
            self.store(at, bytes, by);
        }
        self.seen.push(Seen::Changed(instruction.imm, at, by));
        if let Some(register) = instruction.fetched() {
            self.registers[usize::from(register)] = found;
        }
    }

    fn call(&mut self, instruction: Instruction) {
        let arguments: Vec<u64> = (1..=instruction.arguments()).map(|register| self.get(register)).collect();
        let on_stack = arguments.iter().find(|argument| Self::is_stack(**argument));
        let bytes = on_stack.map(|at| self.load(*at, 4).to_le_bytes().to_vec()).unwrap_or_default();
        let result = if instruction.is_pure_call() {
            mixed((self.seed, instruction.imm)) >> 1
        } else {
            self.calls += 1;
            self.seen.push(Seen::Called(instruction, arguments.clone(), bytes));
            let mixed = mixed((self.seed, self.calls));
            // A look-up that finds nothing ends most programs, and a read that fails says little.
            match instruction.imm {
                1 => (mixed >> 16) & !7 | 8,
                _ => mixed & (mixed >> 1 & 1).wrapping_neg(),
            }
        };
        // bpf_probe_read_kernel, bpf_get_current_comm.
        if matches!(instruction.imm, 113 | 16) && instruction.src == 0 && Self::is_stack(arguments[0]) {
            for index in 0..arguments[1].min(STACK - arguments[0]) {
                self.store(arguments[0] + index, 1, mixed((self.seed, self.calls, index)));
            }
        }
        self.registers[0] = result;
        for register in 1..=5 {
            self.registers[register] = 0xdead_beef_dead;
        }
    }
}
