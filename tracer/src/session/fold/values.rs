//! What is known of registers and of the stack before each instruction, whichever way it was reached.

use std::collections::BTreeMap;

use super::instruction::{Class, FRAME, Instruction, Operation, REGISTERS};
use super::number;
use super::program::Program;

/// What is known of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// Nothing; it is no address in the stack.
    Unknown,
    /// The number.
    Number(u64),
    /// An address: that far from the start of the constants' section.
    Constant(i64),
    /// An address: that far from the stack's end.
    Stack(i64),
    /// It may be an address in the stack, no lower than that.
    MaybeStack(i64),
}

/// Lowest address in the stack (include/linux/filter.h, MAX_BPF_STACK).
const STACK_START: i64 = -512;

impl Value {
    /// The lowest address in the stack that it may be.
    pub fn stack(self) -> Option<i64> {
        match self {
            Self::Stack(at) | Self::MaybeStack(at) => Some(at),
            _ => None,
        }
    }

    /// What is known where it is this or that.
    fn or(self, other: Self) -> Self {
        if self == other {
            return self;
        }
        match (self.stack(), other.stack()) {
            (None, None) => Self::Unknown,
            (one, another) => Self::MaybeStack(one.unwrap_or(0).min(another.unwrap_or(0))),
        }
    }
}

/// A number on the stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Saved {
    bytes: u8,
    number: u64,
}

/// What is known at one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    registers: [Value; REGISTERS],
    /// Numbers on the stack, by their address.
    stack: BTreeMap<i64, Saved>,
}

impl State {
    /// At a function's start.
    fn start() -> Self {
        let mut registers = [Value::Unknown; REGISTERS];
        registers[usize::from(FRAME)] = Value::Stack(0);
        Self { registers, stack: BTreeMap::new() }
    }

    /// A register's value.
    pub fn register(&self, register: u8) -> Value {
        self.registers[usize::from(register)]
    }

    /// A register's value where it is a number.
    pub fn number(&self, register: u8) -> Option<u64> {
        match self.register(register) {
            Value::Number(number) => Some(number),
            _ => None,
        }
    }

    fn set(&mut self, register: u8, value: Value) {
        self.registers[usize::from(register)] = value;
    }

    /// The right side of a computation, a branch, a store.
    pub fn operand(&self, instruction: Instruction) -> Value {
        if instruction.is_with_register() {
            self.register(instruction.src)
        } else {
            Value::Number(i64::from(instruction.imm).cast_unsigned())
        }
    }

    /// What a computation makes of numbers.
    pub fn computed(&self, instruction: Instruction, is_wide: bool) -> Option<u64> {
        let Value::Number(right) = self.operand(instruction) else { return None };
        let left = if instruction.reads_destination() { self.number(instruction.dst)? } else { 0 };
        number::compute(instruction, is_wide, left, right)
    }

    /// Whether a branch is taken, where numbers decide that.
    pub fn decides(&self, instruction: Instruction, is_wide: bool) -> Option<bool> {
        let Value::Number(right) = self.operand(instruction) else { return None };
        Some(number::is_taken(instruction, is_wide, self.number(instruction.dst)?, right))
    }

    /// Takes in what is known on another way here; whether that changed anything.
    fn join(&mut self, other: &Self) -> bool {
        let before = self.clone();
        for (mine, theirs) in self.registers.iter_mut().zip(other.registers) {
            *mine = mine.or(theirs);
        }
        self.stack.retain(|at, saved| other.stack.get(at) == Some(saved));
        *self != before
    }

    /// Forgets what was on the stack there.
    fn forget(&mut self, at: i64, bytes: u8) {
        let end = at + i64::from(bytes);
        self.stack.retain(|start, saved| *start >= end || *start + i64::from(saved.bytes) <= at);
    }
}

/// What is known before each instruction of a function.
pub struct Values {
    /// `None` of what is never reached.
    pub states: Vec<Option<State>>,
    /// From here on others may read and write the stack: helpers, functions, what cannot be followed.
    pub escaped: i64,
}

impl Values {
    /// Finds it out; `None` where the function has an instruction that is not known here.
    pub fn of(program: &Program<'_>) -> Option<Self> {
        let mut escaped = 0;
        loop {
            let mut search = Search {
                program,
                states: vec![None; program.code.len()],
                escaped,
                escapes: escaped,
                open: vec![0],
            };
            search.states[0] = Some(State::start());
            while let Some(at) = search.open.pop() {
                search.visit(at)?;
            }
            if search.escapes == escaped {
                return Some(Self { states: search.states, escaped });
            }
            escaped = search.escapes;
        }
    }
}

/// A search in progress.
struct Search<'a> {
    program: &'a Program<'a>,
    states: Vec<Option<State>>,
    /// What is taken to have escaped, and what was found to have.
    escaped: i64,
    escapes: i64,
    /// Instructions whose state has changed.
    open: Vec<usize>,
}

