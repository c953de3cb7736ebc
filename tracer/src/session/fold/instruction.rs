//! One instruction of BPF (Documentation/bpf/standardization/instruction-set.rst), of those that the compiler makes for
//! `-Ctarget-cpu=v3`.

/// Bytes of an instruction.
pub const SIZE: usize = 8;

/// Registers; the last points to the end of the stack.
pub const REGISTERS: usize = 11;

/// The register with the stack's end.
pub const FRAME: u8 = 10;

/// Loads 64 bits of its own, in two places.
pub const LOAD_WIDE: u8 = 0x18;
/// Goes on elsewhere.
pub const JUMP: u8 = 0x05;
/// Calls a helper or a function.
pub const CALL: u8 = 0x85;
/// Ends.
pub const EXIT: u8 = 0x95;
/// `register = number`, all 64 bits of it, the number's sign extended.
const MOVE: u8 = 0xb7;
/// `register = number`, the upper 32 bits 0.
const MOVE_HALF: u8 = 0xb4;
/// That an operation is with a register, not a number.
pub const WITH_REGISTER: u8 = 0x08;
/// Of an atomic operation: it tells what was there before.
const FETCHES: i32 = 1;
/// Compares and exchanges, by register 0.
const COMPARE_EXCHANGE: i32 = 0xf1;

/// What kind of instruction it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// `dst = 64 bits`, in two places.
    LoadWide,
    /// `dst = *(src + offset)`.
    Load,
    /// `*(dst + offset) = imm`.
    StoreNumber,
    /// `*(dst + offset) = src`.
    Store,
    /// `*(dst + offset) op= src`, in one step.
    Atomic,
    /// `dst op= src` or `imm`; `true` of all 64 bits.
    Compute(bool),
    /// A conditional jump; `true` by all 64 bits.
    Branch(bool),
    /// [`JUMP`].
    Jump,
    /// [`CALL`].
    Call,
    /// [`EXIT`].
    Exit,
}

/// An instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Instruction {
    /// Class, operation, and whether it is with a register or a number, or how many bytes.
    pub code: u8,
    /// The register that it writes or that holds an address to write to.
    pub dst: u8,
    /// The register that it reads; of a call what it calls.
    pub src: u8,
    /// Of an address, or of a jump in instructions.
    pub offset: i16,
    /// The number.
    pub imm: i32,
}

impl Instruction {
    /// Does nothing. The kernel's verifier removes it (6.12 kernel/bpf/verifier.c, opt_remove_nops; since 5.2).
    pub const NOTHING: Self = Self { code: JUMP, dst: 0, src: 0, offset: 0, imm: 0 };

    /// From its bytes.
    pub fn read(bytes: &[u8; SIZE]) -> Self {
        let [code, registers, low, high, imm @ ..] = *bytes;
        Self {
            code,
            dst: registers & 15,
            src: registers >> 4,
            offset: i16::from_le_bytes([low, high]),
            imm: i32::from_le_bytes(imm),
        }
    }

    /// Its bytes.
    pub fn bytes(self) -> [u8; SIZE] {
        let ([low, high], [a, b, c, d]) = (self.offset.to_le_bytes(), self.imm.to_le_bytes());
        [self.code, self.dst | self.src << 4, low, high, a, b, c, d]
    }

    /// `dst = number`; `None` where that takes two places.
    pub fn assign(dst: u8, number: u64) -> Option<Self> {
        let (code, imm) = match (i32::try_from(number as i64), u32::try_from(number)) {
            (Ok(imm), _) => (MOVE, imm),
            (_, Ok(half)) => (MOVE_HALF, half.cast_signed()),
            _ => return None,
        };
        Some(Self { code, dst, src: 0, offset: 0, imm })
    }

    /// What kind it is; `None` of one that the compiler does not make.
    #[inline]
    pub fn class(self) -> Option<Class> {
        Some(match (self.code & 7, self.code & 0xe0) {
            (0, _) if self.code == LOAD_WIDE => Class::LoadWide,
            (1, 0x60) => Class::Load,
            (2, 0x60) => Class::StoreNumber,
            (3, 0x60) => Class::Store,
            (3, 0xc0) => Class::Atomic,
            (4 | 7, _) if self.operation() <= Operation::SHIFT_SIGNED => Class::Compute(self.code & 7 == 7),
            (5, _) if self.code == JUMP => Class::Jump,
            (5, _) if self.code == CALL => Class::Call,
            (5, _) if self.code == EXIT => Class::Exit,
            (5 | 6, _)
                if self.operation() != 0 && self.operation() <= 0xd0 && self.operation() & 0xf0 != 0x80 =>
            {
                Class::Branch(self.code & 7 == 5)
            }
            _ => return None,
        })
    }

    /// The operation of a computation or a branch.
    pub fn operation(self) -> u8 {
        self.code & 0xf0
    }

    /// Whether it is with a register.
    pub fn is_with_register(self) -> bool {
        self.code & WITH_REGISTER != 0
    }

    /// Bytes that it loads or stores.
    pub fn bytes_moved(self) -> u8 {
        match self.code & 0x18 {
            0x00 => 4,
            0x08 => 2,
            0x10 => 1,
            _ => 8,
        }
    }

    /// The register in which an atomic operation leaves what was there.
    pub fn fetched(self) -> Option<u8> {
        match self.imm {
            COMPARE_EXCHANGE => Some(0),
            imm if imm & FETCHES != 0 => Some(self.src),
            _ => None,
        }
    }

    /// Whether an atomic operation compares with register 0.
    pub fn compares(self) -> bool {
        self.imm == COMPARE_EXCHANGE
    }

    /// Whether it is a computation that reads the register it writes.
    pub fn reads_destination(self) -> bool {
        self.operation() != Operation::ASSIGN
    }

    /// Registers that the callee may read, from the first on.
    pub fn arguments(self) -> u8 {
        let is_helper = self.src == 0;
        match self.imm {
            _ if !is_helper => 5,
            1 => 2,
            2 => 4,
            175 => 1,
            _ if self.is_pure_call() => 0,
            _ => 5,
        }
    }

    /// Whether it calls a helper that only answers (include/uapi/linux/bpf.h): `ktime_get_ns`, `get_smp_processor_id`,
    /// `get_current_pid_tgid`, `get_current_task_btf`.
    pub fn is_pure_call(self) -> bool {
        self.code == CALL && self.src == 0 && matches!(self.imm, 5 | 8 | 14 | 158)
    }
}

/// Operations of computations, less the ones that are only in the tables of [`super::number`].
pub struct Operation;

impl Operation {
    /// `+`
    pub const ADD: u8 = 0x00;
    /// `-`
    pub const SUBTRACT: u8 = 0x10;
    /// `*`
    pub const MULTIPLY: u8 = 0x20;
    /// `/`
    pub const DIVIDE: u8 = 0x30;
    /// `|`
    pub const OR: u8 = 0x40;
    /// `&`
    pub const AND: u8 = 0x50;
    /// `<<`
    pub const SHIFT_LEFT: u8 = 0x60;
    /// `>>`
    pub const SHIFT_RIGHT: u8 = 0x70;
    /// `-x`
    pub const NEGATE: u8 = 0x80;
    /// `%`
    pub const REMAINDER: u8 = 0x90;
    /// `^`
    pub const XOR: u8 = 0xa0;
    /// `=`
    pub const ASSIGN: u8 = 0xb0;
    /// `>>` that keeps the sign.
    pub const SHIFT_SIGNED: u8 = 0xc0;
}
