//! Counting without a stream: the tables that the programs add to, and what they add.
//!
//! Each CPU has its own part of the tables, of [`FIXED`] slots that belong to one event each and some that are found by
//! a hash of the [`key`]. A key that finds no slot is counted in the event's own one: nothing is left out of the sums.

use crate::event::{Kind, UNCOUNTED, UNKNOWN};
use crate::family::Family;

/// Slots of a CPU that need no search, by [`fixed`].
pub const FIXED: usize = Family::COUNT * KINDS;

/// Kinds that a family can have.
const KINDS: usize = 16;

/// Slots that are looked at for a key, one after the other.
pub const TRIES: u32 = 8;

/// Most different groups of those that are given a number: names ([`Group::Name`]), and members of 64 bits
/// ([`Group::Member`]).
pub const NUMBERED: u32 = 4096;

/// What one CPU counted for a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Slot {
    /// [`key`]; 0 where nobody has it. Not used in the fixed slots.
    pub key: u64,
    /// Events.
    pub count: u64,
    /// Sum of their values.
    pub sum: u64,
    /// Events that had a value.
    pub measured: u64,
}

/// The slot that events of a kind have for themselves, by its number.
#[inline(always)]
pub const fn fixed(kind: u16) -> usize {
    (kind as usize >> 8) * KINDS + (kind as usize & (KINDS - 1))
}

const _: () = {
    let mut place = 0;
    while place < Kind::ALL.len() {
        assert!((Kind::ALL[place] as usize & 0xff) < KINDS, "a family has more kinds than slots");
        place += 1;
    }
};

/// What a slot is found by; never 0, because no kind that is counted is.
#[inline(always)]
pub const fn key(kind: u16, group: u32) -> u64 {
    (kind as u64) << 32 | group as u64
}

/// Where the search for a key begins: the high bits of a product are the well mixed ones.
#[inline(always)]
pub const fn hash(key: u64) -> u32 {
    (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u32
}

/// What is counted apart, [`Options::by`](crate::globals::Options::by).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Group {
    /// Nothing but the events.
    Event = 0,
    /// Processes, by their id.
    Process = 1,
    /// Threads, by their id.
    Thread = 2,
    /// CPUs.
    Cpu = 3,
    /// Kernel stacks, by their id.
    Stack = 4,
    /// Names of threads. They and whatever else does not fit 32 bits are given numbers.
    Name = 5,
    /// A member of the event's body, [`Measure::group`].
    Member = 6,
}

/// Whether and where events are counted, [`Options::counting`](crate::globals::Options::counting).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Counting {
    /// They are records.
    Off = 0,
    /// They are counted before the record is made, which none is.
    Early = 1,
    /// They are counted by what the record would have.
    ByBody = 2,
}

/// A number in the body of an event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Number {
    /// Bytes before it.
    pub offset: u8,
    /// Its bytes: 4 or 8; 0 where there is no such number.
    pub size: u8,
}

/// How a value is made of the numbers of an event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Operation {
    /// There is none.
    #[default]
    Nothing = 0,
    /// It is 1.
    One = 1,
    /// The first number.
    First = 2,
    /// The sum of both.
    Sum = 3,
    /// The second less the first.
    Difference = 4,
    /// 2 to the power of the first.
    Power = 5,
}

/// When the first number is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Absent {
    /// When it is [`UNKNOWN`].
    #[default]
    Unknown = 0,
    /// When it is 0.
    Zero = 1,
    /// When it is [`UNCOUNTED`].
    Uncounted = 2,
    /// When it is negative.
    Negative = 3,
}

/// What of an event of some kind is summed up, and what it is grouped by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Measure {
    /// An [`Operation`], as its number.
    pub operation: u8,
    /// An [`Absent`], as its number.
    pub absent: u8,
    /// What it is made of.
    pub first: Number,
    /// And of this.
    pub second: Number,
    /// Bits by which the result is shifted to the right.
    pub right: u8,
    /// And then to the left.
    pub left: u8,
    /// The member that tells the groups apart.
    pub group: Number,
}

impl Measure {
    /// Nothing to measure, and no groups.
    pub const NONE: Self = Self {
        operation: Operation::Nothing as u8,
        absent: Absent::Unknown as u8,
        first: Number { offset: 0, size: 0 },
        second: Number { offset: 0, size: 0 },
        right: 0,
        left: 0,
        group: Number { offset: 0, size: 0 },
    };

    /// The value of an event whose numbers `read` gives; `None` when it has none.
    #[inline(always)]
    pub fn value(&self, read: impl Fn(Number) -> u64) -> Option<u64> {
        let operation = self.operation;
        if operation == Operation::Nothing as u8 {
            return None;
        }
        if operation == Operation::One as u8 {
            return Some(self.shifted(1));
        }
        let first = read(self.first);
        if self.is_absent(first) {
            return None;
        }
        if operation == Operation::First as u8 {
            return Some(self.shifted(first));
        }
        if operation == Operation::Power as u8 {
            return if first < 64 { Some(self.shifted(1 << first)) } else { None };
        }
        let second = read(self.second);
        if self.is_absent(second) {
            return None;
        }
        if operation == Operation::Sum as u8 {
            return Some(self.shifted(first.wrapping_add(second)));
        }
        Some(self.shifted(second.saturating_sub(first)))
    }