impl Search<'_> {
    fn reach(&mut self, at: usize, state: State) -> Option<()> {
        let changed = match self.states.get_mut(at)? {
            Some(known) => known.join(&state),
            slot => {
                *slot = Some(state);
                true
            }
        };
        if changed {
            self.open.push(at);
        }
        Some(())
    }

    fn escape(&mut self, value: Value) {
        if let Some(at) = value.stack() {
            self.escapes = self.escapes.min(at.max(STACK_START));
        }
    }

    /// Follows an instruction to the next ones.
    fn visit(&mut self, at: usize) -> Option<()> {
        let instruction = self.program.code[at];
        let mut state = self.states[at].clone()?;
        match instruction.class()? {
            Class::LoadWide => {
                let value = self.program.wide(at);
                state.set(instruction.dst, value);
                return self.reach(at + 2, state);
            }
            Class::Exit => return Some(()),
            Class::Jump => return self.reach(self.program.target(at)?, state),
            Class::Branch(is_wide) => {
                let taken = state.decides(instruction, is_wide);
                if taken != Some(false) {
                    self.reach(self.program.target(at)?, state.clone())?;
                }
                if taken == Some(true) {
                    return Some(());
                }
            }
            Class::Compute(is_wide) => {
                let value = self.computed(&state, instruction, is_wide);
                state.set(instruction.dst, value);
            }
            Class::Load => {
                let value = self.loaded(&state, instruction);
                state.set(instruction.dst, value);
            }
            Class::StoreNumber | Class::Store => self.store(&mut state, instruction),
            Class::Atomic => {
                self.escape(moved(state.register(instruction.dst), offset(instruction)));
                self.escape(state.register(instruction.src));
                if let Some(register) = instruction.fetched() {
                    state.set(register, Value::Unknown);
                }
            }
            Class::Call => {
                for register in 1..=instruction.arguments() {
                    self.escape(state.register(register));
                }
                for register in 0..=5 {
                    state.set(register, Value::Unknown);
                }
            }
        }
        self.reach(at + 1, state)
    }

    fn computed(&self, state: &State, instruction: Instruction, is_wide: bool) -> Value {
        if let Some(number) = state.computed(instruction, is_wide) {
            return Value::Number(number);
        }
        let right = state.operand(instruction);
        let operation = instruction.operation();
        if operation == Operation::ASSIGN && is_wide && instruction.offset == 0 {
            return right;
        }
        let left =
            if instruction.reads_destination() { state.register(instruction.dst) } else { Value::Number(0) };
        match (left, right) {
            (address, Value::Number(by)) if is_wide && operation == Operation::ADD => moved(address, by),
            (Value::Number(by), address) if is_wide && operation == Operation::ADD => moved(address, by),
            (address, Value::Number(by)) if is_wide && operation == Operation::SUBTRACT => {
                moved(address, by.wrapping_neg())
            }
            (left, right) if left.stack().is_some() || right.stack().is_some() => {
                Value::MaybeStack(STACK_START)
            }
            _ => Value::Unknown,
        }
    }

    fn loaded(&mut self, state: &State, instruction: Instruction) -> Value {
        let (bytes, by) = (instruction.bytes_moved(), i64::from(instruction.offset));
        match state.register(instruction.src) {
            Value::Constant(at) => {
                self.program.constants.number(at + by, bytes).map_or(Value::Unknown, Value::Number)
            }
            Value::Stack(at) => match state.stack.get(&(at + by)) {
                Some(saved) if saved.bytes >= bytes => Value::Number(cut(saved.number, bytes)),
                _ => Value::Unknown,
            },
            value => {
                self.escape(moved(value, offset(instruction)));
                Value::Unknown
            }
        }
    }

    fn store(&mut self, state: &mut State, instruction: Instruction) {
        let value = match instruction.class() {
            Some(Class::StoreNumber) => Value::Number(i64::from(instruction.imm).cast_unsigned()),
            _ => state.register(instruction.src),
        };
        self.escape(value);
        let base = state.register(instruction.dst);
        let Value::Stack(at) = base else {
            if base.stack().is_some() {
                self.escape(moved(base, offset(instruction)));
                state.stack.clear();
            }
            return;
        };
        let (at, bytes) = (at + i64::from(instruction.offset), instruction.bytes_moved());
        state.forget(at, bytes);
        if let Value::Number(number) = value
            && at + i64::from(bytes) <= self.escaped
        {
            state.stack.insert(at, Saved { bytes, number: cut(number, bytes) });
        }
    }
}

/// An address that far on.
fn moved(address: Value, by: u64) -> Value {
    match address {
        Value::Constant(at) => Value::Constant(at.wrapping_add(by.cast_signed())),
        Value::Stack(at) => Value::Stack(at.wrapping_add(by.cast_signed())),
        Value::MaybeStack(at) => Value::MaybeStack(at.saturating_add(by.cast_signed()).max(STACK_START)),
        Value::Number(_) | Value::Unknown => Value::Unknown,
    }
}

/// What an instruction adds to an address.
fn offset(instruction: Instruction) -> u64 {
    i64::from(instruction.offset).cast_unsigned()
}

/// The lowest bytes of a number.
fn cut(number: u64, bytes: u8) -> u64 {
    if bytes >= 8 { number } else { number & ((1 << (8 * bytes)) - 1) }
}
