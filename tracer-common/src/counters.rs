//! What the programs count, for each CPU. User space adds the CPUs up.

use crate::family::Family;
use crate::point::Point;

/// One CPU's counters.
///
/// For each family `emitted = in a buffer + lost`, exactly: both are counted at the reserve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Counters {
    /// How often the function of each point was entered or left with a program attached, before any filter.
    pub hits: [u64; Point::COUNT],
    /// Records that were to be sent, by family.
    pub emitted: [u64; Family::COUNT],
    /// Of these, records for which the buffer had no room, by family.
    pub lost: [u64; Family::COUNT],
    /// Function ends without their beginning and beginnings without their end, by family.
    pub unpaired: [u64; Family::COUNT],
    /// Calls that a copy of a program saw after the kernel had skipped the program itself, by family.
    pub rescued: [u64; Family::COUNT],
    /// Stacks that the kernel could not store.
    pub stacks_lost: u64,
}

impl Counters {
    /// All zero.
    pub const ZERO: Self = Self {
        hits: [0; Point::COUNT],
        emitted: [0; Family::COUNT],
        lost: [0; Family::COUNT],
        unpaired: [0; Family::COUNT],
        rescued: [0; Family::COUNT],
        stacks_lost: 0,
    };

    /// Adds another CPU's counters.
    pub fn add(&mut self, other: &Self) {
        let Self { hits, emitted, lost, unpaired, rescued, stacks_lost } = self;
        let columns = [
            (&mut hits[..], &other.hits[..]),
            (&mut emitted[..], &other.emitted[..]),
            (&mut lost[..], &other.lost[..]),
            (&mut unpaired[..], &other.unpaired[..]),
            (&mut rescued[..], &other.rescued[..]),
        ];
        for (sums, values) in columns {
            for (sum, value) in sums.iter_mut().zip(values) {
                *sum += value;
            }
        }
        *stacks_lost += other.stacks_lost;
    }
}