    #[inline(always)]
    const fn shifted(&self, value: u64) -> u64 {
        value >> (self.right & 63) << (self.left & 63)
    }

    #[inline(always)]
    const fn is_absent(&self, number: u64) -> bool {
        if self.absent == Absent::Zero as u8 {
            number == 0
        } else if self.absent == Absent::Uncounted as u8 {
            number == UNCOUNTED as u64
        } else if self.absent == Absent::Negative as u8 {
            // A 32-bit number, not sign-extended.
            number >> 31 != 0
        } else {
            number == UNKNOWN
        }
    }
}

/// Buckets of a histogram. Values below [`STEPS`] have one each; each power of two above has that many.
pub const BUCKETS: usize = 256;

/// Buckets between a power of two and the next.
pub const STEPS: u64 = 8;

const STEP_BITS: u32 = STEPS.trailing_zeros();

/// The bucket of a value. The last one has all that are too large for the others.
#[inline(always)]
pub const fn bucket(value: u64) -> usize {
    if value < STEPS {
        return value as usize;
    }
    // The processor has no instruction for it, and the compiler's own way takes twice as many.
    let (mut rest, mut exponent) = (value, 0);
    if rest >> 32 != 0 {
        rest >>= 32;
        exponent += 32;
    }
    if rest >> 16 != 0 {
        rest >>= 16;
        exponent += 16;
    }
    if rest >> 8 != 0 {
        rest >>= 8;
        exponent += 8;
    }
    if rest >> 4 != 0 {
        rest >>= 4;
        exponent += 4;
    }
    if rest >> 2 != 0 {
        rest >>= 2;
        exponent += 2;
    }
    exponent += (rest >> 1) as u32;
    let shift = exponent - STEP_BITS;
    let place = (shift as usize) * STEPS as usize + (value >> (shift & 63)) as usize;
    if place < BUCKETS { place } else { BUCKETS - 1 }
}

/// The smallest value of a bucket.
pub const fn least(bucket: usize) -> u64 {
    if bucket < STEPS as usize {
        return bucket as u64;
    }
    let shift = bucket / STEPS as usize - 1;
    (STEPS + (bucket as u64 % STEPS)) << shift
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_next_to_each_other() {
        for place in 0..BUCKETS - 1 {
            let (from, next) = (least(place), least(place + 1));
            assert!(from < next, "{place}");
            assert_eq!((bucket(from), bucket(next - 1)), (place, place), "{from} to {next}");
            assert!(from < STEPS || (next - from) * STEPS <= from, "{from} to {next}");
        }
        assert_eq!((bucket(least(BUCKETS - 1)), bucket(u64::MAX)), (BUCKETS - 1, BUCKETS - 1));
        assert_eq!(least(BUCKETS - 1), 15 << 30);
    }

    #[test]
    fn fixed_slots_are_different() {
        let mut seen = [false; FIXED];
        for kind in Kind::ALL {
            assert!(!core::mem::replace(&mut seen[fixed(*kind as u16)], true), "{}", kind.name());
        }
    }

    fn measure(operation: Operation, absent: Absent) -> Measure {
        Measure {
            operation: operation as u8,
            absent: absent as u8,
            first: Number { offset: 0, size: 8 },
            second: Number { offset: 8, size: 8 },
            ..Measure::NONE
        }
    }

    #[test]
    fn values() {
        let value = |operation, absent, first, second| {
            measure(operation, absent).value(|number| if number.offset == 0 { first } else { second })
        };
        use Operation::*;
        assert_eq!(value(Nothing, Absent::Unknown, 1, 1), None);
        assert_eq!(value(One, Absent::Zero, 0, 0), Some(1));
        assert_eq!((value(First, Absent::Zero, 0, 0), value(First, Absent::Zero, 7, 0)), (None, Some(7)));
        assert_eq!(value(First, Absent::Unknown, UNKNOWN, 0), None);
        assert_eq!(value(First, Absent::Uncounted, UNCOUNTED.into(), 0), None);
        assert_eq!(value(First, Absent::Negative, (-5_i32 as u32).into(), 0), None);
        assert_eq!(value(Sum, Absent::Unknown, 3, 4), Some(7));
        assert_eq!(value(Difference, Absent::Unknown, 3, 4), Some(1));
        assert_eq!(value(Difference, Absent::Unknown, 4, 3), Some(0));
        assert_eq!(value(Difference, Absent::Unknown, 4, UNKNOWN), None);
        assert_eq!(
            (value(Power, Absent::Unknown, 9, 0), value(Power, Absent::Unknown, 64, 0)),
            (Some(512), None)
        );
        let pages = Measure { right: 12, ..measure(Difference, Absent::Unknown) };
        assert_eq!(pages.value(|number| if number.offset == 0 { 0x1000 } else { 0x4000 }), Some(3));
    }
}
