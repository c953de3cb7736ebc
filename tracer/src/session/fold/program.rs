//! A function of the object, and the constants that it reads.

use super::instruction::Instruction;
use super::values::Value;

/// Constants whose values are known, in the section that the programs find them in.
#[derive(Debug, Default)]
pub struct Constants {
    /// Where each begins in the section, and its bytes.
    pub parts: Vec<(i64, Vec<u8>)>,
}

impl Constants {
    /// The number of that many bytes at a place of the section; `None` where it is not known.
    pub fn number(&self, at: i64, bytes: u8) -> Option<u64> {
        self.parts.iter().find_map(|(start, part)| {
            let from = usize::try_from(at.checked_sub(*start)?).ok()?;
            let found = part.get(from..from.checked_add(usize::from(bytes))?)?;
            let mut number = [0; 8];
            number[..found.len()].copy_from_slice(found);
            Some(u64::from_le_bytes(number))
        })
    }
}

/// A function.
#[derive(Debug)]
pub struct Program<'a> {
    /// Its instructions.
    pub code: Vec<Instruction>,
    /// What [wide loads](super::instruction::LOAD_WIDE) that the loader fills in load: one for each place of the code.
    pub filled_in: Vec<Option<Value>>,
    /// What it reads.
    pub constants: &'a Constants,
}

impl Program<'_> {
    /// Where a jump or a branch goes.
    pub fn target(&self, at: usize) -> Option<usize> {
        at.checked_add_signed(1 + isize::from(self.code[at].offset))
            .filter(|target| *target < self.code.len())
    }

    /// What a wide load loads.
    pub fn wide(&self, at: usize) -> Value {
        self.filled_in[at].unwrap_or_else(|| {
            let high = self.code.get(at + 1).map_or(0, |next| next.imm);
            let half = |imm: i32| u64::from(imm.cast_unsigned());
            match self.code[at].src {
                0 => Value::Number(half(self.code[at].imm) | half(high) << 32),
                _ => Value::Unknown,
            }
        })
    }
}
